import { assert } from "../base/assert.ts";
import type { ProglogError } from "../base/errors.ts";
import type { ConfEntries } from "./conf-entries.ts";
import type {
  CoreEntry,
  CoreGroup,
  CoreHardState,
  CoreMessage,
  CoreReady,
  CoreRole,
  CoreSnapshot,
  CoreVerdict,
} from "./core.ts";
import { describePayload, ENTRY_NO_OP, isConfChange, kindOf } from "./entry-kinds.ts";
import type { LogTail, TailEntry } from "./log-tail.ts";
import type { Outbox } from "./outbox.ts";
import type { RaftJournal } from "./raft-journal.ts";
import { StagedPayloads } from "./staged-payloads.ts";
import { type StorageJob, StorageJobs } from "./storage-jobs.ts";
import { StorageQueue, type StorageWrite } from "./storage-queue.ts";
import { ENTRY_COMMAND } from "./voter.ts";

/** A command that becomes an entry. */
export interface Proposal<W> {
  readonly payload: Uint8Array;
  /** Who is told what comes of it. */
  readonly waiting: W;
  /** It is journalled also while the disk is full. */
  readonly makesRoom: boolean;
}

export interface CoreDriverParts<W> {
  readonly journal: RaftJournal;
  readonly replicaId: number;
  readonly hardState: CoreHardState;
  readonly tail: LogTail<W>;
  readonly confEntries: ConfEntries;
  readonly outbox: Outbox;
  readonly tick: () => number;
  /** True when nobody else belongs to the group. */
  readonly isSole: () => boolean;
  readonly onSoft: (leader: number, role: CoreRole) => void;
  readonly onTerm: (term: number) => void;
  /** Everything up to `last` is committed. */
  readonly onCommitted: (last: number, job: number) => void;
  readonly onRead: (index: number, context: Uint8Array) => void;
  /** Others have taken the place of entries that were proposed here. */
  readonly onLost: (entries: readonly TailEntry<W>[]) => void;
  /** An entry that was proposed here will never be: the disk is full. */
  readonly onRefused: (waiting: W, error: ProglogError) => void;
  /** The disk has no room for a write, which waits: see {@link CoreDriver.retry}. */
  readonly onHeld: () => void;
  /** The journal has the mark of a snapshot. */
  readonly onSnapshot: (snapshot: CoreSnapshot) => Promise<void>;
  /** Nothing is possible any more. */
  readonly onFailure: (error: unknown) => void;
}

/** Carries out what the core of one group wants: journals, sends, hands on; and tells it when that is done. */
export class CoreDriver<W> {
  readonly #parts: CoreDriverParts<W>;
  readonly #core: CoreGroup;
  readonly #staged = new StagedPayloads();
  readonly #jobs: StorageJobs;
  readonly #queue: StorageQueue<W>;
  /** Snapshots that are on their way into the journal and the machine. */
  #snapshotCount = 0;
  /** Accepted by the core: the last entries of what it says next. */
  #proposals: Proposal<W>[] = [];
  #hardState: CoreHardState;
  /** As the journal has it, or will. */
  #storedState: CoreHardState;
  #isDraining = false;
  /** It will be drained at the end of the turn. */
  #isScheduled = false;
  #isClosed = false;

