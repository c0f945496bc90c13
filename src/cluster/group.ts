import { MalformedBytesError } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { hasReason, ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Journal } from "../journal/journal.ts";
import type { FileSystem } from "../platform/file-system.ts";
import type { Admission } from "../raft/admission.ts";
import { decodeConfState, encodeConfState } from "../raft/conf-state.ts";
import type { ConfState } from "../raft/core.ts";
import { RaftGroup } from "../raft/raft-group.ts";
import type { OfferedSnapshot, PreparedSnapshot } from "../raft/raft-host.ts";
import type { RaftNode } from "../raft/raft-node.ts";
import {
  adoptPendingCheckpoint,
  type Checkpoint,
  dropPendingCheckpoint,
  pendingVerdict,
  readCheckpoint,
  writeCheckpoint,
} from "../storage/checkpoint.ts";
import { CHECKPOINT_PENDING_NAME } from "../storage/layout.ts";
import { Serial } from "../storage/serial.ts";
import type { Captured, Machine } from "../topics/machine.ts";
import { neededIndex } from "./needed-index.ts";
import type { PeerCalls } from "./peer-host.ts";
import { ReplicaHost } from "./replica-host.ts";
import type { Reserve } from "./reserve.ts";
import { orDiskFull } from "./wait.ts";

/** What all groups of a node share. */
export interface GroupContext {
  readonly nodeId: string;
  readonly fs: FileSystem;
  readonly journal: Journal;
  /** As the journal was opened. */
  readonly sync: "always" | "none";
  readonly raft: RaftNode;
  /** Who has the records that a replica lacks. */
  readonly peers: Pick<PeerCalls, "copyRange">;
  readonly admission: Admission;
  readonly reserve: Reserve;
  /** Bytes of journal from which on it keeps no applied entries for replicas that lack them still. */
  readonly keptJournalBytesMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Entries were applied. Called often: must be cheap. */
  readonly onApplied: () => void;
  /** Who leads the group, or who belongs to it, may have changed. */
  readonly onChange: (topicId: number) => void;
  /** Raft has failed in this group alone: it has stopped, and is to be opened anew. */
  readonly onPoisoned: (topicId: number, error: unknown) => void;
  /** The node cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

/** Where a replica is when it is opened, before the journal's entries beyond it. */
export interface ReplicaStart {
  /** Last entry that the machine's state includes. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Who belongs to the group at that entry. */
  readonly conf: ConfState;
  /** True when no durable checkpoint holds that state. */
  readonly isUnsaved: boolean;
}

export interface GroupOptions<M> extends ReplicaStart {
  readonly context: GroupContext;
  readonly topicId: number;
  readonly replicaId: number;
  readonly dir: string;
  readonly machine: M;
  /** See `RaftGroupOptions`. */
  readonly tellsCommitAtOnce?: boolean;
}

/** One replica on this node: its machine, its part in Raft, and its checkpoints. */
export class Group<O, C, M extends Machine<O, C>> {
  readonly topicId: number;
  readonly replicaId: number;
  readonly machine: M;
  readonly raft: RaftGroup<O, C>;
  readonly #context: GroupContext;
  readonly #host: ReplicaHost<O, C>;
  readonly #dir: string;
  readonly #checkpoints = new Serial();
  #savedIndex: number;
  /** What the journal was told to keep entries from, or above it. */
  #markedIndex: number;
  #isUnsaved: boolean;
  #isStopped = false;
  #freeing: Promise<void> = Promise.resolve();

