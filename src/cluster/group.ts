import type { Clock } from "../base/clock.ts";
import { hasReason, type ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Journal } from "../journal/journal.ts";
import type { FileSystem } from "../platform/file-system.ts";
import type { Admission } from "../raft/admission.ts";
import { SingleVoter } from "../raft/single-voter.ts";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "../storage/checkpoint.ts";
import { Serial } from "../storage/serial.ts";
import type { Machine } from "../topics/machine.ts";
import type { Reserve } from "./reserve.ts";
import { orDiskFull } from "./wait.ts";

/** What all groups of a node share. */
export interface GroupContext {
  readonly fs: FileSystem;
  readonly journal: Journal;
  /** As the journal was opened. */
  readonly sync: "always" | "none";
  readonly admission: Admission;
  readonly reserve: Reserve;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Entries were applied. Called often: must be cheap. */
  readonly onApplied: () => void;
  /** The node cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

export interface GroupOptions<M> {
  readonly context: GroupContext;
  readonly topicId: number;
  readonly replicaId: number;
  readonly dir: string;
  readonly machine: M;
  /** Last entry that the machine's state includes. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** True when no durable checkpoint holds that state. */
  readonly isUnsaved: boolean;
}

/** Raft's membership of a group that has one voter and no Raft yet. */
const NO_CONF_STATE = new Uint8Array(0);

/** One replica on this node: its machine, its voter, and its checkpoints. */
export class Group<O, C, M extends Machine<O, C>> {
  readonly topicId: number;
  readonly replicaId: number;
  readonly machine: M;
  readonly voter: SingleVoter<O, C>;
  readonly #context: GroupContext;
  readonly #dir: string;
  readonly #checkpoints = new Serial();
  #savedIndex: number;
  #isUnsaved: boolean;
  #isStopped = false;
  #freeing: Promise<void> = Promise.resolve();

  constructor(options: GroupOptions<M>) {
    const { context, machine, replicaId, appliedIndex, appliedTerm } = options;
    const { journal, admission, clock } = context;
    this.topicId = options.topicId;
    this.replicaId = replicaId;
    this.machine = machine;
    this.#context = context;
    this.#dir = options.dir;
    this.#savedIndex = appliedIndex;
    this.#isUnsaved = options.isUnsaved;
    this.voter = new SingleVoter<O, C>({
      journal,
      host: machine,
      lane: admission.lane(),
      clock,
      replicaId,
      term: journal.replica(replicaId)?.term ?? appliedTerm,
      lastIndex: journal.lastIndex(replicaId),
      appliedIndex,
      appliedTerm,
      onApplied: context.onApplied,
      onFailure: context.onFailure,
    });
    // A crash may have come between the checkpoint and its mark.
    if (!options.isUnsaved) journal.setCheckpoint(replicaId, appliedIndex, appliedTerm);
  }

  /** True until what recovery found without a checkpoint is in one. */
  get isUnsaved(): boolean {
    return this.#isUnsaved;
  }

  /** True when a start would have entries to apply. */
  get isDirty(): boolean {
    return this.#isUnsaved || this.voter.appliedIndex > this.#savedIndex;
  }

  /**
   * Writes a checkpoint of what is applied now, if that is new, after which journal
   * entries and trimmed files may go. One at a time.
   *
   * @returns false when there was no room for it, or for what it would say: then at most
   *   trimmed files went, and the state is saved some other time
   */
  checkpoint(): Promise<boolean> {
    return this.#checkpoints.run(async () => {
      if (this.#isStopped || !this.isDirty) return true;
      try {
        return (await this.#save()) || (await this.#saveTrim());
      } catch (error) {
        if (this.#isStopped || hasReason(error, "DISK_FULL")) return false;
        this.#context.onFailure(error);
        throw error;
      }
    });
  }

  async #save(): Promise<boolean> {
    const { fs, journal, reserve, clock } = this.#context;
    const { machine, topicId, replicaId } = this;
    const { appliedIndex, appliedTerm } = this.voter;
    if (machine.isDiskFull) return false;
    const captured = machine.capture();
    let isSynced = false;
    const syncing = machine.sync().then(() => {
      isSynced = true;
    });
    await orDiskFull(syncing, () => machine.isDiskFull, clock);
    if (!isSynced) return false;
    await this.#syncJournal(appliedIndex, appliedTerm);
    const place = { topicId, replicaId, appliedIndex, appliedTerm, confState: NO_CONF_STATE };
    await writeCheckpoint(fs, this.#dir, { ...place, ...captured });
    this.#savedIndex = appliedIndex;
    this.#isUnsaved = false;
    if (this.#isStopped) return true;
    journal.setCheckpoint(replicaId, appliedIndex, appliedTerm);
    this.#free(captured.startOffset);
    // There was room for a checkpoint; should the reserve have been used, this is the time.
    await reserve.fill();
    return true;
  }

  /**
   * The files cannot be brought to where the state is, but trimmed ones could make room:
   * so the last checkpoint is written again without what was trimmed since.
   *
   * @returns false: the state itself is not saved
   */
  async #saveTrim(): Promise<false> {
    const { fs } = this.#context;
    const last = await readCheckpoint(fs, this.#dir);
    if (this.#isUnsaved || typeof last !== "object") return false;
    const trimmed = this.machine.captureTrim(last);
    if (trimmed === undefined) return false;
    await this.#writeWithReserve({ ...last, ...trimmed.captured });
    if (!this.#isStopped) this.#free(trimmed.freeBefore);
    return false;
  }

  async #writeWithReserve(checkpoint: Checkpoint): Promise<void> {
    const { fs, reserve } = this.#context;
    try {
      await writeCheckpoint(fs, this.#dir, checkpoint);
    } catch (error) {
      if (!hasReason(error, "DISK_FULL")) throw error;
      await reserve.spend();
      await writeCheckpoint(fs, this.#dir, checkpoint);
    }
  }

  /** Not waited for: readers may hold on to the files. */
  #free(beforeOffset: number): void {
    this.#freeing = this.machine.freeBefore(beforeOffset).catch((error) => {
      // A failed disk has been reported by the log; closing ends the wait for readers.
      if (this.#isStopped) return;
      const fields = { dir: this.#dir };
      this.#context.logger.warn("Trimmed files were not deleted", fields, error);
    });
  }

  /** A checkpoint must not be ahead of what a power cut leaves of the journal. */
  async #syncJournal(commit: number, term: number): Promise<void> {
    const { journal, sync } = this.#context;
    if (sync === "always") return;
    await journal.setHardState(this.replicaId, { term, vote: this.replicaId, commit });
  }

  /** Ends the group at once; who waits is told `reason`. See `SingleVoter.stop`. */
  stop(reason: ProglogError): void {
    this.#isStopped = true;
    this.voter.stop(reason);
  }

  /** Closes the files, after what is under way. With `discard` what is not written stays unwritten. */
  async close(options: { readonly discard?: boolean } = {}): Promise<void> {
    this.#isStopped = true;
    try {
      await this.machine.close(options);
    } finally {
      await this.#checkpoints.idle();
      await this.#freeing;
    }
  }
}
