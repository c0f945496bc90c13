import { type Offset, toOffset } from "../base/units.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { indexName, joinPath, parseSegmentFileName, storeName } from "./layout.ts";
import { storeCorrupt } from "./storage-errors.ts";

/** Segment files that are in a folder, by base offset, ascending. */
export interface SegmentFiles {
  readonly stores: readonly Offset[];
  readonly indexes: readonly Offset[];
}

/**
 * Lists a log's files; other files may lie beside them.
 *
 * @throws STORE_CORRUPT when a name has a base above 2^53-1
 */
export async function listSegmentFiles(fs: FileSystem, dir: string): Promise<SegmentFiles> {
  const stores: Offset[] = [];
  const indexes: Offset[] = [];
  for (const name of await fs.list(dir)) {
    const found = parseSegmentFileName(name);
    if (found === undefined) continue;
    if (!Number.isSafeInteger(found.base)) {
      const file = joinPath(dir, name);
      throw storeCorrupt(`Cannot open "${file}": its offset is above 2^53-1`, { file });
    }
    (found.kind === "store" ? stores : indexes).push(toOffset(found.base));
  }
  // Names of equal length are in the order of their numbers, but that is the file system's promise.
  const ascending = (left: number, right: number) => left - right;
  return { stores: stores.sort(ascending), indexes: indexes.sort(ascending) };
}

/** Makes the log's folder when it is missing. */
export async function ensureDir(fs: FileSystem, dir: string): Promise<void> {
  if (!(await fs.exists(dir))) await fs.makeDir(dir);
}

/**
 * Deletes segments in the given order. Each is durably gone before the next one goes,
 * so a power cut in between leaves no gap.
 *
 * @returns how many files it tried to delete
 */
export async function removeSegments(
  fs: FileSystem,
  dir: string,
  bases: readonly Offset[],
): Promise<number> {
  for (const base of bases) {
    await fs.remove(joinPath(dir, storeName(base)));
    await fs.remove(joinPath(dir, indexName(base)));
    await fs.syncDir(dir);
  }
  return bases.length * 2;
}
