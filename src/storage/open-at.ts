import { toOffset } from "../base/units.ts";
import { endByIndex, isStoreSound, rebuildIndex } from "./closed-segment.ts";
import { assertExtent, emptyExtent } from "./extent.ts";
import type { LogExtent, LogOptions, SegmentExtent } from "./log-types.ts";
import { type LoadedLog, NOTHING_FOUND } from "./recovery.ts";
import { Segment } from "./segment.ts";
import { ensureDir, listSegmentFiles, removeSegments, type SegmentFiles } from "./segment-files.ts";
import { storeCorrupt } from "./storage-errors.ts";

/**
 * Opens a log at an extent that was synced, without a scan. What lies after it is cut
 * off, segments newer or older than it are deleted. Nothing of that needs a sync: opening
 * at the same extent does it again.
 *
 * @throws STORE_CORRUPT when a store of the extent is missing or shorter; all files are kept
 */
export async function loadExtent(options: LogOptions, extent: LogExtent): Promise<LoadedLog> {
  assertExtent(extent);
  const { fs, dir } = options;
  await ensureDir(fs, dir);
  const files = await listSegmentFiles(fs, dir);
  const wanted = extent.segments.length > 0 ? extent.segments : emptyExtent(toOffset(0)).segments;
  const segments: Segment[] = [];
  let cutBytes = 0;
  for (const part of wanted) {
    const segment = new Segment({ fs, dir, base: toOffset(part.base) });
    segments.push(segment);
    if (part.records === 0 && !files.stores.includes(segment.base)) continue;
    const fileBytes = await sizeOf(segment, part);
    segment.found({ records: part.records, bytes: part.storeBytes });
    // Only of the last one: a closed segment may have zeros after its records.
    cutBytes = fileBytes - part.storeBytes;
    await segment.close();
  }
  const removedFiles = await removeOthers(options, files, segments);
  const last = segments.at(-1);
  const isRebuilt = last?.isCreated === true && (await cutLast(last, cutBytes > 0));
  await last?.close();
  return {
    segments,
    recovery: { ...NOTHING_FOUND, cutBytes, rebuiltIndexes: isRebuilt ? 1 : 0, removedFiles },
    isNew: !wanted.some(({ records }) => records > 0),
  };
}

async function sizeOf(segment: Segment, extent: SegmentExtent): Promise<number> {
  const { path } = segment.store;
  const fileBytes = await segment.store.size();
  if (fileBytes >= extent.storeBytes) return fileBytes;
  throw storeCorrupt(
    `Cannot open "${path}": it has ${fileBytes} bytes, wanted the ${extent.storeBytes} that were synced`,
    { file: path, offset: extent.base, position: fileBytes },
  );
}

/** Newer ones back to front, then older ones front to back: what is left never has a gap. */
async function removeOthers(
  { fs, dir }: LogOptions,
  { stores, indexes }: SegmentFiles,
  segments: readonly Segment[],
): Promise<number> {
  const first = segments[0]?.base ?? 0;
  const last = segments.at(-1)?.base ?? 0;
  const bases = [...new Set([...stores, ...indexes])].sort((left, right) => left - right);
  const newer = bases.filter((base) => base > last).reverse();
  const older = bases.filter((base) => base < first);
  return await removeSegments(fs, dir, [...newer, ...older]);
}

/** Makes the files end with the extent. @returns true when the index had to be made anew */
async function cutLast(segment: Segment, isLonger: boolean): Promise<boolean> {
  const { store, index } = segment;
  const size = segment.written;
  const isIndexSound = (await endByIndex(segment, size.records, size.bytes)) === size.bytes;
  if (!isIndexSound) {
    if (!(await isStoreSound(segment, size))) {
      throw storeCorrupt(
        `Cannot open "${store.path}": its first ${size.bytes} bytes are not ${size.records} whole records`,
        { file: store.path, offset: segment.base },
      );
    }
    await rebuildIndex(segment, size);
  }
  await index.ensure();
  await index.cutAfter(size.records);
  if (isLonger) await store.write((file) => file.truncate(size.bytes));
  if (isLonger || !isIndexSound) segment.markDirty();
  return !isIndexSound;
}
