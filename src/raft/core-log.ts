import type { ConfEntries } from "./conf-entries.ts";
import type { CoreEntry, CoreLog, CoreSnapshot } from "./core.ts";
import { coreDataOf, coreTypeOf, isConfChange } from "./entry-kinds.ts";
import type { EntryFacts, RaftJournal } from "./raft-journal.ts";

/** Bytes that an entry takes beside its data, as the core counts them. */
const ENTRY_OVERHEAD_BYTES = 12;

export interface JournalLogParts {
  readonly journal: RaftJournal;
  readonly replicaId: number;
  readonly confEntries: ConfEntries;
  readonly snapshot: () => CoreSnapshot | undefined;
}

/** The journal as the core sees it: descriptors, made out of what the journal has in memory. */
export class JournalLog implements CoreLog {
  readonly #parts: JournalLogParts;
  readonly #facts: EntryFacts;

  constructor(parts: JournalLogParts) {
    this.#parts = parts;
    this.#facts = parts.journal.entryTable(parts.replicaId);
  }

  firstIndex(): number {
    return this.#parts.journal.firstIndex(this.#parts.replicaId);
  }

  lastIndex(): number {
    return this.#parts.journal.lastIndex(this.#parts.replicaId);
  }

  termAt(index: number): number | undefined {
    return this.#parts.journal.termAt(this.#parts.replicaId, index);
  }

  entries(from: number, end: number, bytesMax: number): readonly CoreEntry[] | undefined {
    if (from < this.firstIndex()) return undefined;
    const found: CoreEntry[] = [];
    let bytes = 0;
    for (let index = from; index < end; index += 1) {
      const entry = this.#entry(index);
      bytes += entry.data.length + ENTRY_OVERHEAD_BYTES;
      if (bytes > bytesMax && found.length > 0) break;
      found.push(entry);
    }
    return found;
  }

  snapshot(): CoreSnapshot | undefined {
    return this.#parts.snapshot();
  }

  #entry(index: number): CoreEntry {
    const term = this.#facts.termAt(index);
    const kind = this.#facts.kindAt(index);
    const payloadBytes = this.#facts.payloadBytesAt(index);
    if (term === undefined || kind === undefined || payloadBytes === undefined) {
      throw new Error(`Replica ${this.#parts.replicaId} has no entry ${index}`);
    }
    const data = isConfChange(kind)
      ? this.#parts.confEntries.at(index)
      : coreDataOf(kind, payloadBytes);
    if (data === undefined) {
      throw new Error(`Replica ${this.#parts.replicaId} does not know what entry ${index} changes`);
    }
    return { index, term, type: coreTypeOf(kind), data };
  }
}