  constructor(options: GroupOptions<M>) {
    const { context, machine, topicId, replicaId, appliedIndex, appliedTerm, conf } = options;
    const { journal, admission, clock } = context;
    this.topicId = topicId;
    this.replicaId = replicaId;
    this.machine = machine;
    this.#context = context;
    this.#dir = options.dir;
    this.#savedIndex = appliedIndex;
    this.#markedIndex = appliedIndex;
    this.#isUnsaved = options.isUnsaved;
    this.#host = new ReplicaHost(machine, (offered, signal) => this.#install(offered, signal));
    this.raft = new RaftGroup<O, C>({
      ...{ journal, clock, topicId, replicaId, conf, appliedIndex, appliedTerm },
      node: context.raft,
      host: this.#host,
      lane: admission.lane(),
      tellsCommitAtOnce: options.tellsCommitAtOnce === true,
      onApplied: context.onApplied,
      onChange: () => context.onChange(topicId),
      onFailure: context.onFailure,
      onPoisoned: (error) => context.onPoisoned(topicId, error),
    });
    // A crash may have come between the checkpoint and its mark.
    if (!options.isUnsaved) journal.setCheckpoint(replicaId, appliedIndex, appliedTerm);
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** True until what recovery found without a checkpoint is in one. */
  get isUnsaved(): boolean {
    return this.#isUnsaved;
  }

  /** True when a start would have entries to apply, or the journal keeps some that it should not. */
  get isDirty(): boolean {
    return this.#isUnsavedAtAll || (this.#markedIndex < this.#savedIndex && !this.#mayKeep);
  }

  get #isUnsavedAtAll(): boolean {
    return this.#isUnsaved || this.raft.appliedIndex > this.#savedIndex;
  }

  /** True when a start would have more to apply than what a new leader begins with. */
  get isWorthSaving(): boolean {
    return this.#isUnsaved || this.#host.lastCommandIndex > this.#savedIndex;
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
      if (!this.#isUnsavedAtAll) {
        this.#markCheckpoint(this.raft.appliedIndex, this.raft.appliedTerm);
        return true;
      }
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
    const { fs, reserve, clock } = this.#context;
    const { machine } = this;
    const { appliedIndex, appliedTerm, conf } = this.raft;
    if (machine.isDiskFull || !machine.canCapture) return false;
    const captured = machine.capture();
    let isSynced = false;
    const syncing = machine.sync().then(() => {
      isSynced = true;
    });
    await orDiskFull(syncing, () => machine.isDiskFull, clock);
    if (!isSynced) return false;
    await this.#syncJournal(appliedIndex);
    await writeCheckpoint(
      fs,
      this.#dir,
      this.#checkpointOf(captured, { appliedIndex, appliedTerm, conf }),
    );
    this.#savedIndex = appliedIndex;
    this.#isUnsaved = false;
    if (this.#isStopped) return true;
    this.#markCheckpoint(appliedIndex, appliedTerm);
    this.#free(captured.startOffset);
    // There was room for a checkpoint; should the reserve have been used, this is the time.
    await reserve.fill();
    return true;
  }

  #checkpointOf(
    captured: Captured,
    { appliedIndex, appliedTerm, conf }: Omit<ReplicaStart, "isUnsaved">,
  ): Checkpoint {
    const { topicId, replicaId } = this;
    const confState = encodeConfState(conf);
    return { topicId, replicaId, appliedIndex, appliedTerm, confState, ...captured };
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
  async #syncJournal(commit: number): Promise<void> {
    const { journal, sync } = this.#context;
    if (sync === "always") return;
    // Not what is durable: a newer vote may be on its way.
    await journal.setHardState(this.replicaId, { ...this.raft.hardState, commit });
  }

  /** The journal lets entries go that nobody needs; replicas that are behind shall not need a snapshot. */
  #markCheckpoint(appliedIndex: number, appliedTerm: number): void {
    const { journal } = this.#context;
    const needed = this.#neededIndex(appliedIndex);
    const term = needed === appliedIndex ? appliedTerm : journal.termAt(this.replicaId, needed);
    if (term === undefined) return;
    journal.setCheckpoint(this.replicaId, needed, term);
    this.#markedIndex = Math.max(this.#markedIndex, needed);
  }

