/**
 * The seam to Raft itself: elections, replication, commitment, membership. It does no I/O and keeps
 * no log; a host asks it, and carries out what it wants. `wasm-core.ts` fits it.
 *
 * Ids of replicas, indexes and terms are safe integers. Everything is synchronous.
 */

/** What of a replica must survive a restart beside its entries. */
export interface CoreHardState {
  readonly term: number;
  /** 0: none. */
  readonly vote: number;
  readonly commit: number;
}

/** Who belongs to a group. Both voter lists are filled while a joint change is under way. */
export interface ConfState {
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  readonly votersOutgoing: readonly number[];
  readonly learnersNext: readonly number[];
  readonly autoLeave: boolean;
}

/** Types of entries in the core. */
export const CORE_ENTRY_NORMAL = 0;
export const CORE_ENTRY_CONF_CHANGE = 1;
export const CORE_ENTRY_CONF_CHANGE_V2 = 2;

export interface CoreEntry {
  readonly term: number;
  readonly index: number;
  /** One of the three above. */
  readonly type: number;
  /** A descriptor; empty in the entry that a new leader begins with; a change of membership as it is. */
  readonly data: Uint8Array;
}

export interface CoreSnapshot {
  readonly index: number;
  readonly term: number;
  readonly conf: ConfState;
  /** The group's small state; opaque. */
  readonly data: Uint8Array;
}

/**
 * What a group's log must answer at once. Durable entries only: those that are on their way are
 * the core's. Must not throw.
 */
export interface CoreLog {
  /** Of the first entry that is kept: one above the last compaction. */
  firstIndex(): number;
  lastIndex(): number;
  /** Also of the index before the first one. Undefined: compacted, or beyond the end. */
  termAt(index: number): number | undefined;
  /**
   * Entries in [from, end), at least one, then no more than about `bytesMax` bytes of data.
   * @returns undefined when they are compacted (never for any other reason)
   */
  entries(from: number, end: number, bytesMax: number): readonly CoreEntry[] | undefined;
  /** @returns undefined when there is none at the moment: it is asked for again */
  snapshot(): CoreSnapshot | undefined;
}

export interface CoreGroupConfig {
  readonly replicaId: number;
  /** Ticks without a leader before an election begins (up to twice as many). */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Last index that the host has applied. */
  readonly appliedIndex: number;
  readonly hardState: CoreHardState;
  /** Membership at `appliedIndex`. */
  readonly conf: ConfState;
  readonly log: CoreLog;
  /** Append messages on their way to one follower. */
  readonly inflightMessagesMax: number;
  /** Bytes of descriptors in one append message. */
  readonly messageBytesMax: number;
}

/** Types of messages that a host must tell apart (raftpb.MessageType). */
export const CoreMessageType = {
  append: 3,
  appendResponse: 4,
  vote: 5,
  snapshot: 7,
  heartbeat: 8,
  heartbeatResponse: 9,
  timeoutNow: 14,
  preVote: 17,
} as const;

/**
 * A message between cores, as its sender's core wrote it. `bytes` go to the receiver's core as they
 * are; the rest is read out of them (see `core-messages.ts`).
 */
export type CoreMessage = Uint8Array;

export const CoreRole = { follower: 0, candidate: 1, leader: 2, preCandidate: 3 } as const;
export type CoreRole = (typeof CoreRole)[keyof typeof CoreRole];

/** What the core wants of its host now. */
export interface CoreReady {
  /** Set when one of the two has changed. `leader` 0: nobody known. */
  readonly soft?: { readonly leader: number; readonly role: CoreRole };
  /** To be made durable, in this order: a snapshot (drops all entries), entries, the hard state. */
  readonly hardState?: CoreHardState;
  readonly snapshot?: CoreSnapshot;
  readonly entries: readonly CoreEntry[];
  /**
   * Names the storage job: give it to {@link CoreGroup.jobDone} when all of the above is durable, and
   * so are the jobs before it. 0: there is none, though there may be a hard state: only its commit
   * index has grown then, which is to be written after what is before it, and need not be durable.
   */
  readonly appendJob: number;
  /**
   * Committed entries to apply, first and last index; 0: none. Then give back `applyJob`. Only
   * entries whose storage job is done are among them.
   */
  readonly commitFirst: number;
  readonly commitLast: number;
  readonly applyJob: number;
  /** To be sent now, also before the storage job is done: messages that may not be are held back by the core. */
  readonly messages: readonly CoreMessage[];
  /** Read requests that are confirmed: to be served when `index` is applied. */
  readonly reads: readonly { readonly index: number; readonly context: Uint8Array }[];
}

