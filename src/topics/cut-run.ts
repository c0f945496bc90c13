import type { ReadLimits, RecordRun } from "./topics.ts";

/**
 * The part of `run` that fits `limits`: itself when all of it does, at least one record
 * if `limits.endOffset` is above that one. Bytes are counted
 * with what the log puts before each record.
 */
export function cutRun(run: RecordRun, limits: ReadLimits): RecordRun {
  const { starts, ends, offsets } = run;
  const endOffset = limits.endOffset ?? Number.POSITIVE_INFINITY;
  let count = Math.min(run.count, limits.recordsMax);
  const bytesEnd = (starts[0] ?? 0) - gapOf(run) + limits.bytesMax;
  if (count > 1 && (ends[count - 1] ?? 0) > bytesEnd) {
    count = Math.max(1, countBelow(ends, count, bytesEnd + 1));
  }
  if (count > 0 && (offsets[count - 1] ?? 0) >= endOffset) {
    count = countBelow(offsets, count, endOffset);
  }
  const isWhole = count === run.count && run.resumeOffset <= endOffset;
  if (isWhole) return run;
  const next = count < run.count ? (offsets[count] ?? 0) : run.resumeOffset;
  return { ...run, count, resumeOffset: Math.min(next, endOffset) };
}

/** What the log puts before a record, judged by the second one. */
function gapOf({ count, starts, ends }: RecordRun): number {
  return count < 2 ? 0 : (starts[1] ?? 0) - (ends[0] ?? 0);
}

/** How many of the first `count` of the rising `values` are below `limit`. */
function countBelow(values: Uint32Array | Float64Array, count: number, limit: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
