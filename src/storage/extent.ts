import { assert } from "../base/assert.ts";
import { type Offset, toOffset } from "../base/units.ts";
import type { LogExtent } from "./log-types.ts";

/** The extent of a log that is empty and begins at `base`. */
export function emptyExtent(base: Offset): LogExtent {
  return { segments: [{ base, records: 0, storeBytes: 0 }] };
}

/** Offset after the last record; 0 without segments. */
export function extentEnd(extent: LogExtent): Offset {
  const last = extent.segments.at(-1);
  return toOffset(last === undefined ? 0 : last.base + last.records);
}

/**
 * Leaves out the segments whose records all lie below `start`: a trim that came after the
 * extent may have deleted their files. `Log.openAt` deletes what is left of them. When that
 * is all, the log begins, empty, where the extent ended.
 */
export function extentFrom(extent: LogExtent, start: Offset): LogExtent {
  const kept = extent.segments.filter((segment) => segment.base + segment.records > start);
  return kept.length > 0 ? { segments: kept } : emptyExtent(extentEnd(extent));
}

/** An extent comes out of a checked checkpoint: one that makes no sense is a bug. */
export function assertExtent({ segments }: LogExtent): void {
  let next: number | undefined;
  for (const [at, { base, records, storeBytes }] of segments.entries()) {
    const isEmptyInside = records === 0 && at < segments.length - 1;
    const isPossible = Number.isSafeInteger(base) && records >= 0 && storeBytes >= 0;
    const follows = next === undefined || base === next;
    assert(isPossible && follows && !isEmptyInside, `Cannot open at an extent with ${base} wrong`);
    next = base + records;
  }
}
