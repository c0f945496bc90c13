import type { Clock } from "../../src/base/clock.ts";
import { ProglogError } from "../../src/base/errors.ts";
import type { CoreHardState } from "../../src/raft/core.ts";
import type {
  EntryFacts,
  JournalledEntry,
  RaftJournal,
  RaftWrite,
} from "../../src/raft/raft-journal.ts";

interface DiskReplica extends EntryFacts {
  state: CoreHardState;
  snapshotIndex: number;
  snapshotTerm: number;
  entries: JournalledEntry[];
}

interface Waiting {
  readonly write: RaftWrite;
  readonly done: (error?: ProglogError) => void;
  readonly isUrgent: boolean;
}

/** What survives a crash. */
export class FakeDisk {
  readonly replicas = new Map<number, DiskReplica>();

  add(replicaId: number, at: { index: number; term: number; vote?: number }): void {
    const replica: DiskReplica = {
      state: { term: at.term, vote: at.vote ?? 0, commit: at.index },
      snapshotIndex: at.index,
      snapshotTerm: at.term,
      entries: [],
      termAt: (index) => entryAt(replica, index)?.term,
      kindAt: (index) => entryAt(replica, index)?.kind,
      payloadBytesAt: (index) => entryAt(replica, index)?.payload.length,
    };
    this.replicas.set(replicaId, replica);
  }

  get(replicaId: number): DiskReplica {
    const replica = this.replicas.get(replicaId);
    if (replica === undefined) throw new Error(`There is no replica ${replicaId}`);
    return replica;
  }

  apply(write: RaftWrite): void {
    const replica = this.get(write.replicaId);
    const { snapshot, entries, hardState } = write;
    if (snapshot !== undefined) {
      if (snapshot.index < replica.snapshotIndex) throw new Error("A snapshot goes back");
      replica.entries = [];
      replica.snapshotIndex = snapshot.index;
      replica.snapshotTerm = snapshot.term;
    }
    for (const { index, term, kind, payload } of entries) {
      if (index <= replica.snapshotIndex) continue;
      const at = index - replica.snapshotIndex - 1;
      if (at > replica.entries.length) throw new Error(`Entry ${index} leaves a gap`);
      replica.entries.length = at;
      const bytes = payload[0]?.slice() ?? new Uint8Array();
      replica.entries.push({ index, term, kind, payload: bytes });
    }
    if (hardState === undefined) return;
    const { term, vote, commit } = replica.state;
    if (hardState.term < term) throw new Error("A term goes back");
    if (hardState.term === term && vote !== 0 && hardState.vote !== vote) {
      throw new Error(`A vote changes in term ${term}`);
    }
    if (hardState.commit > lastIndex(replica)) throw new Error("A commit leads its log");
    if (hardState.commit < commit) throw new Error("A commit goes back");
    replica.state = hardState;
  }
}

function entryAt(replica: DiskReplica, index: number): JournalledEntry | undefined {
  return replica.entries[index - replica.snapshotIndex - 1];
}

function lastIndex(replica: DiskReplica): number {
  return replica.snapshotIndex + replica.entries.length;
}

/** One life of a node's journal: flushes take time, and a crash loses what was not flushed. */
export class FakeRaftJournal implements RaftJournal {
  readonly disk: FakeDisk;
  isDiskFull = false;
  /** How long a flush takes. */
  flushMs: () => number;
  /** While true nothing that is under way ends. */
  isHung = false;
  flushes = 0;
  #clock: Clock;
  #waiting: Waiting[] = [];
  #writing: Waiting[] = [];
  #fills: (() => void)[] = [];
  /** Replicas of which something is refused and not told yet: what follows it is refused too. */
  readonly #refused = new Set<number>();
  #isRunning = false;
  #isCrashed = false;

  constructor(disk: FakeDisk, clock: Clock, flushMs: () => number = () => 1) {
    this.disk = disk;
    this.#clock = clock;
    this.flushMs = flushMs;
  }

