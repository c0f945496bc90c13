import { KIB, MIB } from "../base/units.ts";

/** What one call or all calls together may cost. The first four are settings of the server. */
export interface RpcLimits {
  /** Bytes of one request message; {@link REQUEST_SLACK_BYTES} come on top of it. */
  readonly requestBytesMax: number;
  readonly batchRecordsMax: number;
  /** Bytes of all records of a batch. */
  readonly batchBytesMax: number;
  /** Streaming calls open at once, of all connections. */
  readonly streamsMax: number;
  /** Calls open at once, streaming or not, of all connections. */
  readonly callsMax: number;
  /** Calls of other servers open at once: they count apart. */
  readonly peerCallsMax: number;
  /** Longest silence inside a request; between the messages of a stream it may be any. */
  readonly bodyTimeoutMs: number;
  /** Bytes of requests that were received and are not yet dealt with, of all calls. */
  readonly bodyBytesMax: number;
  /**
   * Part of what is free of it that the calls on one connection may hold. However many
   * connections hold what they may, something is left for the next.
   */
  readonly connectionBodyPart: number;
  /** Messages of streams that were read and not yet taken, of all calls; each is held in a few copies. */
  readonly answerBytesMax: number;
  /** After so long without taking anything a stream may be ended, when others need what it holds. */
  readonly stuckMs: number;
  /** How long a call without a deadline waits for a server that is starting. */
  readonly startWaitMs: number;
  /** Batches of one ProduceStream that are not yet answered, and the bytes of their records. */
  readonly pipelineBatchesMax: number;
  readonly pipelineBytesMax: number;
}

export const RPC_LIMITS: RpcLimits = {
  requestBytesMax: 8 * MIB,
  batchRecordsMax: 10_000,
  batchBytesMax: 8 * MIB,
  streamsMax: 10_000,
  callsMax: 20_000,
  peerCallsMax: 1_000,
  bodyTimeoutMs: 60_000,
  bodyBytesMax: 256 * MIB,
  connectionBodyPart: 0.5,
  answerBytesMax: 64 * MIB,
  stuckMs: 10_000,
  startWaitMs: 5_000,
  pipelineBatchesMax: 256,
  pipelineBytesMax: 16 * MIB,
};

/** Room beside the records, so that a batch of the largest size fits a request of the largest size. */
export const REQUEST_SLACK_BYTES = 256 * KIB;

/** What a message of a stream costs beside its bytes, while it waits for its handler. */
export const MESSAGE_COST_BYTES = 128;

/** JSON writes bytes in base64, and names and quotes on top: so much larger may its messages be. */
export const JSON_GROWTH = 1.5;

/** Records of one Consume answer when the request does not say, and at most. */
export const CONSUME_RECORDS_DEFAULT = 1_000;
export const CONSUME_RECORDS_MAX = 100_000;

/** Bytes of records in one answer: below the 4 MiB at which stock gRPC clients refuse a message. */
export const CONSUME_BYTES_MAX = 4_000_000;

/**
 * The same in JSON, by the measure of `MESSAGE_CODEC`: base64 and names must stay
 * below 4 MiB too, and writing them blocks everyone else (Node 24: 0.4 ms a KB).
 */
export const CONSUME_JSON_BYTES_MAX = 1_300_000;

/** Longest wait of a Consume. */
export const CONSUME_WAIT_MS_MAX = 60_000;

/** A message of ConsumeStream: small enough that a slow reader holds little, large enough to be fast. */
export const STREAM_RECORDS_MAX = 10_000;
export const STREAM_BYTES_MAX = 256 * KIB;

/** What a message of ConsumeStream is taken for before it is read: a record may be larger than the above. */
export const STREAM_RESERVE_BYTES = MIB;

export const HEARTBEAT_MS_DEFAULT = 10_000;
export const HEARTBEAT_MS_MIN = 1_000;
export const HEARTBEAT_MS_MAX = 60_000;

export const PAGE_SIZE_DEFAULT = 100;
export const PAGE_SIZE_MAX = 1_000;
