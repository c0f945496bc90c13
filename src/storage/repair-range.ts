import { viewOf } from "../base/bytes.ts";
import { hasReason } from "../base/errors.ts";
import { toOffset, toPosition } from "../base/units.ts";
import { endOfScan, type SegmentParts } from "./closed-segment.ts";
import type { CopiedBatch } from "./copied-frames.ts";
import { checkFrame } from "./frame.ts";
import type { StoreSize } from "./index.ts";
import { frameBytesAt, HEADER_BYTES } from "./scan.ts";
import { storeCorrupt } from "./storage-errors.ts";

/**
 * Writes sound frames over damaged ones of the same offsets, then the entries of the index. Frames are the
 * same on all replicas, so they take exactly the place of those they replace: it is found from both
 * neighbours, which must be sound. Nothing else is written to, so what a crash leaves of it is damaged or
 * whole, and may be repaired again.
 *
 * @param size of what is written in the segment; the batch lies within
 * @throws STORE_CORRUPT when they do not fit between their neighbours: nothing is changed, and a
 *   wider range is wanted, which includes these
 */
export async function repairRange(
  segment: SegmentParts,
  size: StoreSize,
  batch: CopiedBatch,
): Promise<void> {
  const { store, index, base } = segment;
  const record = batch.firstOffset - base;
  const start = await placeOf(segment, size, batch);
  if (start === undefined) {
    const last = batch.firstOffset + batch.count - 1;
    throw storeCorrupt(
      `Cannot repair "${store.path}": offsets ${batch.firstOffset} to ${last} do not fit between ` +
        "their neighbours, wanted all of the damage",
      { offset: batch.firstOffset, file: store.path },
    );
  }
  await store.write((file) => file.write([batch.bytes], toPosition(start)));
  const starts = Array.from({ length: batch.count }, (_, at) => {
    return at === 0 ? start : start + (batch.ends[at - 1] ?? 0);
  });
  await index.correct(starts, record);
}

/** Where the batch belongs; undefined when that is not certain. */
async function placeOf(
  segment: SegmentParts,
  size: StoreSize,
  batch: CopiedBatch,
): Promise<number | undefined> {
  const { index, base } = segment;
  const total = batch.bytes.length;
  const record = batch.firstOffset - base;
  const end = record + batch.count;
  const endAt = end === size.records ? size.bytes : await index.position(end);
  const before = record === 0 ? undefined : await index.position(record - 1);
  const neighbours = { segment, size, record, end };
  for (const start of [await index.position(record), (endAt ?? Number.NaN) - total]) {
    const fits = start !== undefined && (await fitsThere(neighbours, { before, start, total }));
    if (fits) return start;
  }
  // The index is of no use there: what lies before may be sound all the way.
  const walked = await walkTo(segment, size, record);
  if (walked === undefined) return undefined;
  return (await fitsThere(neighbours, { ...walked, total })) ? walked.start : undefined;
}

interface Neighbours {
  readonly segment: SegmentParts;
  readonly size: StoreSize;
  /** Number of the first record, and of the one after the last. */
  readonly record: number;
  readonly end: number;
}

/** True when `total` bytes from `start` on end where the next frame begins, and begin where the one before ends. */
async function fitsThere(
  { segment, size, record, end }: Neighbours,
  at: { readonly before: number | undefined; readonly start: number; readonly total: number },
): Promise<boolean> {
  const { before, start, total } = at;
  const { base } = segment;
  const isInside = start >= 0 && start + total <= size.bytes;
  if (!isInside) return false;
  if (end === size.records) {
    if (start + total !== size.bytes) return false;
  } else if ((await soundEnd(segment, size, { at: start + total, offset: base + end })) < 0) {
    return false;
  }
  if (record === 0) return start === 0;
  if (before === undefined) return false;
  return (await soundEnd(segment, size, { at: before, offset: base + record - 1 })) === start;
}

/** Where the frame ends that begins there; below 0 when none of that offset does. */
async function soundEnd(
  { store }: SegmentParts,
  size: StoreSize,
  { at, offset }: { readonly at: number; readonly offset: number },
): Promise<number> {
  try {
    if (at < 0 || at + HEADER_BYTES > size.bytes) return -1;
    const header = await store.readRange(at, at + HEADER_BYTES);
    const end = at + frameBytesAt(viewOf(header), 0);
    if (end > size.bytes) return -1;
    const data = await store.readRange(at + HEADER_BYTES, end);
    return checkFrame(data, toOffset(offset)) === "valid" ? end : -1;
  } catch (error) {
    if (hasReason(error, "STORE_CORRUPT")) return -1;
    throw error;
  }
}

/** Where record number `record` begins and the one before it, by the lengths from the front on. */
async function walkTo(
  { store, base }: SegmentParts,
  size: StoreSize,
  record: number,
): Promise<{ before: number | undefined; start: number } | undefined> {
  try {
    const walk = async (recordEnd: number) => {
      const scan = store.scan({ size: size.bytes, base, recordEnd });
      const { recordCount, validBytes } = await endOfScan(scan);
      return recordCount === recordEnd ? validBytes : undefined;
    };
    const start = await walk(record);
    if (start === undefined) return undefined;
    return { before: record === 0 ? undefined : await walk(record - 1), start };
  } catch (error) {
    if (hasReason(error, "STORE_CORRUPT")) return undefined;
    throw error;
  }
}
