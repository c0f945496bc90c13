import { concat } from "./bytes.ts";

/** Records side by side: number `i` is `bytes.subarray(starts[i], ends[i])`. They rise, and may leave gaps. */
export interface RecordSpans {
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** The arrays may be longer. */
  readonly count: number;
}

/** `records` side by side, in new memory. */
export function spansOf(records: readonly Uint8Array[]): RecordSpans {
  const count = records.length;
  const starts = new Uint32Array(count);
  const ends = new Uint32Array(count);
  let end = 0;
  for (let at = 0; at < count; at += 1) {
    starts[at] = end;
    end += records[at]?.length ?? 0;
    ends[at] = end;
  }
  return { bytes: concat(records), starts, ends, count };
}

/**
 * Copies all records, with what lies between them, to the end of `target`: from there they can
 * be moved down one by one, which costs half as much as a view and a copy of each.
 *
 * @returns how much higher they are there than in their source; if they do not fit, they are not there
 */
export function moveToEnd({ bytes, starts, ends, count }: RecordSpans, target: Uint8Array): number {
  const first = starts[0] ?? 0;
  const last = ends[count - 1] ?? 0;
  if (last - first > target.length) return Number.NEGATIVE_INFINITY;
  target.set(bytes.subarray(first, last), target.length - (last - first));
  return target.length - last;
}
