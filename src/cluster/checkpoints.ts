import type { Clock } from "../base/clock.ts";
import { hasReason } from "../base/errors.ts";
import type { Journal } from "../journal/journal.ts";

/** Longest pause after a checkpoint. */
const PAUSE_MS_MAX = 100;

/** Until a checkpoint that lets files go, and found no room, is tried again. */
const RETRY_MS = 1_000;

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
  /** Bytes of journal above which what keeps it long is copied forward. */
  readonly journalBytesMax: number;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Writes checkpoints in the background: of everything whenever the journal has
 * grown by so many bytes, of single groups when that lets files go. One at a time,
 * with pauses as long as the work, as long as the journal is not too long.
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

  #isDue(): boolean {
    return this.#wanted.size > 0 || this.#isRoundDue();
  }

  #isRoundDue(): boolean {
    const { journal, journalBytes } = this.#options;
    return journal.writtenBytes - this.#roundAt >= journalBytes;
  }

  async #run(): Promise<void> {
    // Not in the turn that applied something: its answers go out first.
    await undefined;
    const { journal, groups } = this.#options;
    const isRound = this.#isRoundDue();
    if (isRound) this.#roundAt = journal.writtenBytes;
    const wanted = new Set(this.#wanted);
    this.#wanted.clear();
    const failed: number[] = [];
    for (const group of groups()) {
      if (this.#isClosed) return;
      if (!group.isDirty || !(isRound || wanted.has(group.replicaId))) continue;
      if (await this.#checkpoint(group)) continue;
      failed.push(group.replicaId);
      if (wanted.has(group.replicaId)) this.#retry(group.replicaId);
    }
    if (failed.length > 0) await this.#copyForward(failed);
  }

  /** A failure that is not lack of room has been reported by the group. */
  async #checkpoint(group: CheckpointedGroup): Promise<boolean> {
    const { clock } = this.#options;
    const startMs = clock.monotonicMs();
    const isDone = await group.checkpoint().catch(() => true);
    await this.#pause(clock.monotonicMs() - startMs);
    return isDone;
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
        // Of a failed disk the journal has told the node.
        if (!hasReason(error, "DISK_FULL") && !hasReason(error, "DISK_FAILED")) throw error;
        return;
      }
    }
  }

  #pause(workMs: number): Promise<void> {
    const { clock, journal, journalBytesMax } = this.#options;
    const isUrgent = journal.usedBytes >= journalBytesMax / 2;
    if (workMs <= 0 || isUrgent || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = clock.schedule(Math.min(workMs, PAUSE_MS_MAX), resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
