import type { ProglogError } from "../../src/base/errors.ts";
import type { CoreHardState } from "../../src/raft/core.ts";
import type { EntryFacts, RaftJournal, RaftWrite } from "../../src/raft/raft-journal.ts";
import { FakeDisk, FakeRaftJournal } from "../support/fake-raft-journal.ts";
import { SimClock } from "../support/sim-clock.ts";

interface Waiting {
  readonly write: RaftWrite;
  readonly done: (error?: ProglogError) => void;
  readonly isUrgent: boolean;
}

/** A journal of one replica that flushes when it is told to. */
export class SteppedJournal implements RaftJournal {
  readonly disk: FakeDisk;
  waiting: Waiting[] = [];
  isDiskFull = false;
  readonly #reader: FakeRaftJournal;
  readonly #fills: (() => void)[] = [];

  constructor(disk = new FakeDisk()) {
    this.disk = disk;
    this.#reader = new FakeRaftJournal(disk, new SimClock());
  }

  appendRaft(
    write: RaftWrite,
    done: (error?: ProglogError) => void,
    options?: { readonly isUrgent?: boolean },
  ): void {
    this.waiting.push({ write, done, isUrgent: options?.isUrgent === true });
  }

  beforeFlush(fill: () => void): void {
    this.#fills.push(fill);
  }

  /** Lets those who gather hand over what they have. */
  fill(): void {
    for (const fill of this.#fills.splice(0)) fill();
  }

  /** Makes the first `count` that wait durable (default: all), as one flush. */
  flush(count?: number): void {
    this.fill();
    for (const { write, done } of this.waiting.splice(0, count ?? this.waiting.length)) {
      this.disk.apply(write);
      done();
    }
  }

  /** Refuses what waits from the first that is not urgent on. */
  refuse(error: ProglogError): void {
    this.fill();
    const first = this.waiting.findIndex(({ isUrgent }) => !isUrgent);
    if (first < 0) return;
    for (const { done } of this.waiting.splice(first)) done(error);
  }

  firstIndex(replicaId: number): number {
    return this.#reader.firstIndex(replicaId);
  }

  lastIndex(replicaId: number): number {
    return this.#reader.lastIndex(replicaId);
  }

  termAt(replicaId: number, index: number): number | undefined {
    return this.#reader.termAt(replicaId, index);
  }

  entryTable(replicaId: number): EntryFacts {
    return this.#reader.entryTable(replicaId);
  }

  entries(replicaId: number, fromIndex: number, endIndex?: number) {
    return this.#reader.entries(replicaId, fromIndex, endIndex);
  }

  replica(replicaId: number): CoreHardState | undefined {
    return this.#reader.replica(replicaId);
  }
}
