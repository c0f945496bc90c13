import assert from "node:assert/strict";
import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { WireLogService } from "../../src/rpc/wire-twin.ts";
import { records } from "./arbitrary-records.ts";

function inputOf(method: string): DescMessage {
  const found = WireLogService.methods.find(({ localName }) => localName === method)?.input;
  assert.ok(found);
  return found;
}

/** Requests as the server decodes them: records stay bytes. */
export const PRODUCE = inputOf("produce");
export const PRODUCE_STREAM = inputOf("produceStream");

export const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: 0n, max: 300n }),
);
const small = fc.oneof(fc.bigInt({ min: 0n, max: 3n }), uint64);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** Encoded ProduceRequests as clients send them, or batches of a stream. */
export const produceRequests = fc
  .record({
    topic: fc.string({ unit: "grapheme", maxLength: 40 }),
    records: fc.array(fc.oneof(records, fc.constant(new Uint8Array(0))), { maxLength: 5 }),
    expectedNextOffset: optional(uint64),
    producer: optional(
      fc.record({ id: fc.string({ maxLength: 5 }), epoch: small, sequence: small }),
    ),
    fencingToken: optional(uint64),
    topicId: uint64,
  })
  .map((request) => toBinary(PRODUCE, create(PRODUCE, request)));

/** One after the other is one message, in which what is said later counts. */
export const merged = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.array(produceRequests, { minLength, maxLength }).map(concat);