  /** Replicas that lack more than that get a snapshot: with a journal that is too long no more is written at all. */
  get #mayKeep(): boolean {
    const { journal, keptJournalBytesMax } = this.#context;
    return journal.usedBytes < keptJournalBytesMax;
  }

  #neededIndex(appliedIndex: number): number {
    const { voters, learners } = this.raft.conf;
    const isAlone = voters.length + learners.length < 2;
    if (!this.raft.isLeaderReady || isAlone || !this.#mayKeep) return appliedIndex;
    const keptFrom = this.#context.journal.firstIndex(this.replicaId) - 1;
    return neededIndex(this.raft.status()?.progress ?? [], { keptFrom, appliedIndex });
  }

  /**
   * Brings what a leader's snapshot stands for. No checkpoint is written from now until it is committed or
   * aborted: the files are ahead of the state.
   */
  #install(offered: OfferedSnapshot, signal: AbortSignal): Promise<PreparedSnapshot> {
    const { promise, resolve, reject } = Promise.withResolvers<PreparedSnapshot>();
    void this.#checkpoints.run(async () => {
      const ended = Promise.withResolvers<void>();
      try {
        signal.throwIfAborted();
        const captured = await this.#bring(offered, signal);
        // Stopped after the core has accepted it: the next start sees whether the journal has its mark.
        signal.addEventListener("abort", () => ended.resolve(), { once: true });
        resolve({
          commit: (adopted) => this.#adopt(offered, captured, adopted).finally(ended.resolve),
          abort: () => this.#abandon().finally(ended.resolve),
        });
      } catch (error) {
        reject(error);
        return;
      }
      await ended.promise;
    });
    return promise;
  }

  async #bring(offered: OfferedSnapshot, signal: AbortSignal): Promise<Captured> {
    const { fs, peers } = this.#context;
    const { topicId, replicaId, machine } = this;
    const { fromNode, fromReplica, index, term, conf } = offered;
    const copy = (firstOffset: number, endOffset: number) =>
      peers.copyRange(
        fromNode,
        { topicId, fromReplica: replicaId, toReplica: fromReplica, firstOffset, endOffset },
        { signal },
      );
    const captured = await machine.bring(offered.data, { copy, signal });
    signal.throwIfAborted();
    const start = { appliedIndex: index, appliedTerm: term, conf };
    await writeCheckpoint(
      fs,
      this.#dir,
      this.#checkpointOf(captured, start),
      CHECKPOINT_PENDING_NAME,
    );
    return captured;
  }

  /** The journal has the snapshot's mark. */
  async #adopt({ index }: OfferedSnapshot, captured: Captured, adopted: () => void): Promise<void> {
    if (this.#isStopped) return;
    await adoptPendingCheckpoint(this.#context.fs, this.#dir);
    this.machine.become(captured);
    adopted();
    this.#savedIndex = index;
    this.#markedIndex = index;
    this.#isUnsaved = false;
    this.#free(captured.startOffset);
  }

  /** The file must be gone before the log is cut: it speaks of what is there now. */
  async #abandon(): Promise<void> {
    try {
      await dropPendingCheckpoint(this.#context.fs, this.#dir);
      await this.machine.abandon();
    } catch (error) {
      if (!this.#isStopped) this.#context.onFailure(error);
    }
  }

  /** Ends the group at once; who waits is told `reason`. See `RaftGroup.stop`. */
  stop(reason: ProglogError): void {
    this.#isStopped = true;
    this.raft.stop(reason);
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

/**
 * Before a replica is opened: a snapshot whose mark the journal has becomes its checkpoint, any other one
 * that was on its way is of no use.
 */
export async function settlePending(
  { fs, journal }: Pick<GroupContext, "fs" | "journal">,
  { dir, replicaId }: { readonly dir: string; readonly replicaId: number },
): Promise<void> {
  const pending = await readCheckpoint(fs, dir, CHECKPOINT_PENDING_NAME);
  if (pending === undefined) return;
  if (pendingVerdict(pending, journal.replica(replicaId)) === "adopt") {
    await adoptPendingCheckpoint(fs, dir);
  } else {
    await dropPendingCheckpoint(fs, dir);
  }
}

/**
 * The membership in a checkpoint.
 * @throws DATA_DIR_INVALID for one that another program wrote
 */
export function confIn(bytes: Uint8Array): ConfState {
  try {
    return decodeConfState(bytes);
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause;
    throw new ProglogError(
      "DATA_DIR_INVALID",
      `Cannot read a checkpoint: ${cause.message}, wanted one that this program wrote`,
      { cause },
    );
  }
}
