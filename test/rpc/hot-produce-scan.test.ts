import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { ProglogError } from "../../src/base/errors.ts";
import { MIB } from "../../src/base/units.ts";
import {
  ProduceRequestSchema,
  ProduceStreamRequestSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { decodeRequest } from "../../src/rpc/hot/decode-request.ts";
import { ProduceScanner } from "../../src/rpc/hot/produce-scan.ts";
import { unknownFieldError } from "../../src/rpc/library-errors.ts";
import { RPC_LIMITS, type RpcLimits } from "../../src/rpc/limits.ts";
import { type ProduceRequestOf, toBatch, toScannedBatch } from "../../src/rpc/produce-batch.ts";
import { WIRE_CODEC } from "../../src/rpc/record-codec.ts";
import type { ProduceBatch } from "../../src/topics/topics.ts";
import { listOf } from "../support/spans.ts";
import { bytes, damage, records } from "./arbitrary-records.ts";
import { merged, PRODUCE, PRODUCE_STREAM, produceRequests, uint64 } from "./arbitrary-requests.ts";

// Goal: a call is answered the same whether its request is scanned or decoded.
// Method: compare what comes out, errors word by word, for messages that real clients
// send, for damaged ones, and for fields put together without any sense.

const SEED = Number(process.env["SEED"] ?? 20261126);
const RUNS = { numRuns: 10_000, seed: SEED };

/** So small that many messages are over them. */
const LIMITS: RpcLimits = { ...RPC_LIMITS, batchRecordsMax: 4, batchBytesMax: 400 };

type Decoded = ProduceRequestOf<Uint8Array>;

/** What became of a message: batches, and the error that came after them. */
interface Outcome {
  readonly batches: unknown[];
  readonly error: unknown;
}

function outcomeOf(read: (batches: unknown[]) => void): Outcome {
  const batches: unknown[] = [];
  try {
    read(batches);
    return { batches, error: undefined };
  } catch (thrown) {
    assert.ok(thrown instanceof ProglogError, String(thrown));
    const { reason, message, metadata } = thrown;
    return { batches, error: { reason, message, metadata } };
  }
}

const plain = (batch: ProduceBatch) => ({ ...batch, records: listOf(batch.records) });

function decoded(message: Uint8Array): Outcome {
  return outcomeOf((batches) => {
    const request = decodeRequest(PRODUCE, message) as unknown as Decoded;
    batches.push(
      plain(toBatch(request, WIRE_CODEC, LIMITS)),
      request.topic,
      Number(request.topicId),
    );
  });
}

function scanned(message: Uint8Array): Outcome {
  const scanner = new ProduceScanner(LIMITS);
  return outcomeOf((batches) => {
    const found = scanner.scanRequest(message);
    batches.push(plain(toScannedBatch(found, LIMITS)), found.topic, Number(found.topicId));
  });
}

function decodedStream(message: Uint8Array): Outcome {
  return outcomeOf((batches) => {
    const request = decodeRequest(PRODUCE_STREAM, message) as unknown as {
      batches: Decoded[];
      $unknown?: { no: number }[];
    };
    if (request.$unknown?.[0]) throw unknownFieldError(`${request.$unknown[0].no}`);
    for (const batch of request.batches) {
      batches.push(plain(toBatch(batch, WIRE_CODEC, LIMITS)), batch.topic, Number(batch.topicId));
    }
  });
}

function scannedStream(message: Uint8Array): Outcome {
  const scanner = new ProduceScanner(LIMITS);
  return outcomeOf((batches) => {
    scanner.openStreamRequest(message);
    for (let found = scanner.nextBatch(); found !== undefined; found = scanner.nextBatch()) {
      batches.push(plain(toScannedBatch(found, LIMITS)), found.topic, Number(found.topicId));
    }
  });
}

const numbers = fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 2 ** 29 - 1 }));
const varints = fc.oneof(
  uint64.map((value) => new BinaryWriter().uint64(value).finish()),
  // Longer than need be, and longer than may be.
  fc
    .tuple(fc.nat(127), fc.nat(12))
    .map(([low, zeros]) => Uint8Array.from([low | 128, ...Array<number>(zeros).fill(128), 0])),
);
const sized = (content: Uint8Array) => new BinaryWriter().bytes(content).finish();
const producers = fc
  .array(
    fc.tuple(fc.integer({ min: 0, max: 5 }), fc.nat(5), fc.oneof(varints, bytes(5).map(sized))),
  )
  .map((fields) =>
    concat(fields.flatMap(([no, type, content]) => [Uint8Array.of(no * 8 + type), content])),
  );

