import type { ProglogError } from "../base/errors.ts";
import type { Waiting } from "./batch.ts";

/**
 * Says of items that wait, asked in their order, which ones are refused: ordinary ones, and whatever
 * comes after them of the same replica. An urgent entry would leave a gap, a commit index would lead.
 */
export function refusedOf(): (item: Waiting) => boolean {
  const gone = new Set<number>();
  return (item) => {
    const id = item.write?.replicaId;
    const isRefused = !item.isUrgent || (id !== undefined && gone.has(id));
    if (isRefused && id !== undefined) gone.add(id);
    return isRefused;
  };
}

/**
 * Refusals that are certain, but not told yet. Until they are, nothing is taken of the same
 * replicas: their owners do not know of the gap.
 */
export class Refusals {
  readonly #untold = new Map<number, number>();

  concern({ write }: Waiting): boolean {
    return write !== undefined && this.#untold.has(write.replicaId);
  }

  add({ write }: Waiting): void {
    if (write !== undefined) this.#count(write.replicaId, 1);
  }

  /** To be called for each item that was added, in that order. */
  tell(item: Waiting, error: ProglogError): void {
    if (item.write !== undefined) this.#count(item.write.replicaId, -1);
    item.done(error);
  }

  #count(replicaId: number, change: 1 | -1): void {
    const count = (this.#untold.get(replicaId) ?? 0) + change;
    if (count > 0) this.#untold.set(replicaId, count);
    else this.#untold.delete(replicaId);
  }
}
