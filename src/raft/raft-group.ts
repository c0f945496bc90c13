import type { Abortable } from "../base/abortable.ts";
import { ProglogError } from "../base/errors.ts";
import {
  type ConfChange,
  type ConfState,
  CoreGroupFailedError,
  type CoreHardState,
  CoreRole,
  type CoreStatus,
} from "./core.ts";
import { Intake } from "./intake.ts";
import { groupFailed, outcomeUnknown, quorumSilent } from "./raft-errors.ts";
import type { JournalledEntry } from "./raft-journal.ts";
import type { RaftGroupOptions } from "./raft-options.ts";
import { RaftReplica } from "./raft-replica.ts";
import type { VoterProposeOptions } from "./voter.ts";
import { diskFull } from "./voter-errors.ts";

const ROLES = {
  [CoreRole.follower]: "follower",
  [CoreRole.candidate]: "candidate",
  [CoreRole.preCandidate]: "candidate",
  [CoreRole.leader]: "leader",
} as const;

/** Entries of shared commands that a leader has on their way, so that those behind them are worth their cost. */
const ENTRIES_MAX = 2;

/**
 * One replica of a group, as its owner sees it. Commands that are proposed to the leader become entries, are
 * journalled on a majority, applied in order by every replica, and acknowledged by the leader, in this order.
 *
 * What becomes of a proposal is known only when something is applied at its index: itself, then its outcome
 * is told; or another one, then it was refused (NOT_LEADER, `outcome: none`). Who gives up before
 * that, or whose replica stops, or gets a snapshot instead of entries, learns `outcome: unknown`.
 */
export class RaftGroup<O, C> {
  readonly topicId: number;
  readonly replicaId: number;
  readonly #options: RaftGroupOptions<O, C>;
  readonly #replica: RaftReplica<O, C>;
  readonly #intake: Intake<O, C>;
  /** Told at each change. */
  #watchers: (() => void)[] = [];
  #isRecovering = true;
  #isDraining = false;
  #stopped: ProglogError | undefined;
  /** Why it cannot go on. */
  #failure: { readonly error: unknown } | undefined;

