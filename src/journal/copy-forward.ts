import { MIB } from "../base/units.ts";
import type { Copy } from "./batch.ts";
import { readEntries } from "./entry-reader.ts";
import type { FileSet } from "./file-set.ts";
import type { Replica } from "./replica-set.ts";

/** Payload bytes that are in memory at a time. */
const COPIED_BYTES_MAX = 4 * MIB;

/**
 * Reads the replica's entries in the file of that sequence, a few at a time. Each group must be
 * journalled before the next is asked for.
 */
export async function* readCopies(
  files: FileSet,
  replica: Replica,
  sequence: number,
): AsyncGenerator<readonly Copy[]> {
  const { record, entries } = replica;
  const indexes = new Set(entries.indexesIn(sequence));
  const lastIndex = Math.max(...indexes);
  const [firstIndex] = indexes;
  if (firstIndex === undefined) return;
  let copies: Copy[] = [];
  let bytes = 0;
  for await (const { payload, ...entry } of readEntries(files, replica, firstIndex)) {
    const place = entries.at(entry.index);
    if (indexes.has(entry.index) && place?.file === sequence) {
      const { file, position } = place;
      const input = { replicaId: record.replicaId, ...entry, payload: [payload] };
      copies.push({ entry: input, file, position });
      bytes += payload.length;
    }
    if (bytes >= COPIED_BYTES_MAX) {
      yield copies;
      copies = [];
      bytes = 0;
    }
    if (entry.index >= lastIndex) break;
  }
  if (copies.length > 0) yield copies;
}
