import type { ProglogError } from "../../src/base/errors.ts";
import type { VoterJournal } from "../../src/raft/voter.ts";

type Entry = Parameters<VoterJournal["append"]>[0][number];

interface Waiting {
  readonly entry: Entry;
  readonly done: (error?: ProglogError) => void;
  readonly isUrgent: boolean;
}

/** A journal that flushes when it is told to, and keeps what it flushed. */
export class FakeJournal implements VoterJournal {
  readonly stored: { index: number; term: number; kind: number; payload: Uint8Array }[] = [];
  waiting: Waiting[] = [];
  readonly fills: (() => void)[] = [];
  isDiskFull = false;
  flushes = 0;

  append(
    entries: readonly Entry[],
    done: (error?: ProglogError) => void,
    options?: { readonly isUrgent?: boolean },
  ): void {
    const [entry] = entries;
    if (entry === undefined || entries.length !== 1) throw new Error("One entry at a time");
    this.waiting.push({ entry, done, isUrgent: options?.isUrgent === true });
  }

  beforeFlush(fill: () => void): void {
    this.fills.push(fill);
  }

  /** Lets those who gather hand over what they have. */
  fill(): void {
    for (const fill of this.fills.splice(0)) fill();
  }

  async *entries(_replicaId: number, fromIndex: number) {
    for (const entry of this.stored) if (entry.index >= fromIndex) yield entry;
  }

  /** Makes the first `count` that wait durable (default: all), as one flush. */
  flush(count?: number): void {
    this.flushes += 1;
    this.fill();
    for (const { entry, done } of this.waiting.splice(0, count ?? this.waiting.length)) {
      const { index, term, kind, payload } = entry;
      const last = this.stored.at(-1)?.index;
      if (last !== undefined && index !== last + 1) {
        throw new Error(`Entry ${index} comes after ${last}`);
      }
      this.stored.push({ index, term, kind, payload: payload[0] ?? new Uint8Array() });
      done();
    }
  }

  /** Refuses what waits and is not urgent. */
  refuse(error: ProglogError): void {
    this.fill();
    const refused = this.waiting.filter((waiting) => !waiting.isUrgent);
    this.waiting = this.waiting.filter((waiting) => waiting.isUrgent);
    for (const { done } of refused) done(error);
  }
}
