import type { Clock } from "../base/clock.ts";
import { hasReason } from "../base/errors.ts";
import type { Journal } from "../journal/journal.ts";
import { forEachOf, orDiskFull } from "./wait.ts";

/** Longest pause after a checkpoint. */
const PAUSE_MS_MAX = 100;

/** Until what found no room is tried again. */
const RETRY_MS = 1_000;

/** Checkpoints side by side when the journal is long; less than the runtime's threads, for the journal needs one. */
const SIDE_BY_SIDE_MAX = 3;

/** A group as this sees it. */
export interface CheckpointedGroup {
  readonly replicaId: number;
  readonly isDirty: boolean;
  /** @returns false when there was no room */
  checkpoint(): Promise<boolean>;
}

export interface CheckpointsOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  /** All groups that are open. */
  readonly groups: () => readonly CheckpointedGroup[];
  /** Bytes of journal after which everything is checkpointed. */
  readonly journalBytes: number;
  /**
   * Bytes of journal above which what cannot be checkpointed is copied forward. At twice as
   * many nothing new comes in (see Throttle), so files are let go without waiting for that.
   */
  readonly journalBytesMax: number;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Writes checkpoints in the background: of everything whenever the journal has
 * grown by so many bytes, of single groups when that lets files go. One at a time,
 * with pauses as long as the work, unless the journal gets too long.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #wanted = new Set<number>();
  /** `journal.writtenBytes` at the last round. What is left from before the start counts as well. */
  #roundAt: number;
  #running: Promise<void> | undefined;
  #wake = () => {};
  readonly #unsaved = new Set<number>();
  #cancelRetry: (() => void) | undefined;
  #isClosed = false;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
    this.#roundAt = options.journal.writtenBytes - options.journal.usedBytes;
  }

  /** A checkpoint of this replica lets files go. */
  want(replicaId: number): void {
    this.#wanted.add(replicaId);
    this.poke();
  }

  /** Looks whether there is something to do. Cheap: called after every run of applied entries. */
  poke(): void {
    if (this.#running !== undefined || this.#isClosed || !this.#isDue()) return;
    this.#running = this.#run()
      .catch((error) => this.#options.onFailure(error))
      .finally(() => {
        this.#running = undefined;
        this.poke();
      });
  }

  /** Begins nothing new; resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    this.#cancelRetry?.();
    await this.#running;
  }

  get #isTooLong(): boolean {
    const { journal, journalBytesMax } = this.#options;
    return journal.usedBytes >= 2 * journalBytesMax;
  }

  get #isUrgent(): boolean {
    const { journal, journalBytesMax } = this.#options;
    return journal.usedBytes >= journalBytesMax / 2;
  }

  #isDue(): boolean {
    return this.#wanted.size > 0 || this.#isRoundDue();
  }

  #isRoundDue(): boolean {
    const { journal, journalBytes } = this.#options;
    const isGrown = journal.writtenBytes - this.#roundAt >= journalBytes;
    return isGrown || (this.#isTooLong && this.#cancelRetry === undefined);
  }

  async #run(): Promise<void> {
    // Not in the turn that applied something: its answers go out first.
    await undefined;
    const { journal, groups } = this.#options;
    const isRound = this.#isRoundDue();
    if (isRound) this.#roundAt = journal.writtenBytes;
    const wanted = new Set(this.#wanted);
    this.#wanted.clear();
    // Those first that keep the oldest file.
    const lagging = new Set(isRound ? journal.laggards() : []);
    const due = groups()
      .filter((group) => group.isDirty && (isRound || wanted.has(group.replicaId)))
      .sort((a, b) => Number(lagging.has(b.replicaId)) - Number(lagging.has(a.replicaId)));
    const failed: number[] = [];
    await forEachOf(due, this.#isUrgent ? SIDE_BY_SIDE_MAX : 1, async (group) => {
      if (this.#isClosed || (await this.#checkpoint(group))) return;
      failed.push(group.replicaId);
      if (wanted.has(group.replicaId) || this.#isTooLong) this.#retry(group.replicaId);
    });
    if (failed.length > 0) await this.#copyForward(failed);
    if (this.#isTooLong) await this.#shorten();
  }

  /** A failure that is not lack of room has been reported by the group. */
  async #checkpoint(group: CheckpointedGroup): Promise<boolean> {
    const { clock } = this.#options;
    const startMs = clock.monotonicMs();
    const isDone = await group.checkpoint().catch(() => true);
    await this.#pause(clock.monotonicMs() - startMs);
    return isDone;
  }

  /** While nothing is let in, nothing else would bring the journal to let its files go. */
  async #shorten(): Promise<void> {
    const { journal, clock } = this.#options;
    const [replica] = journal.replicas();
    if (replica === undefined || this.#isClosed) return;
    const { replicaId, term, vote, commit } = replica;
    const flushed = journal.setHardState(replicaId, { term, vote, commit });
    const isFull = () => journal.isDiskFull;
    await orDiskFull(
      flushed.then(() => journal.idle()),
      isFull,
      clock,
    );
    if (this.#isTooLong && !this.#isClosed) this.#retry(replicaId);
  }

  #retry(replicaId: number): void {
    this.#unsaved.add(replicaId);
    this.#cancelRetry ??= this.#options.clock.schedule(RETRY_MS, () => {
      this.#cancelRetry = undefined;
      for (const unsaved of this.#unsaved) this.#wanted.add(unsaved);
      this.#unsaved.clear();
      this.poke();
    });
  }

  /** The others' journal must not grow without end because of those that cannot be checkpointed. */
  async #copyForward(replicaIds: readonly number[]): Promise<void> {
    const { journal, journalBytesMax } = this.#options;
    for (const replicaId of journal.laggards()) {
      if (journal.usedBytes < journalBytesMax || this.#isClosed) return;
      if (!replicaIds.includes(replicaId)) continue;
      try {
        await journal.copyForward(replicaId);
      } catch (error) {
        if (this.#isClosed) return;
        // Of a failed disk the journal has told the node.
        if (!hasReason(error, "DISK_FULL") && !hasReason(error, "DISK_FAILED")) throw error;
        return;
      }
    }
  }

  #pause(workMs: number): Promise<void> {
    const { clock } = this.#options;
    if (workMs <= 0 || this.#isUrgent || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = clock.schedule(Math.min(workMs, PAUSE_MS_MAX), resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
