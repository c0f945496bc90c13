import type { ProglogError } from "../base/errors.ts";
import type { Waiting } from "./batch.ts";

/** Replicas whose entries or Raft writes the item has. */
export function replicaIdsOf({ entries, write }: Waiting): readonly number[] {
  if (write !== undefined) return [write.replicaId];
  return entries.length === 0 ? [] : [...new Set(entries.map(({ replicaId }) => replicaId))];
}

/**
 * Says of items that wait, asked in their order, which ones are refused: ordinary ones, and whatever
 * comes after them of the same replica. An urgent entry would leave a gap, a commit index would lead.
 */
export function refusedOf(): (item: Waiting) => boolean {
  const gone = new Set<number>();
  return (item) => {
    const ids = replicaIdsOf(item);
    const isRefused = !item.isUrgent || ids.some((id) => gone.has(id));
    if (isRefused) for (const id of ids) gone.add(id);
    return isRefused;
  };
}

/**
 * Refusals that are certain, but not told yet. Until they are, nothing is taken of the same
 * replicas: their owners do not know of the gap.
 */
export class Refusals {
  readonly #untold = new Map<number, number>();

  concern(item: Waiting): boolean {
    if (this.#untold.size === 0) return false;
    return replicaIdsOf(item).some((id) => this.#untold.has(id));
  }

  add(item: Waiting): void {
    for (const id of replicaIdsOf(item)) this.#untold.set(id, (this.#untold.get(id) ?? 0) + 1);
  }

  /** To be called for each item that was added, in that order. */
  tell(item: Waiting, error: ProglogError): void {
    for (const id of replicaIdsOf(item)) {
      const count = (this.#untold.get(id) ?? 0) - 1;
      if (count > 0) this.#untold.set(id, count);
      else this.#untold.delete(id);
    }
    item.done(error);
  }
}
