import { readU64, viewOf } from "../base/bytes.ts";
import { crc32 } from "../platform/crc32.ts";
import { diskFailed } from "../storage/storage-errors.ts";
import type { EntryPlace, EntryTable } from "./entry-table.ts";
import type { FileSet } from "./file-set.ts";
import { saltMask } from "./flush.ts";
import {
  BODY_AT,
  ENTRY_HEAD_BYTES,
  FRAME_HEAD_BYTES,
  FrameType,
  REPLICA_AT,
  TYPE_AT,
} from "./frames.ts";
import { journalCorrupt } from "./journal-errors.ts";
import type { JournalFile } from "./journal-file.ts";
import type { StoredEntry } from "./journal-types.ts";
import type { Replica } from "./replica-set.ts";

/** Most bytes of one read, unless a single entry is larger. */
const READ_BYTES_MAX = 1024 * 1024;

/** Entries of other replicas between two are read along when they are shorter than this. */
const SKIPPED_BYTES_MAX = 16 * 1024;

/**
 * Reads entries of one replica, from `fromIndex` to before `endIndex`, or to the last one at the time
 * of the call, many with one read where they lie together. Ends early when it comes to one that was dropped meanwhile.
 *
 * @throws {ProglogError} JOURNAL_CORRUPT, DISK_FAILED
 */
export async function* readEntries(
  files: FileSet,
  replica: Replica,
  fromIndex: number,
  endIndex = Number.POSITIVE_INFINITY,
): AsyncGenerator<StoredEntry> {
  const { record, entries } = replica;
  const lastIndex = Math.min(entries.isEmpty ? 0 : entries.lastIndex, endIndex - 1);
  let index = Math.max(fromIndex, record.snapshotIndex + 1);
  while (index <= lastIndex) {
    const places = run(entries, index, lastIndex);
    const [first] = places;
    const file = first === undefined ? undefined : files.file(first.file);
    if (first === undefined || file === undefined) return;
    const bytes = await readRun(file, places);
    for (const place of places) {
      const { file: now, position: at } = entries.at(place.index) ?? {};
      if (now === undefined) return;
      // Moved while it was read: what was read may be of the file's next use.
      if (now !== place.file || at !== place.position) break;
      const start = place.position - first.position;
      yield checkEntry(bytes.subarray(start, start + frameBytes(place)), { file, place, replica });
      index += 1;
    }
  }
}

/** Entries from `index` on that one read can get. */
function run(entries: EntryTable, index: number, lastIndex: number): EntryPlace[] {
  const places: EntryPlace[] = [];
  let first: EntryPlace | undefined;
  let end = 0;
  for (let next = index; next <= lastIndex; next += 1) {
    const place = entries.at(next);
    if (place === undefined) break;
    first ??= place;
    if (place !== first) {
      const gap = place.position - end;
      const isNear = place.file === first.file && gap >= 0 && gap <= SKIPPED_BYTES_MAX;
      if (!isNear || place.position + frameBytes(place) - first.position > READ_BYTES_MAX) break;
    }
    places.push(place);
    end = place.position + frameBytes(place);
  }
  return places;
}

async function readRun(file: JournalFile, places: readonly EntryPlace[]): Promise<Uint8Array> {
  const [first] = places;
  const last = places.at(-1);
  if (first === undefined || last === undefined) return new Uint8Array(0);
  const bytes = new Uint8Array(last.position + frameBytes(last) - first.position);
  try {
    await file.read(bytes, first.position);
  } catch (error) {
    throw diskFailed("read the journal", error);
  }
  return bytes;
}

function frameBytes(place: EntryPlace): number {
  return ENTRY_HEAD_BYTES + place.payloadBytes;
}

/**
 * Takes an entry from its frame, which must be what was journalled there in every part.
 * @throws {ProglogError} JOURNAL_CORRUPT
 */
export function checkEntry(
  frame: Uint8Array,
  at: { readonly file: JournalFile; readonly place: EntryPlace; readonly replica: Replica },
): StoredEntry {
  const { file, place, replica } = at;
  const view = viewOf(frame);
  const type = view.getUint8(TYPE_AT);
  const crc = (crc32(frame.subarray(4)) ^ saltMask(file.salt)) >>> 0;
  const isIt =
    crc === view.getUint32(0, true) &&
    view.getUint32(4, true) === frame.length - FRAME_HEAD_BYTES &&
    (type === FrameType.entry || type === FrameType.copiedEntry) &&
    readU64(view, REPLICA_AT) === replica.record.replicaId &&
    readU64(view, BODY_AT) === place.index &&
    readU64(view, BODY_AT + 8) === place.term;
  if (!isIt) {
    throw journalCorrupt(`entry ${place.index} of replica ${replica.record.replicaId} is damaged`, {
      sequence: file.sequence,
      position: place.position,
    });
  }
  const { index, term, kind } = place;
  return { index, term, kind, payload: frame.subarray(ENTRY_HEAD_BYTES) };
}
