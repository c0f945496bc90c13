import { readU64, viewOf } from "../base/bytes.ts";
import { diskFailed } from "../storage/storage-errors.ts";
import { checkEntry, readEntries } from "./entry-reader.ts";
import type { FileSet } from "./file-set.ts";
import { decodeFlushHeader, FIRST_FLUSH, flushBytes, HEADER_BYTES } from "./flush.ts";
import { BODY_AT, frameBytesAt, REPLICA_AT } from "./frames.ts";
import { journalCorrupt } from "./journal-errors.ts";
import type { JournalFile } from "./journal-file.ts";
import type { ReplicaEntry } from "./journal-types.ts";
import { ReadWindow } from "./read-window.ts";
import type { Replica, ReplicaSet } from "./replica-set.ts";

export interface EntryScanParts {
  readonly files: FileSet;
  readonly replicas: ReplicaSet;
  /** First index that is wanted of that replica. */
  readonly fromIndex: (replicaId: number) => number;
}

/**
 * Reads the live entries of all replicas in one pass over the files, so that a thousand replicas
 * cost no more than one; those of a flush together. The entries of each replica come in the order of
 * their indexes.
 *
 * @throws {ProglogError} JOURNAL_CORRUPT, DISK_FAILED
 */
export async function* scanEntries(parts: EntryScanParts): AsyncGenerator<readonly ReplicaEntry[]> {
  const { files, replicas, fromIndex } = parts;
  const wanted = new Map<number, { replica: Replica; from: number }>();
  const outOfOrder: Replica[] = [];
  for (const replica of replicas.all()) {
    const { replicaId } = replica.record;
    // Entries that were copied forward stand behind younger ones.
    if (!replica.entries.isInFileOrder()) outOfOrder.push(replica);
    else wanted.set(replicaId, { replica, from: fromIndex(replicaId) });
  }
  for (const file of files.kept()) yield* scanFile(file, wanted);
  for (const replica of outOfOrder) {
    const { replicaId } = replica.record;
    for await (const entry of readEntries(files, replica, fromIndex(replicaId))) {
      yield [{ replicaId, ...entry }];
    }
  }
}

async function* scanFile(
  file: JournalFile,
  wanted: ReadonlyMap<number, { readonly replica: Replica; readonly from: number }>,
): AsyncGenerator<readonly ReplicaEntry[]> {
  const end = file.endPosition;
  const window = new ReadWindow(async (target, at) => {
    try {
      return await file.read(target, at);
    } catch (error) {
      throw diskFailed("read the journal", error);
    }
  });
  let position = FIRST_FLUSH;
  while (position < end) {
    const header = decodeFlushHeader(await window.get(position, HEADER_BYTES), file);
    if (typeof header === "string") {
      throw journalCorrupt("a flush is damaged", { sequence: file.sequence, position });
    }
    // A copy: the window moves on while the caller still has the payloads.
    const bytes = (await window.get(position + HEADER_BYTES, header.frameBytes)).slice();
    const view = viewOf(bytes);
    const entries: ReplicaEntry[] = [];
    for (let at = 0; at < bytes.length; at += frameBytesAt(view, at)) {
      const replicaId = readU64(view, at + REPLICA_AT);
      const found = wanted.get(replicaId);
      if (found === undefined || at + BODY_AT + 8 > bytes.length) continue;
      const place = found.replica.entries.at(readU64(view, at + BODY_AT));
      const framePosition = position + HEADER_BYTES + at;
      const isLive = place?.file === file.sequence && place.position === framePosition;
      if (!isLive || place.index < found.from) continue;
      const frame = bytes.subarray(at, at + frameBytesAt(view, at));
      entries.push({ replicaId, ...checkEntry(frame, { file, place, replica: found.replica }) });
    }
    if (entries.length > 0) yield entries;
    position += flushBytes(header.frameBytes);
  }
}
