import { assert } from "../base/assert.ts";
import type { ConfState } from "./core.ts";
import { ENTRY_KIND_MAX, isConfChange } from "./entry-kinds.ts";
import type { LogTail } from "./log-tail.ts";
import type { RaftHost } from "./raft-host.ts";
import type { JournalledEntry, RaftJournal } from "./raft-journal.ts";
import { ENTRY_COMMAND } from "./voter.ts";
import { entryMissing, entryUnknown } from "./voter-errors.ts";

/** Entries that are committed, by first and last index. */
interface Committed {
  readonly last: number;
  readonly job: number;
}

/** Where a machine is. */
export interface AppliedState {
  readonly index: number;
  readonly term: number;
  /** Membership at that index. */
  readonly conf: ConfState;
}

export interface ApplyLoopParts<O, C, W> {
  readonly journal: RaftJournal;
  readonly host: RaftHost<O, C>;
  readonly replicaId: number;
  readonly tail: LogTail<W>;
  readonly start: AppliedState;
  /** An entry that changes the membership is applied. @returns the membership after it */
  readonly applyConfChange: (kind: number, data: Uint8Array, index: number) => ConfState;
  /** Called for each entry, after {@link ApplyLoop.applied} says so. */
  readonly onEntry: (
    entry: JournalledEntry,
    outcomes: readonly O[],
    waiting: W | undefined,
  ) => void;
  /** All entries of the core's job are applied. */
  readonly onJob: (job: number) => void;
  /** Some entries were applied; called once for those that were applied together. */
  readonly onRun: () => void;
  /** The machine threw, or the journal is not what it must be: nothing is applied any more. */
  readonly onFailure: (error: unknown) => void;
}

const NO_OUTCOMES: readonly never[] = [];

/**
 * Applies what is committed, in order: at once when it is in memory, else as the journal is read. Waits
 * where the machine has no room for what came from other replicas.
 */
export class ApplyLoop<O, C, W> {
  readonly #parts: ApplyLoopParts<O, C, W>;
  readonly #jobs: Committed[] = [];
  #applied: AppliedState;
  /** Something asynchronous is under way. */
  #isWaiting = false;
  #isEnded = false;
  #holds: (() => void)[] = [];
  #isHeld = false;

  constructor(parts: ApplyLoopParts<O, C, W>) {
    this.#parts = parts;
    this.#applied = parts.start;
  }

  get applied(): AppliedState {
    return this.#applied;
  }

  /** Nothing that is committed waits to be applied. */
  get isIdle(): boolean {
    return this.#jobs.length === 0;
  }

  /** Everything from the applied index up to `last` is committed. */
  add(last: number, job: number): void {
    this.#jobs.push({ last, job });
    this.#run();
  }

  /** Applies an entry that is known to be committed, when it is the next one. @returns false when it cannot now */
  replay(entry: JournalledEntry): boolean {
    const isNext = entry.index === this.#applied.index + 1;
    // What changes the membership needs the core.
    const canReplay = entry.kind <= ENTRY_KIND_MAX && !isConfChange(entry.kind);
    if (!isNext || !canReplay || this.#isEnded || !this.#parts.host.canApply()) return false;
    this.#apply(entry, undefined);
    return true;
  }

  /** Resolves when nothing is being applied; from the call on nothing new is begun until {@link release}. */
  hold(): Promise<void> {
    this.#isHeld = true;
    if (!this.#isWaiting) return Promise.resolve();
    return new Promise((resolve) => {
      this.#holds.push(resolve);
    });
  }

  release(): void {
    this.#isHeld = false;
    this.#run();
  }

  /** While held: the machine's state is that of a snapshot now. */
  installed(state: AppliedState): void {
    assert(this.#isHeld && !this.#isWaiting, "A snapshot came while entries were applied");
    this.#applied = state;
  }

  /** Nothing is applied any more. */
  end(): void {
    this.#isEnded = true;
    this.#jobs.length = 0;
    this.#unhold();
  }

  #run(): void {
    if (this.#isWaiting || this.#isHeld || this.#isEnded) return;
    const before = this.#applied.index;
    try {
      while (this.#runFirst());
    } catch (error) {
      this.#fail(error);
    }
    if (this.#applied.index > before) this.#parts.onRun();
  }

  /** @returns false when nothing more can be done now */
  #runFirst(): boolean {
    const job = this.#jobs[0];
    if (job === undefined || this.#isEnded) return false;
    const { tail, host } = this.#parts;
    while (this.#applied.index < job.last) {
      const entry = tail.at(this.#applied.index + 1);
      const payload = entry?.payload;
      if (entry === undefined || payload === undefined) {
        this.#wait(this.#readThrough(job.last));
        return false;
      }
      // What was proposed here is bounded before it is proposed.
      if (entry.waiting === undefined && !host.canApply()) {
        this.#wait(host.whenCanApply());
        return false;
      }
      const { index, term, kind } = entry;
      this.#apply({ index, term, kind, payload }, entry.waiting);
    }
    this.#jobs.shift();
    this.#parts.onJob(job.job);
    return true;
  }

  #wait(work: Promise<void>): void {
    this.#isWaiting = true;
    work.then(
      () => this.#goOn(),
      (error) => this.#fail(error),
    );
  }

  #goOn(): void {
    this.#isWaiting = false;
    this.#unhold();
    this.#run();
  }

  #unhold(): void {
    for (const resolve of this.#holds.splice(0)) resolve();
  }

  /** Applies what is in the journal up to `last`. */
  async #readThrough(last: number): Promise<void> {
    const { journal, host, replicaId, tail } = this.#parts;
    const first = this.#applied.index + 1;
    for await (const entry of journal.entries(replicaId, first, last + 1)) {
      if (entry.index !== this.#applied.index + 1) {
        throw entryMissing(replicaId, this.#applied.index + 1, entry.index);
      }
      if (entry.kind > ENTRY_KIND_MAX) throw entryUnknown(replicaId, entry.index, entry.kind);
      while (!host.canApply() && !this.#isEnded) await host.whenCanApply();
      if (this.#isHeld || this.#isEnded) return;
      this.#apply(entry, tail.at(entry.index)?.waiting);
      this.#parts.onRun();
    }
    if (this.#applied.index < first) throw entryMissing(replicaId, first, last);
  }

  #apply(entry: JournalledEntry, waiting: W | undefined): void {
    const { index, term, kind, payload } = entry;
    assert(index === this.#applied.index + 1, `Cannot apply ${index} out of order`);
    let { conf } = this.#applied;
    let outcomes: readonly O[] = NO_OUTCOMES;
    if (kind === ENTRY_COMMAND) outcomes = this.#parts.host.apply({ index, term, payload });
    else if (isConfChange(kind)) conf = this.#parts.applyConfChange(kind, payload, index);
    this.#applied = { index, term, conf };
    this.#parts.onEntry(entry, outcomes, waiting);
  }

  #fail(error: unknown): void {
    this.#isWaiting = false;
    // Closing the machine ends what it waits for, by an error.
    if (this.#isEnded) return;
    this.end();
    this.#parts.onFailure(error);
  }
}
