import { ProglogError } from "../base/errors.ts";
import type {
  ProduceRequest,
  ProduceResponse,
  Producer,
} from "../gen/proglog/v1/log_service_pb.ts";
import { Durability } from "../gen/proglog/v1/record_pb.ts";
import type { Acknowledgement, ProduceBatch, ProducerBatch } from "../topics/topics.ts";
import { toSafeInteger } from "./fields.ts";
import { unknownFieldError } from "./library-errors.ts";
import type { RpcLimits } from "./limits.ts";
import type { RecordCodec } from "./record-codec.ts";

/** A ProduceRequest whose records are what the codec of the call makes of them. */
export type ProduceRequestOf<Sent> = Omit<ProduceRequest, "records"> & {
  readonly records: readonly Sent[];
};

/**
 * Checks all of a request that can be checked without the topic.
 * @throws FIELD_UNKNOWN, FIELD_INVALID, BATCH_EMPTY, BATCH_TOO_LARGE, RECORD_INVALID
 */
export function toBatch<Sent>(
  request: ProduceRequestOf<Sent>,
  codec: RecordCodec<Sent, unknown>,
  limits: RpcLimits,
): ProduceBatch & { readonly byteCount: number } {
  checkKnown(request);
  checkCount(request.records.length, limits);
  const records = codec.toBytes(request.records);
  const { expectedNextOffset, producer, fencingToken } = request;
  return {
    records,
    byteCount: checkBytes(records, limits),
    expectedNextOffset: optional(expectedNextOffset, "expected_next_offset"),
    producer: producer && toProducer(producer),
    fencingToken: optional(fencingToken, "fencing_token"),
  };
}

/** What a ProduceResponse says; the leader hint is the cluster's. */
export function toAcknowledgement(
  found: Acknowledgement,
): Omit<ProduceResponse, "$typeName" | "$unknown" | "leaderHint"> {
  return {
    firstOffset: BigInt(found.firstOffset),
    lastOffset: BigInt(found.lastOffset),
    appendTimeUnixUs: BigInt(found.appendTimeUs),
    durability: DURABILITIES[found.durability],
    duplicate: found.duplicate,
  };
}

const DURABILITIES = {
  "not-synced": Durability.NOT_SYNCED,
  "synced-one": Durability.SYNCED_ONE,
  "synced-quorum": Durability.SYNCED_QUORUM,
} as const satisfies Record<Acknowledgement["durability"], Durability>;

function optional(value: bigint | undefined, field: string): number | undefined {
  return value === undefined ? undefined : toSafeInteger(value, field);
}

function toProducer(producer: Producer): ProducerBatch {
  return {
    id: producer.id,
    epoch: toSafeInteger(producer.epoch, "producer.epoch"),
    sequence: toSafeInteger(producer.sequence, "producer.sequence"),
  };
}

interface WithUnknown {
  readonly $unknown?: readonly { readonly no: number }[] | undefined;
}

/** A field that this server does not know could be a condition: see Produce in the proto file. */
function checkKnown(request: WithUnknown & { readonly producer?: WithUnknown | undefined }): void {
  const unknown = request.$unknown?.[0] ?? request.producer?.$unknown?.[0];
  if (unknown !== undefined) throw unknownFieldError(`${unknown.no}`);
}

function checkCount(recordCount: number, { batchRecordsMax }: RpcLimits): void {
  if (recordCount === 0) {
    throw new ProglogError("BATCH_EMPTY", "Cannot append a batch of 0 records: must be 1 or more");
  }
  if (recordCount <= batchRecordsMax) return;
  throw new ProglogError(
    "BATCH_TOO_LARGE",
    `Cannot append a batch of ${recordCount} records: at most ${batchRecordsMax} are allowed`,
    { metadata: { recordCount: `${recordCount}`, recordCountMax: `${batchRecordsMax}` } },
  );
}

/** @returns the bytes of all records */
function checkBytes(records: readonly Uint8Array[], { batchBytesMax }: RpcLimits): number {
  let batchBytes = 0;
  for (const record of records) batchBytes += record.length;
  if (batchBytes <= batchBytesMax) return batchBytes;
  throw new ProglogError(
    "BATCH_TOO_LARGE",
    `Cannot append a batch of ${batchBytes} bytes: at most ${batchBytesMax} are allowed`,
    { metadata: { batchBytes: `${batchBytes}`, batchBytesMax: `${batchBytesMax}` } },
  );
}
