import type { Position } from "../base/units.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { JOURNAL_DIR } from "../storage/layout.ts";
import { journalPath } from "./file-names.ts";
import { BLOCK_BYTES } from "./flush.ts";
import { synced } from "./journal-errors.ts";
import type { Recovered, RecoveredFile } from "./recovery.ts";

const CHUNK_BYTES = 1024 * 1024;

/**
 * Makes what was read true on the disk, before anything depends on it.
 *
 * 1. Writes again all flushes that no later one says were synced. They were read from the page
 *    cache, which may show what the disk never got: after a failed sync, or when the process before
 *    was killed between write and sync.
 * 2. Clears what follows the last flush. Only a block that begins with a valid header of this very
 *    file (sequence and salt fit) could ever be mistaken for a flush, at the end or in the search for
 *    one that claims more. All such blocks behind the end are known from that search; they and the block
 *    where the next flush goes are overwritten with zeros. Bytes between them cannot become a header
 *    by being left alone, and flushes begin and end at whole blocks, so a later flush that is
 *    torn cannot complete half of an old header either.
 * 3. Deletes files that were made ahead, and free ones. They could be used again, but the folder as
 *    the page cache shows it may lie as well: a file renamed twice, of which the disk knows only one
 *    time, would have two names.
 *
 * A crash at any place in here is recovered by doing it again.
 */
export async function repair(fs: FileSystem, recovered: Recovered): Promise<void> {
  const { files, unsynced } = recovered;
  for (const file of files) {
    if (unsynced === undefined || file.sequence < unsynced.sequence) continue;
    const from = file.sequence === unsynced.sequence ? unsynced.position : BLOCK_BYTES;
    if (await rewrite(file, from)) await synced(file.file.sync());
  }
  const last = files.at(-1);
  if (last !== undefined) await clear(last, recovered.stalePositions);
  // The newest first, each one durably: a gap in the sequence would be damage.
  for (const name of [...recovered.unusedNames, ...recovered.freeNames]) {
    await fs.remove(journalPath(name));
    await synced(fs.syncDir(JOURNAL_DIR));
  }
}

/** Writes what is there from `from` to the last flush's end. @returns false when that is nothing */
async function rewrite({ file, endPosition }: RecoveredFile, from: number): Promise<boolean> {
  for (let at = from; at < endPosition; at += CHUNK_BYTES) {
    // Zeros where the file ends inside of the last flush's padding.
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, endPosition - at));
    await file.read(chunk, at as Position);
    await file.write([chunk], at as Position);
  }
  return from < endPosition;
}

async function clear(
  { file, endPosition, sizeBytes }: RecoveredFile,
  stalePositions: readonly number[],
): Promise<void> {
  const positions = new Set([endPosition, ...stalePositions]);
  for (const at of positions) {
    // Never longer than it was: a full disk must not keep the node from starting.
    const count = Math.min(BLOCK_BYTES, sizeBytes - at);
    if (count > 0) await file.write([new Uint8Array(count)], at as Position);
  }
  await synced(file.sync());
}