/** Fields that fit together by chance only. */
const fields = fc
  .tuple(
    fc.oneof(
      fc
        .tuple(numbers, fc.nat(7))
        .map(([no, type]) => new BinaryWriter().uint32((no * 8 + type) >>> 0).finish()),
      fc
        .constantFrom(
          [10],
          [18],
          [18],
          [24],
          [34],
          [34],
          [40],
          [48],
          [59],
          [60],
          [0x92, 0],
          [0xfa, 255, 255, 255, 31],
        )
        .map((tag) => Uint8Array.from(tag)),
    ),
    fc.oneof(varints, bytes(9), records.map(sized), producers.map(sized), bytes(6).map(sized)),
  )
  .map(concat);
const mixtures = fc.array(fields, { maxLength: 8 }).map(concat);

const messages = fc.oneof(
  produceRequests,
  damage(produceRequests),
  merged(2, 3),
  mixtures,
  damage(mixtures),
  bytes(30),
);

/** How many of each outcome there were: a comparison in which all fails proves little. */
function compare(
  source: fc.Arbitrary<Uint8Array>,
  expected: (message: Uint8Array) => Outcome,
  found: (message: Uint8Array) => Outcome,
): Map<string, number> {
  const counts = new Map<string, number>();
  fc.assert(
    fc.property(source, (message) => {
      const outcome = expected(message);
      // In the middle of a larger buffer, as messages come.
      const place = concat([Uint8Array.of(18, 200), message, Uint8Array.of(18, 0)]);
      assert.deepEqual(found(place.subarray(2, 2 + message.length)), outcome);
      const reason = (outcome.error as ProglogError | undefined)?.reason ?? "OK";
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }),
    RUNS,
  );
  return counts;
}

test("a scanned ProduceRequest is what protobuf-es decodes, or refused in the same words", () => {
  const counts = compare(messages, decoded, scanned);
  const reasons = [
    "OK",
    "MESSAGE_INVALID",
    "FIELD_UNKNOWN",
    "FIELD_INVALID",
    "BATCH_EMPTY",
    "BATCH_TOO_LARGE",
    "RECORD_INVALID",
  ];
  for (const reason of reasons) {
    assert.ok((counts.get(reason) ?? 0) > 50, `${reason}: ${counts.get(reason)} cases`);
  }
});

test("a scanned ProduceStreamRequest is what protobuf-es decodes, batch by batch", () => {
  const batch = fc.tuple(fc.constantFrom(10, 10, 10, 10, 8, 18), messages);
  const streams = fc
    .array(batch, { maxLength: 4 })
    .map((all) => concat(all.flatMap(([tag, message]) => [Uint8Array.of(tag), sized(message)])));
  const counts = compare(
    fc.oneof(streams, damage(streams), bytes(20)),
    decodedStream,
    scannedStream,
  );
  for (const reason of ["OK", "MESSAGE_INVALID", "FIELD_UNKNOWN", "BATCH_EMPTY"]) {
    assert.ok((counts.get(reason) ?? 0) > 50, `${reason}: ${counts.get(reason)} cases`);
  }
});

test("wherever a message is cut, both say the same", () => {
  const producer = { id: "p", epoch: 300n, sequence: 2n ** 63n };
  const request = create(ProduceRequestSchema, {
    topic: "köln",
    records: [{ value: new Uint8Array(200) }, { headers: [{ name: "ü" }] }],
    expectedNextOffset: 0n,
    producer,
    fencingToken: 2n ** 53n - 1n,
    topicId: 1n,
  });
  const message = toBinary(ProduceRequestSchema, request);
  for (let end = 0; end <= message.length; end += 1) {
    assert.deepEqual(scanned(message.subarray(0, end)), decoded(message.subarray(0, end)));
  }
});

