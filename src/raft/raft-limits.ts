import { KIB, MIB } from "../base/units.ts";

/** What bounds the memory and the time of a node's groups. */
export interface RaftLimits {
  readonly tickMs: number;
  /** Ticks without a leader before an election begins, and up to twice as many. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Append messages on their way to one replica. */
  readonly inflightMessagesMax: number;
  /** Bytes of descriptors in one message. */
  readonly messageDescriptorBytesMax: number;
  /** Bytes of payloads in one message, unless it has one entry. */
  readonly messagePayloadBytesMax: number;
  /** Messages to one replica that wait for payloads from the disk. */
  readonly outboxMessagesMax: number;
  /** Milliseconds for which followers may learn later how far all is committed, for what may come. */
  readonly commitHoldMs: number;
  /** Payloads that one group holds in memory until they are applied; more are read back. */
  readonly tailBytesMax: number;
  /** The same of all groups together. */
  readonly tailsBytesMax: number;
  /** Applied payloads that one group keeps for replicas that are a little behind. */
  readonly keptBytesMax: number;
  /** Ticks after which a write that has not ended means that the disk hangs. */
  readonly diskHungTicks: number;
  /** Ticks without work after which a group rests. */
  readonly idleTicks: number;
  /** Ticks after which a read that was not confirmed is asked for again. */
  readonly readRetryTicks: number;
  /** Ticks without a word from a majority after which that is why an entry comes too late. */
  readonly silentTicks: number;
  /** Ticks without a leader after which who waits for an entry is told that nobody knows. */
  readonly forsakenTicks: number;
  /** Ticks after which a read is given up. */
  readonly readTicksMax: number;
  /** Ticks without progress after which a snapshot that was sent counts as lost. */
  readonly snapshotTicksMax: number;
}

export const DEFAULT_RAFT_LIMITS: RaftLimits = {
  tickMs: 100,
  electionTicks: 10,
  heartbeatTicks: 2,
  inflightMessagesMax: 64,
  messageDescriptorBytesMax: 4 * KIB,
  messagePayloadBytesMax: 4 * MIB,
  outboxMessagesMax: 256,
  commitHoldMs: 5,
  tailBytesMax: 16 * MIB,
  tailsBytesMax: 64 * MIB,
  keptBytesMax: 2 * MIB,
  diskHungTicks: 50,
  idleTicks: 50,
  readRetryTicks: 5,
  silentTicks: 5,
  forsakenTicks: 15,
  readTicksMax: 50,
  snapshotTicksMax: 300,
};
