import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { bytesEqual, concat } from "../../src/base/bytes.ts";
import { ProglogError } from "../../src/base/errors.ts";
import { RecordSchema } from "../../src/gen/proglog/v1/record_pb.ts";
import { ProduceScanner, type ScannedBatch } from "../../src/rpc/hot/produce-scan.ts";
import { RPC_LIMITS } from "../../src/rpc/limits.ts";
import { findRecordFault } from "../../src/rpc/record-wire.ts";
import { records } from "../rpc/arbitrary-records.ts";
import { merged, PRODUCE, PRODUCE_STREAM, produceRequests } from "../rpc/arbitrary-requests.ts";
import { listOf } from "../support/spans.ts";
import { changes, mutate } from "./support/mutations.ts";
import { runs } from "./support/runs.ts";

interface Decoded {
  readonly topic: string;
  readonly topicId: bigint;
  readonly records: readonly Uint8Array[];
  readonly expectedNextOffset?: bigint;
  readonly fencingToken?: bigint;
  readonly producer?: { readonly id: string; readonly epoch: bigint; readonly sequence: bigint };
  readonly $unknown?: readonly { readonly no: number }[];
}

const damaged = (source: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.tuple(source, changes(4)).map(([bytes, all]) => mutate(bytes, all));

const scanner = new ProduceScanner(RPC_LIMITS);

/** What `read` gives; undefined for bytes that are no message. Any other failure is a defect. */
function tryTo<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof ProglogError && thrown.reason === "MESSAGE_INVALID") return undefined;
    throw thrown;
  }
}

function decode(desc: DescMessage, message: Uint8Array): unknown {
  try {
    return fromBinary(desc, message);
  } catch {
    return undefined;
  }
}

/** Each byte before and after `message` is such that who reads it goes astray. */
function surrounded(message: Uint8Array, byte: number): Uint8Array {
  const around = new Uint8Array(40).fill(byte);
  return concat([around, message, around]).subarray(around.length, around.length + message.length);
}

const optionalOf = (value: number | bigint | undefined) =>
  value === undefined ? undefined : BigInt(value);

function assertSame(found: ScannedBatch, wanted: Decoded): void {
  assert.equal(found.topic, wanted.topic);
  assert.equal(BigInt(found.topicId), wanted.topicId);
  assert.equal(optionalOf(found.expectedNextOffset), wanted.expectedNextOffset);
  assert.equal(optionalOf(found.fencingToken), wanted.fencingToken);
  assert.equal(found.producer?.id, wanted.producer?.id);
  assert.equal(optionalOf(found.producer?.epoch), wanted.producer?.epoch);
  assert.equal(optionalOf(found.producer?.sequence), wanted.producer?.sequence);
  assert.equal(found.unknownField, wanted.$unknown?.[0]?.no);
  assert.equal(found.recordCount, wanted.records.length);
  for (const [index, record] of listOf(found.records).entries()) {
    assert.ok(bytesEqual(record, wanted.records[index] ?? new Uint8Array(1)), `record ${index}`);
  }
}

// Goal: what is scanned by hand is what protobuf-es decodes, and nothing beside it is
// looked at. Method: damaged messages, each between bytes that lead astray.
test("a damaged ProduceRequest means to the scanner what it means to protobuf-es", () => {
  let validCount = 0;
  fc.assert(
    fc.property(damaged(merged(1, 2)), fc.nat(255), (message, byte) => {
      const wanted = decode(PRODUCE, message) as Decoded | undefined;
      const found = tryTo(() => scanner.scanRequest(surrounded(message, byte)));
      assert.equal(found !== undefined, wanted !== undefined, "one takes it, the other does not");
      if (found !== undefined && wanted !== undefined) assertSame(found, wanted);
      if (found !== undefined) validCount += 1;
    }),
    runs(10_000),
  );
  assert.ok(validCount > 100, `only ${validCount} are valid`);
});

test("a damaged ProduceStreamRequest means to the scanner what it means to protobuf-es", () => {
  const streams = fc
    .array(produceRequests, { maxLength: 3 })
    .map((all) =>
      toBinary(PRODUCE_STREAM, create(PRODUCE_STREAM, { batches: all.map(decodeBatch) })),
    );
  fc.assert(
    fc.property(damaged(streams), fc.nat(255), (message, byte) => {
      const wanted = decode(PRODUCE_STREAM, message) as
        | { readonly batches: readonly Decoded[]; readonly $unknown?: readonly unknown[] }
        | undefined;
      const found = tryTo(() => scanAll(surrounded(message, byte)));
      assert.equal(found !== undefined, wanted !== undefined, "one takes it, the other does not");
      if (found === undefined || wanted === undefined || found === "unknown field") {
        assert.equal(found === "unknown field", wanted?.$unknown !== undefined);
        return;
      }
      assert.equal(found.length, wanted.batches.length);
      for (const [index, batch] of wanted.batches.entries()) {
        const same = found[index];
        assert.ok(same);
        assertSame(same, batch);
      }
    }),
    runs(5_000),
  );
});

const decodeBatch = (bytes: Uint8Array) => fromBinary(PRODUCE, bytes) as never;

function scanAll(message: Uint8Array): ScannedBatch[] | "unknown field" {
  const found: ScannedBatch[] = [];
  try {
    scanner.openStreamRequest(message);
  } catch (thrown) {
    if (thrown instanceof ProglogError && thrown.reason === "FIELD_UNKNOWN") return "unknown field";
    throw thrown;
  }
  for (let batch = scanner.nextBatch(); batch !== undefined; batch = scanner.nextBatch()) {
    found.push(batch);
  }
  return found;
}

// The verdict on records themselves is compared in test/rpc/record-wire.test.ts.
test("a damaged record is judged by its own bytes alone, and what is valid decodes", () => {
  fc.assert(
    fc.property(damaged(records), fc.nat(255), (record, byte) => {
      const fault = findRecordFault(record, 0, record.length);
      const inside = surrounded(record, byte);
      const bytes = new Uint8Array(inside.buffer);
      const start = inside.byteOffset;
      assert.equal(findRecordFault(bytes, start, start + record.length), fault);
      if (fault === undefined) fromBinary(RecordSchema, record);
    }),
    runs(20_000),
  );
});