/** Outcome of what may be refused. */
export type CoreVerdict =
  | "ok"
  /** Not the leader, a change of membership is under way, or too much is uncommitted. */
  | "dropped"
  /** The message is of no member, or of a term long past: normal, nothing to be done. */
  | "ignored";

export interface CoreProgress {
  readonly replicaId: number;
  /** Highest index known to be in its log. */
  readonly match: number;
  readonly next: number;
  readonly state: "probe" | "replicate" | "snapshot";
  readonly isLearner: boolean;
  /** Heard of since the last check of the quorum. */
  readonly isActive: boolean;
}

export interface CoreStatus {
  readonly hardState: CoreHardState;
  readonly appliedIndex: number;
  readonly leader: number;
  readonly role: CoreRole;
  /** Replica that the leadership is being handed to; 0: none. */
  readonly transferee: number;
  readonly conf: ConfState;
  /** On the leader only. */
  readonly progress: readonly CoreProgress[];
}

export interface ConfChange {
  readonly type: "add-voter" | "add-learner" | "remove";
  readonly replicaId: number;
}

/**
 * One group. Every method throws {@link CoreGroupFailedError} when the library panicked in it: the group is
 * of no use any more and is opened again from disk; other groups are not touched.
 */
export interface CoreGroup {
  tick(): void;
  campaign(): void;
  /** Takes a message that came from another replica. */
  step(message: CoreMessage): CoreVerdict;
  /**
   * Proposes entries, all or none, in one step. After "ok" they are the last entries of the next Ready, in
   * order, with their index and term.
   */
  propose(data: readonly Uint8Array[]): CoreVerdict;
  /**
   * Several changes at once become a joint one, which is left by itself. After "dropped" on a leader
   * an empty entry has taken the place of the change: it may not be now.
   *
   * @throws {CoreRefusedError} for a change that could never be applied, such as to remove all voters
   */
  proposeConfChange(changes: readonly ConfChange[], context: Uint8Array): CoreVerdict;
  /** A committed entry that changes the membership is applied. @returns the membership after it */
  applyConfChange(type: number, data: Uint8Array): ConfState;
  readonly hasReady: boolean;
  /** @returns undefined when there is nothing */
  ready(): CoreReady | undefined;
  /**
   * Jobs of each kind are done in their order.
   *
   * @returns messages to be sent now that it is done
   * @throws {CoreRefusedError} when it is not the oldest of its kind
   */
  jobDone(job: number): readonly CoreMessage[];
  /** The answer comes in `reads` of a Ready; or never: ask again. */
  readIndex(context: Uint8Array): void;
  /** Nothing happens but on the leader. It takes no proposals meanwhile, for one election timeout. */
  transferLeader(replicaId: number): void;
  /**
   * Gives up the leadership, or the leader it follows, so that another one can be elected. A leader
   * that is the only voter stays one.
   */
  forgetLeader(): void;
  reportUnreachable(replicaId: number): void;
  reportSnapshot(replicaId: number, isDone: boolean): void;
  status(): CoreStatus;
  close(): void;
}

/** All groups of a node. Every call throws {@link CoreTrappedError} once the core has stopped. */
export interface RaftCore {
  /** @throws {CoreRefusedError} when the configuration and the log do not fit together */
  open(config: CoreGroupConfig): CoreGroup;
  /** Ticks these groups, and says which have something ready, or failed: their `ready` throws. */
  tickAll(groups: Iterable<CoreGroup>): readonly CoreGroup[];
}

/** The library panicked in one group; its message is the library's. */
export class CoreGroupFailedError extends Error {
  override readonly name = "CoreGroupFailedError";
}

/** What was asked of a group cannot be, now or ever; the group is as it was. */
export class CoreRefusedError extends Error {
  override readonly name = "CoreRefusedError";
}

/** The core as a whole is of no use any more, with all its groups: the node must end. */
export class CoreTrappedError extends Error {
  override readonly name = "CoreTrappedError";
}
