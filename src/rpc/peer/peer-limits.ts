import { KIB, MIB } from "../../base/units.ts";

/** What traffic between servers may cost. */
export interface PeerLimits {
  /** Bytes that wait for one peer before they are sent; what comes beyond them is dropped. */
  readonly controlQueueBytesMax: number;
  readonly payloadQueueBytesMax: number;
  /** As long as a peer has not said to have received fewer bytes of a stream, another message is sent. */
  readonly controlWindowBytes: number;
  readonly payloadWindowBytes: number;
  /** Messages of one turn of the event loop are sent together, up to about so many bytes. */
  readonly requestBytesTarget: number;
  /** Raft messages in one message of a stream. */
  readonly requestMessagesMax: number;
  /** Bytes of one message of a stream that is received: a batch of the largest size must fit. */
  readonly requestBytesMax: number;
  /**
   * After so many bytes a receiver says what it has received: fewer than any window, and so few that a slow
   * connection does not look silent.
   */
  readonly acknowledgeBytes: number;
  /** Bytes of one message that answers. */
  readonly responseBytesMax: number;
  /** Refused routes that are told at once; more are not told. */
  readonly refusedMax: number;
  /** To connect, for each place of an address. */
  readonly dialTimeoutMs: number;
  /** After so long without a word a peer is asked for a sign of life. */
  readonly pingIntervalMs: number;
  /** How long it may take to answer; then the connection is given up. */
  readonly pingTimeoutMs: number;
  /** From a lost connection to the next dial; grows from one to the next, and varies by half. */
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** Bytes a second of all that peers copy from here; what clients read and write comes first. */
  readonly copyBytesPerSecond: number;
}

export const PEER_LIMITS: PeerLimits = {
  controlQueueBytesMax: MIB,
  payloadQueueBytesMax: 16 * MIB,
  controlWindowBytes: 256 * KIB,
  payloadWindowBytes: 4 * MIB,
  requestBytesTarget: MIB,
  requestMessagesMax: 16_384,
  requestBytesMax: 128 * MIB,
  acknowledgeBytes: 128 * KIB,
  responseBytesMax: 64 * KIB,
  refusedMax: 256,
  dialTimeoutMs: 2_000,
  pingIntervalMs: 1_000,
  pingTimeoutMs: 2_000,
  backoffMsMin: 100,
  backoffMsMax: 2_000,
  copyBytesPerSecond: Number.POSITIVE_INFINITY,
};

/** Groups inside each other in fields that are not known. */
export const UNKNOWN_DEPTH_MAX = 8;

/** A server that was silent for too long may still be heard for this part of a ping's time-out. */
export const DOUBT_PART = 0.25;

/** Version of the protocol that is spoken here. */
export const PEER_PROTOCOL = 1;