  appendRaft(
    write: RaftWrite,
    done: (error?: ProglogError) => void,
    options: { readonly isUrgent?: boolean } = {},
  ): void {
    const isUrgent = options.isUrgent ?? write.entries.length === 0;
    const item = { write, done, isUrgent };
    const { replicaId } = write;
    if (this.isDiskFull && (!isUrgent || this.#refused.has(replicaId))) {
      this.#refused.add(replicaId);
      queueMicrotask(() => this.#refuse([item]));
      return;
    }
    this.#waiting.push(item);
    this.#start();
  }

  beforeFlush(fill: () => void): void {
    this.#fills.push(fill);
    this.#start();
  }

  /** The disk fills up: what waits and may be refused is. */
  fill(): void {
    this.isDiskFull = true;
    this.#runFills();
    const refused = this.#waiting.filter(({ write, isUrgent }) => {
      if (!isUrgent) this.#refused.add(write.replicaId);
      return this.#refused.has(write.replicaId);
    });
    this.#waiting = this.#waiting.filter((item) => !refused.includes(item));
    this.#refuse(refused);
  }

  /**
   * The node stops here.
   * @param keep how many of the writes on their way reach the disk all the same
   */
  crash(keep: (count: number) => number = () => 0): void {
    const all = [...this.#writing, ...this.#waiting];
    for (const { write } of all.slice(0, keep(all.length))) this.disk.apply(write);
    this.#isCrashed = true;
    this.#waiting = [];
    this.#writing = [];
    this.#fills = [];
  }

  replica(replicaId: number): CoreHardState | undefined {
    return this.disk.replicas.get(replicaId)?.state;
  }

  firstIndex(replicaId: number): number {
    return this.disk.get(replicaId).snapshotIndex + 1;
  }

  lastIndex(replicaId: number): number {
    return lastIndex(this.disk.get(replicaId));
  }

  termAt(replicaId: number, index: number): number | undefined {
    const replica = this.disk.get(replicaId);
    return index === replica.snapshotIndex ? replica.snapshotTerm : replica.termAt(index);
  }

  entryTable(replicaId: number): EntryFacts {
    return this.disk.get(replicaId);
  }

  async *entries(replicaId: number, fromIndex: number, endIndex = Number.POSITIVE_INFINITY) {
    const replica = this.disk.get(replicaId);
    const end = Math.min(endIndex, lastIndex(replica) + 1);
    for (let index = Math.max(fromIndex, replica.snapshotIndex + 1); index < end; index += 1) {
      await undefined;
      const entry = entryAt(replica, index);
      if (entry === undefined) return;
      yield entry;
    }
  }

  setCheckpoint(replicaId: number, index: number, term: number): void {
    const replica = this.disk.get(replicaId);
    if (index <= replica.snapshotIndex) return;
    replica.entries = replica.entries.slice(index - replica.snapshotIndex);
    replica.snapshotIndex = index;
    replica.snapshotTerm = term;
  }

  #refuse(items: readonly Waiting[]): void {
    for (const { write, done } of items) {
      this.#refused.delete(write.replicaId);
      if (!this.#isCrashed) done(new ProglogError("DISK_FULL", "Cannot append: no room"));
    }
  }

  #start(): void {
    if (this.#isRunning || this.#isCrashed) return;
    this.#isRunning = true;
    queueMicrotask(() => this.#flush());
  }

  #runFills(): void {
    while (this.#fills.length > 0) for (const fill of this.#fills.splice(0)) fill();
  }

  #flush(): void {
    if (this.#isCrashed) return;
    this.#runFills();
    this.#writing = this.#waiting;
    this.#waiting = [];
    if (this.#writing.length === 0) {
      this.#isRunning = false;
      return;
    }
    this.#clock.schedule(this.flushMs(), () => this.#flushed());
  }

  #flushed(): void {
    if (this.#isCrashed) return;
    if (this.isHung) {
      this.#clock.schedule(100, () => this.#flushed());
      return;
    }
    const written = this.#writing;
    this.#writing = [];
    this.flushes += 1;
    for (const { write } of written) this.disk.apply(write);
    for (const { done } of written) if (!this.#isCrashed) done();
    queueMicrotask(() => this.#flush());
  }
}
