import { hasReason, ProglogError, platformCode } from "../base/errors.ts";
import { SILENT_LOGGER } from "../base/log.ts";
import { type Offset, toOffset, toPosition } from "../base/units.ts";
import { measureClosed } from "./closed-segment.ts";
import { ENTRY_BYTES } from "./index.ts";
import type { LogOptions, LogRecovery } from "./log-types.ts";
import { type LoadedLog, NOTHING_FOUND } from "./recovery.ts";
import { HEADER_BYTES, type ScanResult } from "./scan.ts";
import { Segment } from "./segment.ts";
import { listSegmentFiles } from "./segment-files.ts";

/** What {@link openReadOnly} needs of the options. */
export type ReadOnlyOptions = Pick<LogOptions, "fs" | "dir" | "check">;

/** What is not asked of those who only read. */
export const READ_ONLY_DEFAULTS = {
  logger: SILENT_LOGGER,
  clock: { monotonicMs: () => 0, wallUs: () => 0, schedule: () => () => undefined },
  segmentBytesMax: 1,
  segmentRecordsMax: 1,
};

/**
 * Opens a log for tools: writes nothing, cuts nothing, and reports what does not fit.
 *
 * @throws DATA_DIR_INVALID when there is no such folder
 */
export async function loadReadOnly(options: ReadOnlyOptions): Promise<LoadedLog> {
  const { fs, dir, check } = options;
  const stores = await listStores(options);
  const segments = stores.map((base) => new Segment({ fs, dir, base, isReadOnly: true }));
  const damaged: ProglogError[] = [];
  let rebuiltIndexes = 0;
  for (const [at, segment] of segments.slice(0, -1).entries()) {
    const records = (segments[at + 1]?.base ?? 0) - segment.base;
    const { size, doesIndexFit } = await measureOrReport(segment, records, damaged);
    if (!doesIndexFit) rebuiltIndexes += 1;
    segment.found(size);
    await segment.close();
  }
  const newest = segments.at(-1);
  let recovery: LogRecovery = { ...NOTHING_FOUND, damaged };
  if (newest === undefined) {
    segments.push(new Segment({ fs, dir, base: toOffset(0), isReadOnly: true }));
  } else {
    const look = await lookAtNewest(newest, check);
    if (!look.doesIndexFit) rebuiltIndexes += 1;
    const { cutBytes, stopped, unvouchedFrom } = look;
    recovery = { ...recovery, cutBytes, stopped, unvouchedFrom };
  }
  return { segments, recovery: { ...recovery, rebuiltIndexes }, isNew: false };
}

async function listStores({ fs, dir }: ReadOnlyOptions): Promise<readonly Offset[]> {
  try {
    return (await listSegmentFiles(fs, dir)).stores;
  } catch (cause) {
    if (platformCode(cause) !== "ENOENT" && platformCode(cause) !== "ENOTDIR") throw cause;
    const message = `Cannot open "${dir}": there is no such folder, wanted one with a log`;
    throw new ProglogError("DATA_DIR_INVALID", message, { cause });
  }
}

/** A damaged segment keeps its place: what of it can be read is to be had. */
async function measureOrReport(segment: Segment, records: number, damaged: ProglogError[]) {
  try {
    return await measureClosed(segment, records);
  } catch (error) {
    if (!hasReason(error, "STORE_CORRUPT")) throw error;
    damaged.push(error);
    return { size: { records, bytes: await segment.store.size() }, doesIndexFit: false };
  }
}

interface Look extends Pick<LogRecovery, "cutBytes" | "stopped" | "unvouchedFrom"> {
  readonly doesIndexFit: boolean;
}

async function lookAtNewest(segment: Segment, check: LogOptions["check"]): Promise<Look> {
  const { store, index, base } = segment;
  const size = await store.size();
  const scan = store.scan({ size, base, check });
  let doesIndexFit = true;
  /** First of the frames without data that reach up to here. */
  let zeros = { record: 0, position: 0 };
  let step = await scan.next();
  while (step.done !== true) {
    const { starts, record, end } = step.value;
    doesIndexFit = doesIndexFit && (await index.matches(starts, record));
    for (const [at, start] of starts.entries()) {
      const next = starts[at + 1] ?? end;
      if (next - start > HEADER_BYTES) zeros = { record: record + at + 1, position: next };
    }
    step = await scan.next();
  }
  const found = step.value;
  segment.found({ records: found.recordCount, bytes: found.validBytes });
  let unvouchedFrom: LogRecovery["unvouchedFrom"];
  if (check === undefined && (await reachEnd(segment, found, size))) {
    const vouched = await vouchedRecords(segment, zeros, found.recordCount);
    if (zeros.record + vouched < found.recordCount) {
      unvouchedFrom = {
        offset: toOffset(base + zeros.record + vouched),
        position: toPosition(zeros.position + vouched * HEADER_BYTES),
      };
    }
  }
  return { cutBytes: size - found.validBytes, stopped: found.stopped, doesIndexFit, unvouchedFrom };
}

/** True when nothing but the zeros of a header that is cut short follows the last frame. */
async function reachEnd(segment: Segment, found: ScanResult, size: number): Promise<boolean> {
  if (found.stopped !== undefined && found.stopped !== "torn-header") return false;
  return await segment.store.isZeroFrom(found.validBytes, size);
}

/** How many of the frames without data, from the first on, have an entry in the index. */
async function vouchedRecords(
  segment: Segment,
  zeros: { readonly record: number; readonly position: number },
  recordCount: number,
): Promise<number> {
  const { index, base } = segment;
  const count = recordCount - zeros.record;
  let vouched = 0;
  while (vouched < count) {
    const position = await index.position(zeros.record + vouched);
    if (position !== zeros.position + vouched * HEADER_BYTES) break;
    vouched += 1;
  }
  // The entry of offset 0 at byte 0 is all zeros: in an index that was extended with zeros it says nothing.
  const isFirstOnly = base === 0 && zeros.record === 0 && vouched === 1;
  return isFirstOnly && (await index.sizeIfThere()) > ENTRY_BYTES ? 0 : vouched;
}
