import { fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ProglogError } from "../base/errors.ts";
import {
  type ConsumedRecordSchema,
  type Record as RecordMessage,
  RecordSchema,
} from "../gen/proglog/v1/record_pb.ts";
import type { RecordRun } from "../topics/topics.ts";
import { encodeConsumed, measureConsumed, splitConsumed } from "./hot/consumed-wire.ts";
import { CONSUME_BYTES_MAX, CONSUME_JSON_BYTES_MAX } from "./limits.ts";
import type { Measure, MeasuredRun } from "./read-topic.ts";
import { headerCountOf } from "./record-wire.ts";

/**
 * How records look in the messages of a call: bytes in binary calls, messages in
 * JSON ones. Between the two, one implementation knows bytes only.
 */
export interface RecordCodec<Sent, Returned> {
  /** Bytes of the records of a batch, not checked yet. */
  toBytes(records: readonly Sent[]): readonly Uint8Array[];
  /** The records of an answer. */
  toAnswer(run: MeasuredRun): Returned[];
  /** What they take in an answer: as many as take `bytesMax` bytes, or one that takes more. */
  measure(run: RecordRun, bytesMax: number): Measure;
  /** What all records of an answer may take by that measure, unless there is only one. */
  readonly answerBytesMax: number;
}

/** Bytes stay as they are: see wire-twin.ts. */
export const WIRE_CODEC: RecordCodec<Uint8Array, Uint8Array> = {
  toBytes: (records) => records,
  toAnswer: (measured) => splitConsumed(encodeConsumed(measured)),
  measure: measureConsumed,
  answerBytesMax: CONSUME_BYTES_MAX,
};

/** Field names and quotes in JSON, of a record and of a header, about. */
const JSON_RECORD_BYTES = 160;
const JSON_HEADER_BYTES = 24;

export const MESSAGE_CODEC: RecordCodec<
  RecordMessage,
  MessageInitShape<typeof ConsumedRecordSchema>
> = {
  toBytes: (records) => records.map((record) => toBinary(RecordSchema, record)),
  toAnswer: ({ run, measure }) =>
    Array.from({ length: measure.count }, (_, index) => {
      const offset = run.offsets[index] ?? 0;
      return {
        offset: BigInt(offset),
        appendTimeUnixUs: BigInt(run.appendTimesUs[index] ?? 0),
        record: decodeStored(offset, bodyOf(run, index)),
      };
    }),
  measure(run, bytesMax) {
    let byteLength = 0;
    let count = 0;
    for (; count < run.count; count += 1) {
      const end = byteLength + jsonSize(bodyOf(run, count));
      if (end > bytesMax && count > 0) break;
      byteLength = end;
    }
    return { count, byteLength, shiftMax: 0 };
  },
  answerBytesMax: CONSUME_JSON_BYTES_MAX,
};

function bodyOf({ bytes, starts, ends }: RecordRun, index: number): Uint8Array {
  return bytes.subarray(starts[index], ends[index]);
}

/** A guess on the safe side: the exact size would cost as much as the answer. */
function jsonSize(body: Uint8Array): number {
  return JSON_RECORD_BYTES + JSON_HEADER_BYTES * headerCountOf(body) + 2 * body.length;
}

function decodeStored(offset: number, body: Uint8Array): RecordMessage {
  try {
    return fromBinary(RecordSchema, body);
  } catch (cause) {
    // Its checksum is good, so it was stored like this: by another program, or by a defect.
    throw new ProglogError(
      "STORE_CORRUPT",
      `Cannot show record ${offset}: it is not a proglog.v1.Record`,
      { metadata: { offset: `${offset}` }, cause },
    );
  }
}
