import { ProglogError } from "../base/errors.ts";
import { diskFailed } from "../storage/storage-errors.ts";
import { walName } from "./file-names.ts";
import { FORMAT_VERSION } from "./flush.ts";

/** What of an append is known after its disk failed. */
export type Outcome = "none" | "unknown";

/**
 * Damage of what was synced. Files are kept as they are.
 *
 * @param message the present state, as in "Cannot open the journal: <message>"
 */
export function journalCorrupt(
  message: string,
  place: { readonly sequence: number; readonly position: number },
): ProglogError {
  const file = walName(place.sequence);
  return new ProglogError(
    "JOURNAL_CORRUPT",
    `Cannot use the journal: ${message} (${file} at byte ${place.position}), ` +
      "what was synced must be whole",
    { metadata: { file, position: `${place.position}` } },
  );
}

export function journalUnsupported(place: {
  readonly sequence: number;
  readonly position: number;
}): ProglogError {
  const file = walName(place.sequence);
  return new ProglogError(
    "DATA_DIR_INVALID",
    `Cannot use the journal: ${file} at byte ${place.position} is of a format that this program ` +
      `does not know, version ${FORMAT_VERSION} is wanted`,
    { metadata: { file, position: `${place.position}` } },
  );
}

/** What an append or a hard state is told when the disk failed. */
export function appendFailed(cause: unknown, outcome: Outcome): ProglogError {
  const known = outcome === "none" ? "was not written" : "may have been written or not";
  return new ProglogError(
    "DISK_FAILED",
    `Cannot append to the journal: the disk failed, what was to be appended ${known}`,
    { metadata: { outcome }, cause },
  );
}

/**
 * Waits for a sync. Its error never means "try again", not even lack of space: the pages that it was
 * about may be gone from the cache.
 *
 * @throws {ProglogError} DISK_FAILED
 */
export async function synced(syncing: Promise<void>): Promise<void> {
  try {
    await syncing;
  } catch (error) {
    throw diskFailed("sync the journal", error);
  }
}
