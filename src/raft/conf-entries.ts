import { isConfChange } from "./entry-kinds.ts";
import type { RaftJournal } from "./raft-journal.ts";

/** What the entries of a log that change the membership say: few, and the core wants them at once. */
export class ConfEntries {
  /** By index, of the journal or on their way there. */
  readonly #data = new Map<number, Uint8Array>();

  /** Reads them out of the journal. @throws JOURNAL_CORRUPT, DISK_FAILED */
  async load(journal: RaftJournal, replicaId: number): Promise<void> {
    const table = journal.entryTable(replicaId);
    const end = journal.lastIndex(replicaId) + 1;
    for (let index = journal.firstIndex(replicaId); index < end; index += 1) {
      if (!isConfChange(table.kindAt(index) ?? 0)) continue;
      for await (const entry of journal.entries(replicaId, index, index + 1)) {
        this.#data.set(index, entry.payload);
      }
    }
  }

  /** Undefined when that entry is none, or gone. */
  at(index: number): Uint8Array | undefined {
    return this.#data.get(index);
  }

  get isEmpty(): boolean {
    return this.#data.size === 0;
  }

  /** The highest one. */
  get last(): number | undefined {
    return this.#data.size === 0 ? undefined : Math.max(...this.#data.keys());
  }

  /** The lowest one above `index`; infinite when there is none. */
  firstAbove(index: number): number {
    let first = Number.POSITIVE_INFINITY;
    for (const at of this.#data.keys()) if (at > index && at < first) first = at;
    return first;
  }

  set(index: number, data: Uint8Array): void {
    this.#data.set(index, data);
  }

  cutFrom(index: number): void {
    for (const at of this.#data.keys()) if (at >= index) this.#data.delete(at);
  }

  dropBelow(index: number): void {
    for (const at of this.#data.keys()) if (at < index) this.#data.delete(at);
  }
}
