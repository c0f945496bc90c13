import { ProglogError } from "../base/errors.ts";
import { toOffset } from "../base/units.ts";
import { endOfScan, measureClosed, rebuildIndex } from "./closed-segment.ts";
import type { LogOptions, LogRecovery } from "./log-types.ts";
import type { ScanResult } from "./scan.ts";
import { Segment } from "./segment.ts";
import { ensureDir, listSegmentFiles } from "./segment-files.ts";

/** A log's segments, oldest first, at least one, and how they were found. */
export interface LoadedLog {
  readonly segments: Segment[];
  readonly recovery: LogRecovery;
  /** The log's own entry in the folder that it is in may not be synced. */
  readonly isNew: boolean;
}

export const NOTHING_FOUND: LogRecovery = {
  cutBytes: 0,
  stopped: undefined,
  rebuiltIndexes: 0,
  removedFiles: 0,
  damaged: [],
  unvouchedFrom: undefined,
};

/**
 * Opens a log by the seed's rules: the newest segment is scanned from the front and cut
 * after its last whole record; each older one must reach exactly to the next. What was
 * cut is durably gone on return, so it can never appear again behind newer records.
 *
 * @throws STORE_CORRUPT when an older segment does not fit; all files are kept
 * @throws DATA_DIR_INVALID when the newest one holds records of a newer format; likewise
 */
export async function recoverLog(options: LogOptions): Promise<LoadedLog> {
  const { fs, dir } = options;
  await ensureDir(fs, dir);
  const { stores, indexes } = await listSegmentFiles(fs, dir);
  const segments = stores.map((base) => new Segment({ fs, dir, base }));
  let rebuiltIndexes = 0;
  for (const [at, segment] of segments.slice(0, -1).entries()) {
    const records = (segments[at + 1]?.base ?? 0) - segment.base;
    const { size, doesIndexFit } = await measureClosed(segment, records);
    if (!doesIndexFit) {
      await rebuildIndex(segment, size);
      rebuiltIndexes += 1;
    }
    segment.found(size);
    await segment.close();
  }
  const newest = segments.at(-1);
  const cut = newest === undefined ? undefined : await recoverNewest(newest, options);
  if (cut?.isIndexRebuilt === true) rebuiltIndexes += 1;
  // An index without its store is left from a removal. Only now: had the rest not fitted, all is kept.
  const orphans = indexes.filter((base) => !stores.includes(base));
  for (const base of orphans) await fs.remove(new Segment({ fs, dir, base }).index.path);
  // Nobody knows what of this was synced: the first sync takes all of it.
  for (const segment of segments) segment.markDirty();
  if (newest === undefined) segments.push(new Segment({ fs, dir, base: toOffset(0) }));
  return {
    segments,
    recovery: {
      ...NOTHING_FOUND,
      cutBytes: cut?.cutBytes ?? 0,
      stopped: cut?.stopped,
      rebuiltIndexes,
      removedFiles: orphans.length,
    },
    // A process that was killed may have made it and not come to sync that.
    isNew: true,
  };
}

interface Cut extends Pick<LogRecovery, "cutBytes" | "stopped"> {
  readonly isIndexRebuilt: boolean;
}

async function recoverNewest(segment: Segment, options: LogOptions): Promise<Cut> {
  const { store, index, base } = segment;
  const size = await store.size();
  const scanOptions = { size, base, check: options.check };
  // Twice over, so that a log that is refused keeps even its index; the second time it is in memory.
  const found = await endOfScan(store.scan(scanOptions));
  refuseUnsupported(segment, found);
  let isIndexRebuilt = false;
  await index.ensure();
  for await (const { starts, record } of store.scan({
    ...scanOptions,
    check: undefined,
    recordEnd: found.recordCount,
  })) {
    isIndexRebuilt = (await index.correct(starts, record)) || isIndexRebuilt;
  }
  isIndexRebuilt = (await index.cutAfter(found.recordCount)) || isIndexRebuilt;
  const cutBytes = size - found.validBytes;
  if (cutBytes > 0) await store.write((file) => file.truncate(found.validBytes));
  segment.found({ records: found.recordCount, bytes: found.validBytes });
  segment.markDirty();
  if (cutBytes > 0) await segment.sync();
  await segment.close();
  return { cutBytes, stopped: found.stopped, isIndexRebuilt };
}

/** @throws DATA_DIR_INVALID when the scan met a valid frame that it does not understand */
function refuseUnsupported(segment: Segment, found: ScanResult): void {
  if (found.stopped !== "unsupported") return;
  const { path } = segment.store;
  const offset = segment.base + found.recordCount;
  throw new ProglogError(
    "DATA_DIR_INVALID",
    `Cannot open "${path}": the record at offset ${offset} is of a newer format, ` +
      "wanted one that this program knows",
    { metadata: { file: path, offset: `${offset}`, position: `${found.validBytes}` } },
  );
}