test("groups are passed over as deep as protobuf-es goes, and no deeper", () => {
  for (const depth of [1, 50, 97, 98, 99, 100, 101, 5000]) {
    const groups = concat([new Uint8Array(depth).fill(0x7b), new Uint8Array(depth).fill(0x7c)]);
    assert.deepEqual(scanned(groups), decoded(groups), `${depth} deep`);
    const inProducer = concat([Uint8Array.of(0x22), sized(groups)]);
    assert.deepEqual(scanned(inProducer), decoded(inProducer), `${depth} deep in a producer`);
    const inStream = concat([Uint8Array.of(0x0a), sized(inProducer)]);
    assert.deepEqual(scannedStream(inStream), decodedStream(inStream), `${depth} deep in a stream`);
  }
});

test("millions of empty records are counted and not kept", () => {
  const count = 4 * MIB;
  const message = new Uint8Array(2 * count);
  for (let at = 0; at < message.length; at += 2) message[at] = 18;
  const found = new ProduceScanner(RPC_LIMITS).scanRequest(message);
  assert.equal(found.recordCount, count);
  assert.equal(found.records.count, RPC_LIMITS.batchRecordsMax);
  assert.throws(() => toScannedBatch(found, RPC_LIMITS), {
    reason: "BATCH_TOO_LARGE",
    metadata: { recordCount: `${count}`, recordCountMax: "10000" },
  });
});

test("records over the bytes of a batch are not kept, those before them are", () => {
  const value = (size: number) => ({ value: new Uint8Array(size) });
  const message = toBinary(
    ProduceRequestSchema,
    create(ProduceRequestSchema, { records: [value(100), value(100), value(1000), value(1)] }),
  );
  const found = new ProduceScanner(LIMITS).scanRequest(message);
  assert.equal(found.recordCount, 4);
  assert.deepEqual(
    listOf(found.records).map(({ length }) => length),
    [102, 102],
  );
});

test("millions of empty batches cost nothing before their turn", () => {
  const message = new Uint8Array(8 * MIB);
  for (let at = 0; at < message.length; at += 2) message[at] = 10;
  const scanner = new ProduceScanner(RPC_LIMITS);
  scanner.openStreamRequest(message);
  const first = scanner.nextBatch();
  assert.ok(first);
  assert.throws(() => toScannedBatch(first, RPC_LIMITS), { reason: "BATCH_EMPTY" });
});

test("nothing of a stream's message counts when its end is broken", () => {
  const batch = { topic: "default", records: [{}] };
  const good = toBinary(
    ProduceStreamRequestSchema,
    create(ProduceStreamRequestSchema, { batches: [batch, batch] }),
  );
  const scanner = new ProduceScanner(RPC_LIMITS);
  assert.throws(() => scanner.openStreamRequest(good.subarray(0, good.length - 1)), {
    reason: "MESSAGE_INVALID",
  });
  assert.throws(() => scanner.openStreamRequest(concat([good, Uint8Array.of(0x10, 1)])), {
    reason: "FIELD_UNKNOWN",
    metadata: { field: "2" },
  });
  scanner.openStreamRequest(good);
  assert.ok(scanner.nextBatch() && scanner.nextBatch());
  assert.equal(scanner.nextBatch(), undefined);
});

test("a topic is read anew when it is another one, also one of the same length", () => {
  const scanner = new ProduceScanner(RPC_LIMITS);
  for (const topic of ["a-b", "a-c", "", "a-c", "ä", "ö", "x".repeat(300), "x".repeat(300)]) {
    const message = toBinary(ProduceRequestSchema, create(ProduceRequestSchema, { topic }));
    assert.equal(scanner.scanRequest(message).topic, topic);
    assert.equal(fromBinary(ProduceRequestSchema, message).topic, topic);
  }
});