  constructor(core: CoreGroup, parts: CoreDriverParts<W>) {
    this.#core = core;
    this.#parts = parts;
    this.#hardState = parts.hardState;
    this.#storedState = parts.hardState;
    this.#jobs = new StorageJobs(({ job }) => this.#tell(job));
    const { journal, replicaId } = parts;
    this.#queue = new StorageQueue({
      journal,
      replicaId,
      onHeld: (write, error) => this.#held(write, error),
    });
  }

  get core(): CoreGroup {
    return this.#core;
  }

  get hardState(): CoreHardState {
    return this.#hardState;
  }

  /** The oldest write that is under way began at this tick. */
  get oldestWriteTick(): number | undefined {
    return this.#jobs.oldestTick;
  }

  /** Nothing is on its way to the journal. */
  get isStored(): boolean {
    return this.#jobs.isIdle;
  }

  /** The core has accepted a snapshot that is not in its place yet. */
  get isInstalling(): boolean {
    return this.#snapshotCount > 0;
  }

  /** Writes wait for room on the disk. */
  get isHeld(): boolean {
    return this.#queue.isHeld;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#jobs.clear();
    this.#parts.outbox.close();
    this.#core.close();
  }

  /** Does something with the core; what it wants then is done at the end of the turn. A failure goes to the owner. */
  with(work: (core: CoreGroup) => void): void {
    if (this.#isClosed) return;
    try {
      work(this.#core);
    } catch (error) {
      this.#parts.onFailure(error);
    }
    if (this.#isScheduled || this.#isDraining || this.#isClosed) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.drain();
    });
  }

  /** Proposes an entry. When it is accepted it is in the journal's hands on return. */
  propose(proposal: Proposal<W>): CoreVerdict {
    // What has come in decides whether this one still leads.
    this.drain();
    if (this.#isClosed) return "dropped";
    try {
      const verdict = this.#core.propose([describePayload(proposal.payload.length)]);
      if (verdict === "ok") this.#proposals.push(proposal);
      this.drain();
      return verdict;
    } catch (error) {
      this.#parts.onFailure(error);
      return "dropped";
    }
  }

  /** Takes an append message with its payloads. */
  stepAppend(
    message: CoreMessage,
    entries: readonly CoreEntry[],
    payloads: readonly Uint8Array[],
  ): void {
    this.with((core) => {
      if (entries.some(({ index, term }) => this.#staged.hasOther(index, term))) this.drain();
      for (const [at, { index, term }] of entries.entries()) {
        const payload = payloads[at];
        if (payload !== undefined) this.#staged.add(index, term, payload);
      }
      core.step(message);
    });
  }

  /** The core's apply job is done. */
  applied(job: number): void {
    this.#tell(job);
  }

  /** Hands in again what the full disk had no room for. */
  retry(): void {
    if (this.#queue.isHeld && (this.#parts.isSole() || !this.#parts.journal.isDiskFull)) {
      this.#queue.retry();
    }
  }

  /** Carries out all that the core wants now. */
  drain(): void {
    if (this.#isDraining || this.#isClosed) return;
    this.#isDraining = true;
    try {
      while (this.#carryOutNext());
      this.#staged.clear();
    } catch (error) {
      this.#parts.onFailure(error);
    } finally {
      this.#isDraining = false;
    }
  }

  /** @returns false when the core wants nothing now */
  #carryOutNext(): boolean {
    if (this.#isClosed) return false;
    const proposals = this.#proposals;
    const ready = this.#core.ready();
    const count = ready?.entries.length ?? 0;
    assert(count >= proposals.length, "The core accepted a proposal and does not say where");
    if (ready === undefined) return false;
    // Those that are made meanwhile are of the next one.
    if (proposals.length > 0) this.#proposals = [];
    this.#carryOut(ready, proposals);
    return true;
  }

  #carryOut(ready: CoreReady, proposals: readonly Proposal<W>[]): void {
    const { outbox, onSoft, onTerm, onRead, onCommitted } = this.#parts;
    if (ready.hardState !== undefined) {
      const isNewTerm = ready.hardState.term !== this.#hardState.term;
      this.#hardState = ready.hardState;
      if (isNewTerm) onTerm(ready.hardState.term);
    }
    if (ready.soft !== undefined) onSoft(ready.soft.leader, ready.soft.role);
    if (ready.snapshot !== undefined) {
      this.#snapshotCount += 1;
      this.#dropEntries();
    }
    const makesRoom = proposals.some((proposal) => proposal.makesRoom);
    this.#store(ready, this.#take(ready.entries, proposals), makesRoom);
    for (const message of ready.messages) outbox.post(message);
    for (const { index, context } of ready.reads) onRead(index, context);
    if (ready.applyJob !== 0) onCommitted(ready.commitLast, ready.applyJob);
  }

  #dropEntries(): void {
    const { tail, confEntries, onLost } = this.#parts;
    confEntries.cutFrom(0);
    onLost(tail.clear());
  }

  /** Puts the entries that the core has accepted where they are found until they are applied. */
  #take(entries: readonly CoreEntry[], proposals: readonly Proposal<W>[]): readonly TailEntry<W>[] {
    const first = entries[0];
    if (first === undefined) return [];
    const { tail, confEntries, onLost } = this.#parts;
    const lost = tail.cutFrom(first.index);
    if (lost.length > 0) onLost(lost);
    if (!confEntries.isEmpty) confEntries.cutFrom(first.index);
    const proposedFrom = entries.length - proposals.length;
    const taken: TailEntry<W>[] = [];
    let at = -proposedFrom;
    for (const entry of entries) {
      const made = this.#tailEntry(entry, proposals[at]);
      at += 1;
      if (isConfChange(made.kind)) confEntries.set(entry.index, entry.data);
      tail.add(made);
      taken.push(made);
    }
    return taken;
  }

  #tailEntry(entry: CoreEntry, proposal: Proposal<W> | undefined): TailEntry<W> {
    const { index, term, data } = entry;
    const kind = proposal === undefined ? kindOf(entry) : ENTRY_COMMAND;
    assert(kind !== undefined, `Entry ${index} is of a kind that this program does not know`);
    let payload: Uint8Array | undefined = data;
    if (proposal !== undefined) payload = proposal.payload;
    else if (kind === ENTRY_COMMAND) payload = this.#staged.take(index, term);
    assert(payload !== undefined, `The core accepted entry ${index} without its payload`);
    const payloadBytes = payload.length;
    return { index, term, kind, payloadBytes, payload, waiting: proposal?.waiting };
  }

  #store(ready: CoreReady, entries: readonly TailEntry<W>[], makesRoom: boolean): void {
    const { snapshot } = ready;
    const hardState = this.#hardState;
    const { term, vote } = this.#storedState;
    const isNewVote = hardState.term !== term || hardState.vote !== vote;
    const isWrite = entries.length > 0 || snapshot !== undefined || isNewVote;
    // A commit index alone need not be durable: the next write takes it along.
    if (!isWrite && ready.appendJob === 0) return;
    const beganTick = this.#parts.tick();
    const job = this.#jobs.begin({ job: ready.appendJob, beganTick, isDone: false });
    if (!isWrite) {
      this.#jobs.done(job);
      return;
    }
    this.#storedState = hardState;
    this.#queue.add({
      entries,
      snapshot,
      hardState,
      mustSync: isNewVote || snapshot !== undefined,
      isUrgent: makesRoom || entries.every(({ kind }) => kind !== ENTRY_COMMAND),
      done: (error) => this.#stored(job, { entries, snapshot }, error),
    });
  }

  #stored(
    job: StorageJob,
    { entries, snapshot }: Pick<StorageWrite<W>, "entries" | "snapshot">,
    error: ProglogError | undefined,
  ): void {
    if (this.#isClosed) return;
    if (error !== undefined) {
      this.#parts.onFailure(error);
      return;
    }
    for (const entry of entries) this.#parts.tail.relieve(entry);
    if (snapshot === undefined) {
      this.#jobs.done(job);
      return;
    }
    this.#parts.onSnapshot(snapshot).then(
      () => {
        this.#snapshotCount -= 1;
        this.#jobs.done(job);
      },
      (cause) => this.#parts.onFailure(cause),
    );
  }

  #tell(job: number): void {
    if (job === 0) return;
    this.with((core) => {
      for (const message of core.jobDone(job)) this.#parts.outbox.post(message);
    });
  }

  /**
   * Nobody else has seen the entries of a group of one, and they were never durable here: they may become
   * ones without a payload, for which the reserve has room. Others may have them: then they wait.
   */
  #held(write: StorageWrite<W>, error: ProglogError): void {
    if (this.#isClosed) return;
    this.#parts.onHeld();
    if (!this.#parts.isSole()) return;
    if (!write.isUrgent) {
      for (const entry of write.entries) {
        if (entry.kind !== ENTRY_COMMAND) continue;
        const { waiting } = entry;
        this.#parts.tail.empty(entry, ENTRY_NO_OP);
        if (waiting !== undefined) this.#parts.onRefused(waiting, error);
      }
    }
    write.isUrgent = true;
  }
}
