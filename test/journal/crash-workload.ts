import assert from "node:assert/strict";
import { hasReason } from "../../src/base/errors.ts";
import type { Journal } from "../../src/journal/journal.ts";
import type { RaftWrite } from "../../src/journal/journal-types.ts";
import { integerFrom } from "../support/prng.ts";
import {
  applyOperation,
  copyOf,
  difference,
  type ModelState,
  type Operation,
  stateOf,
} from "./crash-model.ts";
import { newReplica } from "./journal-harness.ts";

interface Issued {
  readonly operation: Operation;
  isAcknowledged: boolean;
}

/**
 * Calls a journal at random and knows what it may hold after a crash: what the
 * operations up to some point make of it, in the order of the calls, and that
 * point is not before the last one that was acknowledged.
 */
export class CrashWorkload {
  readonly #random: () => number;
  /** At the start of this life. */
  #base: ModelState = new Map();
  #issued: Issued[] = [];
  /** After all operations so far. */
  #latest: ModelState = new Map();
  /** Every index that was given as a checkpoint in this life, by replica. */
  readonly #checkpoints = new Map<number, Set<number>>();
  #nextId = 1;
  #text = 0;
  readonly #faults: string[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  get replicaCount(): number {
    return this.#latest.size;
  }

  /** Does one thing; waits for it, or not. */
  async step(journal: Journal): Promise<void> {
    const way = this.#random();
    const id = this.#pick(journal);
    let calling: Promise<void> | undefined;
    if (id === undefined || way < 0.03) calling = this.#add(journal);
    else if (way < 0.05) calling = this.#remove(journal, id);
    else if (way < 0.15) calling = this.#hardState(journal, id);
    else if (way < 0.3) this.#checkpoint(journal, id);
    else if (way < 0.34) calling = this.#copyForward(journal);
    else if (way < 0.36) calling = journal.idle();
    else if (way < 0.68) calling = this.#raft(journal, id);
    else calling = this.#append(journal, id);
    // Nobody may be left with a rejection that nobody hears.
    calling?.catch(() => {});
    if (calling !== undefined && this.#random() < 0.4) await calling;
  }

  /** Says what survived, which must be one of the states that may; the next life begins there. */
  async check(journal: Journal, what: string, isSynced: (operation: Operation) => boolean) {
    assert.deepEqual(this.#faults, [], what);
    const found = await stateOf(journal);
    const acknowledged = this.#issued.findLastIndex(
      (issued) => issued.isAcknowledged && isSynced(issued.operation),
    );
    const state = copyOf(this.#base);
    const differences: string[] = [];
    for (let count = 0; count <= this.#issued.length; count += 1) {
      if (count > acknowledged) {
        const fault = difference(found, state, this.#checkpoints);
        if (fault === undefined) return this.#beginAt(found, state);
        differences.push(`after ${count} operations: ${fault}`);
      }
      const issued = this.#issued[count];
      if (issued !== undefined) applyOperation(state, issued.operation);
    }
    const counts = `${acknowledged + 1} of ${this.#issued.length} operations were acknowledged`;
    assert.fail(`${what}: ${counts}\n${differences.join("\n")}`);
  }

  #beginAt(found: ModelState, state: ModelState): void {
    this.#checkpoints.clear();
    for (const [id, { record }] of found) {
      const replica = state.get(id);
      if (replica === undefined) continue;
      const { snapshotIndex, snapshotTerm } = record;
      replica.record = { ...replica.record, snapshotIndex, snapshotTerm };
    }
    this.#base = state;
    this.#latest = copyOf(state);
    this.#issued = [];
  }

  #issue(operation: Operation, calling: Promise<void>): Promise<void> {
    const issued = { operation, isAcknowledged: false };
    this.#issued.push(issued);
    applyOperation(this.#latest, operation);
    return calling.then(
      () => {
        issued.isAcknowledged = true;
      },
      (error: unknown) => {
        if (hasReason(error, "DISK_FULL")) this.#forget(issued);
        throw error;
      },
    );
  }

  /** It was refused: nothing of it happened. */
  #forget(refused: Issued): void {
    this.#issued = this.#issued.filter((issued) => issued !== refused);
    this.#latest = copyOf(this.#base);
    for (const { operation } of this.#issued) applyOperation(this.#latest, operation);
  }

  /** A replica that may be used: durable, and not being removed. */
  #pick(journal: Journal): number | undefined {
    const ids = [...this.#latest.keys()].filter((id) => journal.replica(id) !== undefined);
    return ids[Math.floor(this.#random() * ids.length)];
  }

  #add(journal: Journal): Promise<void> {
    const record = newReplica(this.#nextId);
    this.#nextId += 1;
    return this.#issue({ do: "add", record }, journal.addReplica(record));
  }

  #remove(journal: Journal, id: number): Promise<void> {
    return this.#issue({ do: "remove", id }, journal.removeReplica(id));
  }

  #hardState(journal: Journal, id: number): Promise<void> {
    const { record } = this.#replica(id);
    const term = record.term + integerFrom(this.#random, 0, 2);
    const vote = integerFrom(this.#random, 0, 5);
    const state = { term, vote, commit: this.#lastCheckpoint(id) };
    return this.#issue({ do: "hardState", id, state }, journal.setHardState(id, state));
  }

  #append(journal: Journal, id: number): Promise<void> {
    const { record, entries: held } = this.#replica(id);
    const last = Math.max(record.snapshotIndex, ...held.keys());
    let index = last + 1;
    // Sometimes another suffix takes the place of the last entries, as Raft may demand.
    if (this.#random() < 0.1) {
      index = this.#replacing(id, last);
    }
    const { text, payload } = this.#payload(id, index);
    const entries = [{ index, term: record.term, kind: 0, payload }];
    const operation = { do: "raft", id, entries: [{ index, text }], isSynced: false } as const;
    return this.#issueRaft(journal, { replicaId: id, entries }, operation);
  }

  /** One of the last entries, none that may not be replaced. */
  #replacing(id: number, last: number): number {
    const kept = Math.max(this.#lastCheckpoint(id), this.#replica(id).record.commit);
    return Math.max(kept + 1, last - integerFrom(this.#random, 0, 2));
  }

  #payload(id: number, index: number): { text: string; payload: Uint8Array[] } {
    this.#text += 1;
    const bytes = this.#random() < 0.1 ? integerFrom(this.#random, 0, 9000) : 20;
    const text = `${this.#text} for ${id}:${index};`.padEnd(bytes, "abcdefg");
    const half = Math.floor(text.length / 2);
    const parts = [text.slice(0, half), text.slice(half)];
    return { text, payload: parts.map((part) => new TextEncoder().encode(part)) };
  }

  /** Any of a snapshot, entries, and a hard state; none of them is fine too. */
  #raft(journal: Journal, id: number): Promise<void> {
    const { record, entries } = this.#replica(id);
    const kept = this.#lastCheckpoint(id);
    let last = Math.max(record.snapshotIndex, ...entries.keys());
    let first = this.#random() < 0.2 ? this.#replacing(id, last) : last + 1;
    const write: { -readonly [K in keyof RaftWrite]: RaftWrite[K] } = {
      replicaId: id,
      entries: [],
    };
    const way = this.#random();
    if (way < 0.1) {
      last = Math.max(kept, record.commit) + integerFrom(this.#random, 1, 5);
      first = last + 1;
      write.snapshot = { index: last, term: record.term };
    } else if (record.commit <= kept && way < 0.2) {
      // Comes late: the checkpoint has the first ones, and they may be of any term.
      first = Math.max(1, kept - 1);
    }
    const made = [];
    const count = first <= kept ? 3 : integerFrom(this.#random, 0, 3);
    for (let index = first; index < first + count; index += 1) {
      made.push({ index, term: record.term, kind: 0, ...this.#payload(id, index) });
    }
    write.entries = made.map(({ text: _, ...entry }) => entry);
    last = made.at(-1)?.index ?? last;
    if (this.#random() < 0.6) {
      const term = record.term + integerFrom(this.#random, 0, 1);
      const commit = integerFrom(this.#random, Math.min(record.commit, last), last);
      write.hardState = { term, vote: integerFrom(this.#random, 1, 3), commit };
    }
    const isEmpty = made.length === 0 && !write.snapshot && !write.hardState;
    // What has nothing in it brings no sync.
    if (this.#random() < 0.2 && !isEmpty) write.mustSync = true;
    const { snapshot, hardState } = write;
    const isOther = hardState?.term !== record.term || hardState.vote !== record.vote;
    const operation: Operation = {
      do: "raft",
      id,
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(hardState === undefined ? {} : { hardState }),
      entries: made.filter(({ index }) => index > kept),
      isSynced: write.mustSync === true || snapshot !== undefined || (!!hardState && isOther),
    };
    return this.#issueRaft(journal, write, operation);
  }

  #issueRaft(journal: Journal, write: RaftWrite, operation: Operation): Promise<void> {
    const issued = { operation, isAcknowledged: false };
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    journal.appendRaft(write, (error) => {
      if (error === undefined) this.#acknowledge(issued, write.replicaId);
      // At once: the next call may come before anything that waits for a promise.
      else if (hasReason(error, "DISK_FULL")) this.#forget(issued);
      if (error === undefined) resolve();
      else reject(error);
    });
    this.#issued.push(issued);
    applyOperation(this.#latest, operation);
    return promise;
  }

  #acknowledge(acknowledged: Issued, id: number): void {
    acknowledged.isAcknowledged = true;
    for (const issued of this.#issued) {
      if (issued === acknowledged) return;
      const { operation, isAcknowledged } = issued;
      const isBefore = operation.do === "raft" && operation.id === id && !isAcknowledged;
      if (isBefore) this.#faults.push(`a write of replica ${id} was told before an older one`);
    }
  }

  #checkpoint(journal: Journal, id: number): void {
    // Only what is durable and will not be replaced by what is on its way.
    const underWay = this.#issued.flatMap(({ operation, isAcknowledged }) => {
      if (isAcknowledged) return [];
      if (operation.do !== "raft" || operation.id !== id) return [];
      const { snapshot, entries } = operation;
      return [snapshot, ...entries].flatMap((one) => (one === undefined ? [] : [one.index]));
    });
    const last = Math.min(journal.lastIndex(id), ...underWay.map((index) => index - 1));
    const index = last - integerFrom(this.#random, 0, 3);
    const term = journal.termAt(id, index);
    if (index < journal.firstIndex(id) || term === undefined) return;
    this.#checkpoints.set(id, (this.#checkpoints.get(id) ?? new Set()).add(index));
    journal.setCheckpoint(id, index, term);
  }

  async #copyForward(journal: Journal): Promise<void> {
    const [id] = journal.laggards();
    if (id !== undefined && this.#latest.has(id)) await journal.copyForward(id);
  }

  #lastCheckpoint(id: number): number {
    return Math.max(
      this.#replica(id).record.snapshotIndex,
      ...(this.#checkpoints.get(id) ?? new Set<number>()),
    );
  }

  #replica(id: number) {
    const replica = this.#latest.get(id);
    assert.ok(replica !== undefined);
    return replica;
  }
}
