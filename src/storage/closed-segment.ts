import { hasReason } from "../base/errors.ts";
import type { Offset } from "../base/units.ts";
import type { Index, StoreSize } from "./index.ts";
import type { ScanResult } from "./scan.ts";
import type { FileScan } from "./scan-file.ts";
import { storeCorrupt } from "./storage-errors.ts";
import type { Store } from "./store.ts";

/** What of a segment matters here. */
export interface SegmentParts {
  readonly base: Offset;
  readonly store: Store;
  readonly index: Index;
}

export interface ClosedSize {
  readonly size: StoreSize;
  readonly doesIndexFit: boolean;
}

/**
 * Finds out how far a segment goes that holds `records` records, since the next one
 * begins after them. Looks at its last record only, unless the index does not fit.
 *
 * Zeros after the last record are let be: the seed extends its files with them and
 * leaves them there when it is killed.
 *
 * @throws STORE_CORRUPT when the store has fewer frames, or something else after them
 */
export async function measureClosed(segment: SegmentParts, records: number): Promise<ClosedSize> {
  const { store, base } = segment;
  const fileBytes = await store.size();
  const bytes = await endByIndex(segment, records, fileBytes);
  if (bytes !== undefined && (await store.isZeroFrom(bytes, fileBytes))) {
    return { size: { records, bytes }, doesIndexFit: true };
  }
  const found = await endOfScan(store.scan({ size: fileBytes, base, recordEnd: records }));
  const end = found.validBytes;
  if (found.recordCount === records && (await store.isZeroFrom(end, fileBytes))) {
    return { size: { records, bytes: end }, doesIndexFit: false };
  }
  const state =
    found.recordCount < records
      ? `only ${found.recordCount} whole records`
      : `${fileBytes - end} bytes after its records`;
  throw storeCorrupt(
    `Cannot open "${store.path}": it has ${state}, wanted ${records} up to the next segment`,
    { file: store.path, offset: base + found.recordCount, position: end },
  );
}

/** Where the last of `records` ends as the index says, if that is before `fileBytes`. */
export async function endByIndex(
  segment: SegmentParts,
  records: number,
  fileBytes: number,
): Promise<number | undefined> {
  if (records === 0) return 0;
  const start = await segment.index.position(records - 1);
  if (start === undefined) return undefined;
  const frameBytes = await segment.store.frameBytes(start, fileBytes);
  return frameBytes === undefined ? undefined : start + frameBytes;
}

/** True when the first `size.bytes` bytes of the store can be read and are `size.records` whole frames. */
export async function isStoreSound(segment: SegmentParts, size: StoreSize): Promise<boolean> {
  const { store, base } = segment;
  const scan = store.scan({ size: size.bytes, base, recordEnd: size.records });
  try {
    const { validBytes, recordCount } = await endOfScan(scan);
    return validBytes === size.bytes && recordCount === size.records;
  } catch (error) {
    if (hasReason(error, "STORE_CORRUPT")) return false;
    throw error;
  }
}

/** Walks on to the end. */
export async function endOfScan(scan: FileScan): Promise<ScanResult> {
  let step = await scan.next();
  while (step.done !== true) step = await scan.next();
  return step.value;
}

/** Writes the index anew, out of the first `size.bytes` bytes of the store. */
export async function rebuildIndex(segment: SegmentParts, size: StoreSize): Promise<void> {
  const scan = { size: size.bytes, base: segment.base, recordEnd: size.records };
  for await (const { starts, record } of segment.store.scan(scan)) {
    await segment.index.correct(starts, record);
  }
}
