import { ProglogError } from "../base/errors.ts";
import type { ProduceRequest, ProduceResponse } from "../gen/proglog/v1/log_service_pb.ts";
import { Durability } from "../gen/proglog/v1/record_pb.ts";
import type { Acknowledgement, ProduceBatch, ProducerBatch } from "../topics/topics.ts";
import { toSafeInteger } from "./fields.ts";
import type { ScannedBatch, ScannedProducer, WireInteger } from "./hot/produce-scan.ts";
import { unknownFieldError } from "./library-errors.ts";
import type { RpcLimits } from "./limits.ts";
import type { RecordCodec } from "./record-codec.ts";
import { recordInvalid, validateRecord } from "./record-wire.ts";

/** A ProduceRequest whose records are what the codec of the call makes of them. */
export type ProduceRequestOf<Sent> = Omit<ProduceRequest, "records"> & {
  readonly records: readonly Sent[];
};

/** A batch for the topic, and the bytes of its records. */
export type SizedBatch = ProduceBatch & { readonly byteCount: number };

/**
 * Checks all of a request that can be checked without the topic.
 * @throws FIELD_UNKNOWN, FIELD_INVALID, BATCH_EMPTY, BATCH_TOO_LARGE, RECORD_INVALID
 */
export function toBatch<Sent>(
  request: ProduceRequestOf<Sent>,
  codec: RecordCodec<Sent, unknown>,
  limits: RpcLimits,
): SizedBatch {
  const { $unknown, producer } = request;
  checkKnown($unknown?.[0]?.no ?? producer?.$unknown?.[0]?.no);
  checkCount(request.records.length, limits);
  const records = codec.toBytes(request.records);
  const byteCount = records.reduce((sum, record) => sum + record.length, 0);
  checkBytes(byteCount, limits);
  for (const [number, record] of records.entries()) validateRecord(record, number);
  return batchOf(records, byteCount, request);
}

/** The same for a request that was not decoded. */
export function toScannedBatch(found: ScannedBatch, limits: RpcLimits): SizedBatch {
  const { records, recordCount, byteCount, fault, producer } = found;
  checkKnown(found.unknownField ?? producer?.unknownField);
  checkCount(recordCount, limits);
  checkBytes(byteCount, limits);
  if (fault !== undefined) throw recordInvalid(fault.recordNumber, fault.text);
  return batchOf(records, byteCount, found);
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

export const DURABILITIES = {
  "not-synced": Durability.NOT_SYNCED,
  "synced-one": Durability.SYNCED_ONE,
  "synced-quorum": Durability.SYNCED_QUORUM,
} as const satisfies Record<Acknowledgement["durability"], Durability>;

interface Conditions {
  readonly expectedNextOffset?: WireInteger | undefined;
  readonly producer?: Omit<ScannedProducer, "unknownField"> | undefined;
  readonly fencingToken?: WireInteger | undefined;
}

/** @throws FIELD_INVALID */
function batchOf(
  records: ProduceBatch["records"],
  byteCount: number,
  { expectedNextOffset, producer, fencingToken }: Conditions,
): SizedBatch {
  return {
    records,
    byteCount,
    expectedNextOffset: optional(expectedNextOffset, "expected_next_offset"),
    producer: producer && toProducer(producer),
    fencingToken: optional(fencingToken, "fencing_token"),
  };
}

function optional(value: WireInteger | undefined, field: string): number | undefined {
  return value === undefined ? undefined : toSafeInteger(value, field);
}

function toProducer({ id, epoch, sequence }: Omit<ScannedProducer, "unknownField">): ProducerBatch {
  return {
    id,
    epoch: toSafeInteger(epoch, "producer.epoch"),
    sequence: toSafeInteger(sequence, "producer.sequence"),
  };
}

/** A field that this server does not know could be a condition: see Produce in the proto file. */
function checkKnown(unknownField: number | undefined): void {
  if (unknownField !== undefined) throw unknownFieldError(`${unknownField}`);
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

function checkBytes(batchBytes: number, { batchBytesMax }: RpcLimits): void {
  if (batchBytes <= batchBytesMax) return;
  throw new ProglogError(
    "BATCH_TOO_LARGE",
    `Cannot append a batch of ${batchBytes} bytes: at most ${batchBytesMax} are allowed`,
    { metadata: { batchBytes: `${batchBytes}`, batchBytesMax: `${batchBytesMax}` } },
  );
}