  constructor(options: RaftGroupOptions<O, C>) {
    const { journal, host, lane, clock } = options;
    this.topicId = options.topicId;
    this.replicaId = options.replicaId;
    this.#options = options;
    this.#replica = new RaftReplica(options, {
      settled: (calls, outcomes) => this.#intake.settled(calls, outcomes),
      refused: (calls, error) => this.#intake.refuse(calls, error),
      changed: () => this.#changed(),
      leaderless: () => this.#intake.forsake(outcomeUnknown(options.topicId)),
      failed: (error) => this.#failed(error),
    });
    this.#intake = new Intake<O, C>({
      ...{ journal, host, lane, clock },
      refusal: (makesRoom) => this.#refusal(makesRoom),
      tick: () => options.node.tick,
      silence: (sinceTick) => this.#silence(sinceTick),
      entriesMax: () => (this.#replica.isSole ? Number.POSITIVE_INFINITY : ENTRIES_MAX),
      propose: (payload, calls, makesRoom) => this.#replica.propose(payload, calls, makesRoom),
    });
  }

  get appliedIndex(): number {
    return this.#replica.applied.index;
  }

  get appliedTerm(): number {
    return this.#replica.applied.term;
  }

  /** Membership at {@link appliedIndex}. */
  get conf(): ConfState {
    return this.#replica.applied.conf;
  }

  /** As the journal has it, or will have before anything that is handed to it now. */
  get hardState(): CoreHardState {
    return this.#replica.hardState;
  }

  get term(): number {
    return this.#replica.hardState.term;
  }

  get role(): "leader" | "follower" | "candidate" {
    return ROLES[this.#replica.leadership.role];
  }

  /** As far as it is known here. */
  get leaderReplicaId(): number | undefined {
    return this.#replica.leadership.leaderReplicaId;
  }

  /** It leads, and everything that was acknowledged before it did is applied here. */
  get isLeaderReady(): boolean {
    return this.#replica.isReady;
  }

  /** True until {@link recover} is through: the state is older than what was acknowledged. */
  get isRecovering(): boolean {
    return this.#isRecovering;
  }

  /** What the core says; undefined before {@link recover} and after {@link stop}. Costs a call into it. */
  status(): CoreStatus | undefined {
    return this.#stopped === undefined ? this.#replica.status() : undefined;
  }

  /**
   * Applies an entry that a pass over the journal came by, before {@link recover}.
   * @returns false when it cannot now: recover will do it, or say what is wrong
   */
  replay(entry: JournalledEntry): boolean {
    return this.#stopped === undefined && this.#replica.replay(entry);
  }

  /**
   * Opens the group and applies what is known to be committed; to be called once. It waits while the host
   * has no room. An only voter leads when this resolves, unless its disk is full.
   *
   * Rejects with what `onFailure` is told meanwhile, too. Resolves early when it is stopped.
   *
   * @throws JOURNAL_CORRUPT when an entry is missing or of an unknown kind
   */
  async recover(): Promise<void> {
    const commit = await this.#replica.open();
    await this.#until(() => this.appliedIndex >= commit);
    if (this.#stopped !== undefined) return;
    if (this.#replica.isOnlyVoter) {
      this.#replica.changes.campaign();
      await this.#until(() => this.isLeaderReady || this.#options.journal.isDiskFull);
    }
    this.#isRecovering = false;
    this.#changed();
  }

  /**
   * See `Replicator.propose`. Rejects with NOT_LEADER (metadata `leaderReplica` when it is known) when this
   * replica does not lead.
   */
  propose(command: C, options: VoterProposeOptions): Promise<O> {
    // What was taken before is still proposed.
    if (this.#isDraining && this.#stopped === undefined) {
      const message = "Cannot append: the server is stopping";
      return Promise.reject(new ProglogError("DRAINING", message));
    }
    return this.#intake.propose(command, options);
  }

  /**
   * Resolves when everything that was acknowledged anywhere before the call is applied here.
   * @throws NO_QUORUM when no leader confirms it; what the caller says
   */
  readIndex(caller?: Abortable): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    return this.#replica.readIndex(caller);
  }

  /**
   * Changes who belongs to the group, on its leader. Resolves when that is applied here; several changes are
   * still being completed then (`conf.votersOutgoing`), which happens by itself.
   *
   * @throws NOT_LEADER; CONF_CHANGE_PENDING: later; {@link CoreRefusedError} for what cannot be
   */
  changeConf(changes: readonly ConfChange[]): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    return this.#replica.changes.changeConf(changes);
  }

  /**
   * Hands the leadership to that voter. Resolves when it is known to lead.
   * @throws NOT_LEADER, NOT_A_VOTER; NO_QUORUM when it does not take it within an election time-out
   */
  transferLeadership(toReplica: number): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    return this.#replica.changes.transferLeadership(toReplica);
  }

  /** Stands for election at once, where that is of use: it may lead and does not. */
  campaign(): void {
    this.#replica.changes.campaign();
  }

  /** Gives up the leadership, whoever may have it next. */
  stepDown(): void {
    this.#replica.changes.stepDown();
  }

  /** The leader did not answer somebody: a group at rest finds out whether it is still there. */
  wake(): void {
    this.#replica.wake();
  }

  /** A replica that was sent a snapshot is copying records: the snapshot does not count as lost. */
  snapshotProgressed(toReplica: number): void {
    this.#replica.snapshots.progressed(toReplica);
  }

  /** Refuses new proposals (DRAINING); resolves when those taken are settled. */
  drain(): Promise<void> {
    this.#isDraining = true;
    return this.#intake.drain();
  }

  /**
   * Ends at once: all who wait get `reason`, with `outcome: unknown` when they are in an entry; nothing is
   * applied or acknowledged any more, and nothing is sent.
   */
  stop(reason: ProglogError): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    this.#replica.stop(reason);
    this.#intake.stop(reason);
    this.#tell();
  }

  #failed(error: unknown): void {
    if (this.#stopped !== undefined) return;
    const { onFailure, onPoisoned } = this.#options;
    if (error instanceof CoreGroupFailedError) {
      this.stop(groupFailed(this.topicId, error));
      onPoisoned(error);
      return;
    }
    this.#failure ??= { error };
    // Whoever waits for a disk that failed is told so; all others by the owner, who stops this.
    if (error instanceof ProglogError) this.stop(error);
    else this.#replica.halt();
    this.#tell();
    onFailure(error);
  }

  #changed(): void {
    this.#intake.changed();
    this.#tell();
    this.#options.onChange?.();
  }

  #tell(): void {
    if (this.#watchers.length === 0) return;
    for (const tell of this.#watchers.splice(0)) tell();
  }

  /** Resolves when `isSo`, or when it is stopped; rejects when it cannot go on. */
  async #until(isSo: () => boolean): Promise<void> {
    while (this.#failure === undefined && this.#stopped === undefined && !isSo()) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #silence(sinceTick: number): ProglogError | undefined {
    const { tick, limits } = this.#options.node;
    const { silentTicks, tickMs } = limits;
    if (tick - sinceTick < silentTicks) return undefined;
    if (this.#replica.hasHeardMajority(tick - silentTicks)) return undefined;
    return quorumSilent(this.topicId, silentTicks * tickMs);
  }

  #refusal(makesRoom: boolean): ProglogError | undefined {
    if (this.#stopped !== undefined) return this.#stopped;
    const { journal, host } = this.#options;
    const { isSole, isOnlyVoter, isHeld, leadership } = this.#replica;
    if (this.#isRecovering && isSole)
      return diskFull("what was journalled before is not yet applied");
    if (!leadership.isLeader) {
      const isFull = isOnlyVoter && journal.isDiskFull;
      return isFull ? diskFull("the journal has no room") : this.#replica.notLeader();
    }
    if (isHeld && !(isSole && makesRoom)) return diskFull("the journal is full");
    if (makesRoom) return undefined;
    // A leader at rest would not notice that another one should lead.
    if (!isSole && (journal.isDiskFull || host.isDiskFull)) this.#replica.wake();
    if (journal.isDiskFull) return diskFull("the journal has no room");
    return host.isDiskFull ? diskFull("the topic's log has no room") : undefined;
  }
}
