import { fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ProglogError } from "../base/errors.ts";
import {
  type ConsumedRecordSchema,
  type Record as RecordMessage,
  RecordSchema,
} from "../gen/proglog/v1/record_pb.ts";
import type { StoredRecord } from "../topics/topics.ts";
import { CONSUME_BYTES_MAX, CONSUME_JSON_BYTES_MAX } from "./limits.ts";
import { assembleConsumed, consumedSize, headerCountOf, validateRecord } from "./record-wire.ts";

/**
 * How records look in the messages of a call: bytes in binary calls, messages in
 * JSON ones. Between the two, one implementation knows bytes only.
 */
export interface RecordCodec<Sent, Returned> {
  /** Bytes of the records of a batch. @throws RECORD_INVALID */
  toBytes(records: readonly Sent[]): readonly Uint8Array[];
  /** The records of an answer. */
  toAnswer(records: readonly StoredRecord[]): Returned[];
  /** What a record takes in an answer. */
  sizeOf(record: StoredRecord): number;
  /** What all records of an answer may take by that measure, unless there is only one. */
  readonly answerBytesMax: number;
}

/** Bytes stay as they are: see wire-twin.ts. */
export const WIRE_CODEC: RecordCodec<Uint8Array, Uint8Array> = {
  toBytes(records) {
    for (let number = 0; number < records.length; number += 1) {
      validateRecord(records[number] ?? new Uint8Array(0), number);
    }
    return records;
  },
  toAnswer: assembleConsumed,
  sizeOf: consumedSize,
  answerBytesMax: CONSUME_BYTES_MAX,
};

/** Field names and quotes in JSON, of a record and of a header, about. */
const JSON_RECORD_BYTES = 160;
const JSON_HEADER_BYTES = 24;

export const MESSAGE_CODEC: RecordCodec<
  RecordMessage,
  MessageInitShape<typeof ConsumedRecordSchema>
> = {
  toBytes: (records) =>
    records.map((record, number) => {
      const bytes = toBinary(RecordSchema, record);
      validateRecord(bytes, number);
      return bytes;
    }),
  toAnswer: (records) =>
    records.map(({ offset, appendTimeUs, body }) => ({
      offset: BigInt(offset),
      appendTimeUnixUs: BigInt(appendTimeUs),
      record: decodeStored(offset, body),
    })),
  // A guess on the safe side: the exact size would cost as much as the answer.
  sizeOf: ({ body }) =>
    JSON_RECORD_BYTES + JSON_HEADER_BYTES * headerCountOf(body) + 2 * body.length,
  answerBytesMax: CONSUME_JSON_BYTES_MAX,
};

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
