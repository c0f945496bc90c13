import { concat, EMPTY_BYTES } from "../base/bytes.ts";
import type { Offset } from "../base/units.ts";
import type { FrameLimits, FrameRange } from "./log-types.ts";
import type { PlacedBatch, Segment } from "./segment.ts";

/** A batch that waits for its write. */
export interface PendingBatch extends PlacedBatch {
  readonly segment: Segment;
}

/** How much one gathered write takes. */
export interface GroupLimits {
  readonly bytesMax: number;
  readonly partsMax: number;
}

/** Batches that were appended and are not written yet, oldest first. */
export class PendingQueue {
  /** Those before `#head` are written. */
  #batches: (PendingBatch | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Offset of the first record that is not written; undefined when all are. */
  get firstOffset(): Offset | undefined {
    return this.#batches[this.#head]?.firstOffset;
  }

  push(batch: PendingBatch): void {
    this.#batches.push(batch);
    this.#bytes += batch.batch.bytes.length;
  }

  /** The oldest ones, of one segment, as many as one write takes; at least one if there is one. */
  group(limits: GroupLimits): readonly PendingBatch[] {
    const group: PendingBatch[] = [];
    let bytes = 0;
    for (let at = this.#head; at < this.#batches.length; at += 1) {
      const batch = this.#batches[at];
      if (batch === undefined || batch.segment !== (group[0] ?? batch).segment) break;
      bytes += batch.batch.bytes.length;
      if (group.length > 0 && (bytes > limits.bytesMax || group.length === limits.partsMax)) break;
      group.push(batch);
    }
    return group;
  }

  /** Forgets the oldest `count`: they are written. */
  shift(count: number): void {
    for (let left = count; left > 0; left -= 1) {
      this.#bytes -= this.#batches[this.#head]?.batch.bytes.length ?? 0;
      // The bytes must not be kept until the list is moved up.
      this.#batches[this.#head] = undefined;
      this.#head += 1;
    }
    if (this.#head * 2 < this.#batches.length) return;
    this.#batches = this.#batches.slice(this.#head);
    this.#head = 0;
  }

  /** Forgets those that begin at `offset` or above. */
  dropFrom(offset: Offset): void {
    while (this.#batches.length > this.#head) {
      const last = this.#batches.at(-1);
      if (last === undefined || last.firstOffset < offset) return;
      this.#batches.pop();
      this.#bytes -= last.batch.bytes.length;
    }
  }

  clear(): void {
    this.#batches = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  /** Reads frames from `from` on, which must be at or after {@link firstOffset}. Copies only across batches. */
  read(from: Offset, limits: FrameLimits): FrameRange {
    const parts: Uint8Array[] = [];
    const ends: number[] = [];
    let size = 0;
    for (let at = this.#find(from); at < this.#batches.length; at += 1) {
      const batch = this.#batches[at];
      if (batch === undefined) break;
      const skip = Math.max(0, from - batch.firstOffset);
      const part = takeFrames(batch, skip, { limits, ends, size });
      if (part.length === 0) break;
      parts.push(part);
      size += part.length;
      if (ends.length + from < batch.firstOffset + batch.batch.count) break;
    }
    const bytes = parts.length === 1 ? (parts[0] ?? EMPTY_BYTES) : concat(parts);
    return { bytes, first: from, ends };
  }

  /** Place in the list of the batch that holds `offset`. */
  #find(offset: Offset): number {
    let low = this.#head;
    let high = this.#batches.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#batches[middle]?.firstOffset ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The frames of a batch after the first `skip`, as many as the limits allow; adds their ends. */
function takeFrames(
  placed: PendingBatch,
  skip: number,
  taken: { readonly limits: FrameLimits; readonly ends: number[]; readonly size: number },
): Uint8Array {
  const { bytes, ends, count } = placed.batch;
  const { limits, size } = taken;
  const start = skip === 0 ? 0 : (ends[skip - 1] ?? 0);
  let end = start;
  for (let at = skip; at < count; at += 1) {
    const next = ends[at] ?? 0;
    const isFull = taken.ends.length > 0 && size + next - start > limits.bytesMax;
    if (isFull || taken.ends.length === limits.recordsMax) break;
    if (limits.end !== undefined && placed.firstOffset + at >= limits.end) break;
    taken.ends.push(size + next - start);
    end = next;
  }
  return bytes.subarray(start, end);
}
