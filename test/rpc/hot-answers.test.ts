import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import {
  ConsumeResponseSchema,
  ConsumeStreamResponseSchema,
  ProduceResponseSchema,
  ProduceStreamResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import { RecordSchema } from "../../src/gen/proglog/v1/record_pb.ts";
import {
  encodeProduceResponse,
  encodeProduceStreamResponse,
} from "../../src/rpc/hot/acknowledgement-wire.ts";
import { encodeAnswer, SharedAnswers } from "../../src/rpc/hot/consume-wire.ts";
import {
  bufferBytesFor,
  encodeConsumed,
  measureConsumed,
  splitConsumed,
} from "../../src/rpc/hot/consumed-wire.ts";
import type { Encoded } from "../../src/rpc/lean/lean-method.ts";
import { toAcknowledgement } from "../../src/rpc/produce-batch.ts";
import { emptyPortion, joinPortions, portionOf } from "../../src/rpc/read-topic.ts";
import type { Acknowledgement, RecordRun } from "../../src/topics/topics.ts";
import { records } from "./arbitrary-records.ts";
import { envelope } from "./raw-calls.ts";

// Goal: answers made by hand are, byte for byte, those that protobuf-es makes.

const SEED = Number(process.env["SEED"] ?? 20261126);
const RUNS = { numRuns: 1000, seed: SEED };

/** Small numbers, large ones, and those where a varint gets longer. */
const integers = fc.oneof(
  fc.nat(3),
  fc.maxSafeNat(),
  fc.tuple(fc.nat(7), fc.integer({ min: -1, max: 1 })).map(([n, by]) => Math.max(0, 128 ** n + by)),
);

const acknowledgements: fc.Arbitrary<Acknowledgement> = fc.record({
  firstOffset: integers,
  lastOffset: integers,
  appendTimeUs: integers,
  durability: fc.constantFrom("not-synced", "synced-one", "synced-quorum"),
  duplicate: fc.boolean(),
});

/** @param gap bytes that the store has before each body: less, as much, and more than an answer */
function runOf(
  stored: readonly { by: number; timeBy: number; body: Uint8Array; gap: number }[],
  start: { offset: number; timeUs: number; unused: number },
): RecordRun {
  const offsets: number[] = [];
  const times: number[] = [];
  const starts: number[] = [];
  const parts: Uint8Array[] = [new Uint8Array(start.unused).fill(0xee)];
  let [offset, timeUs, at] = [start.offset, start.timeUs, start.unused];
  for (const { by, timeBy, body, gap } of stored) {
    offset = Math.min(offset + by, Number.MAX_SAFE_INTEGER - 1);
    timeUs = Math.min(timeUs + timeBy, Number.MAX_SAFE_INTEGER);
    parts.push(new Uint8Array(gap).fill(0xee), body);
    offsets.push(offset);
    times.push(timeUs);
    starts.push(at + gap);
    at += gap + body.length;
  }
  return {
    count: stored.length,
    bytes: concat([...parts, new Uint8Array(7).fill(0xee)]),
    starts: Uint32Array.from([...starts, 99]), // the lists may be longer than the run
    ends: Uint32Array.from(stored, ({ body }, index) => (starts[index] ?? 0) + body.length),
    offsets: Float64Array.from(offsets),
    appendTimesUs: Float64Array.from(times),
    resumeOffset: offset + 1,
  };
}

const runs = fc
  .tuple(
    fc.array(
      fc.record({
        by: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20_000 })),
        timeBy: fc.oneof(fc.constant(0), integers),
        body: fc.oneof(records, fc.integer({ min: 0, max: 17_000 }).map(valueRecord)),
        gap: fc.oneof(fc.nat(30), fc.constantFrom(0, 26, 40, 60)),
      }),
      { maxLength: 6 },
    ),
    fc.record({
      offset: integers.map((n) => Math.min(n, 2 ** 52)),
      timeUs: integers,
      unused: fc.nat(50),
    }),
  )
  .map(([stored, start]) => runOf(stored, start));

function valueRecord(size: number): Uint8Array {
  const value = new Uint8Array(size).fill(size & 255);
  return toBinary(RecordSchema, create(RecordSchema, { value }));
}

const bodyOf = ({ bytes, starts, ends }: RecordRun, index: number) =>
  bytes.subarray(starts[index], ends[index]);

const messagesOf = (run: RecordRun, count = run.count) =>
  Array.from({ length: count }, (_, index) => ({
    offset: BigInt(run.offsets[index] ?? 0),
    appendTimeUnixUs: BigInt(run.appendTimesUs[index] ?? 0),
    record: fromBinary(RecordSchema, bodyOf(run, index)),
  }));

function joined({ parts, byteLength, enveloped }: Encoded): Uint8Array {
  const bytes = concat(parts);
  assert.equal(bytes.length, byteLength);
  if (enveloped !== undefined) assert.deepEqual(enveloped, envelope(bytes));
  return bytes;
}

test("acknowledgements are what protobuf-es makes, alone and together", () => {
  fc.assert(
    fc.property(fc.array(acknowledgements, { maxLength: 5 }), (found) => {
      for (const one of found) {
        const expected = create(ProduceResponseSchema, toAcknowledgement(one));
        assert.deepEqual(
          joined(encodeProduceResponse(one)),
          toBinary(ProduceResponseSchema, expected),
        );
      }
      const all = { acknowledgements: found.map(toAcknowledgement) };
      const expected = create(ProduceStreamResponseSchema, all);
      assert.deepEqual(
        joined(encodeProduceStreamResponse(found)),
        toBinary(ProduceStreamResponseSchema, expected),
      );
    }),
    RUNS,
  );
});

test("records are what protobuf-es makes, however they lie in the store", () => {
  fc.assert(
    fc.property(runs, (run) => {
      const before = Uint8Array.from(run.bytes);
      const measure = measureConsumed(run, Number.POSITIVE_INFINITY);
      const expected = toBinary(
        ConsumeResponseSchema,
        create(ConsumeResponseSchema, { records: messagesOf(run) }),
      );
      const encoded = encodeConsumed({ run, measure });
      assert.deepEqual(encoded, expected);
      assert.equal(measure.count, run.count);
      assert.equal(measure.byteLength, expected.length);
      assert.equal(bufferBytesFor({ run, measure }), encoded.buffer.byteLength);
      assert.deepEqual(run.bytes, before, "the run is as it was");
      const split = splitConsumed(encoded).map((record) => Uint8Array.from(record));
      const wanted = messagesOf(run).map((record) =>
        create(ConsumeResponseSchema, { records: [record] }),
      );
      assert.deepEqual(
        split.map((record) => fromBinary(ConsumeResponseSchema, prefixed(record))),
        wanted.map((one) =>
          fromBinary(ConsumeResponseSchema, toBinary(ConsumeResponseSchema, one)),
        ),
      );
    }),
    RUNS,
  );
});

/** A message of field 1 as a field again. */
function prefixed(content: Uint8Array): Uint8Array {
  const length = [];
  let rest = content.length;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128);
  return concat([Uint8Array.from([0x0a, ...length, rest]), content]);
}

test("a buffer holds little more than the answer, when the store has more around each record", () => {
  const stored = Array.from({ length: 1000 }, () => ({
    by: 1,
    timeBy: 0,
    body: valueRecord(100),
    gap: 26,
  }));
  const run = runOf(stored, { offset: 2 ** 30, timeUs: 2 ** 50, unused: 100_000 });
  const measure = measureConsumed(run, Number.POSITIVE_INFINITY);
  const bufferBytes = bufferBytesFor({ run, measure });
  assert.ok(bufferBytes < measure.byteLength * 1.06, `${bufferBytes} for ${measure.byteLength}`);
});

test("an answer is cut where it would be too large, and has one record at least", () => {
  fc.assert(
    fc.property(runs, fc.nat(60_000), (run, bytesMax) => {
      const { count, byteLength } = measureConsumed(run, bytesMax);
      assert.ok(count >= Math.min(1, run.count));
      assert.ok(byteLength <= bytesMax || count === 1);
      if (count < run.count) {
        const next = measureConsumed({ ...run, count: count + 1 }, Number.POSITIVE_INFINITY);
        assert.ok(next.byteLength > bytesMax, "one more would have been too many");
      }
      const limits = { recordsMax: 100, bytesMax, measure: measureConsumed };
      const portion = portionOf(run, limits, 7);
      const resume = count === run.count ? run.resumeOffset : run.offsets[count];
      assert.deepEqual([portion.recordCount, portion.resumeOffset], [count, resume]);
    }),
    RUNS,
  );
});

const whole = { recordsMax: 100, bytesMax: Number.POSITIVE_INFINITY, measure: measureConsumed };

test("answers to Consume and ConsumeStream are what protobuf-es makes", () => {
  const heartbeats = fc.option(fc.integer({ min: 1000, max: 60_000 }), { nil: undefined });
  fc.assert(
    fc.property(
      runs,
      runs,
      integers,
      integers,
      heartbeats,
      (one, two, mark, topicId, heartbeatMs) => {
        const portion = joinPortions(portionOf(one, whole, 1), portionOf(two, whole, mark));
        const expected = create(ConsumeStreamResponseSchema, {
          records: [...messagesOf(one), ...messagesOf(two)],
          resumeOffset: BigInt(two.resumeOffset),
          highWatermark: BigInt(mark),
          topicId: BigInt(topicId),
          ...(heartbeatMs !== undefined && {
            heartbeatInterval: {
              seconds: BigInt(Math.floor(heartbeatMs / 1000)),
              nanos: (heartbeatMs % 1000) * 1_000_000,
            },
          }),
        });
        const extras = heartbeatMs === undefined ? { topicId } : { topicId, heartbeatMs };
        assert.deepEqual(
          joined(encodeAnswer(portion, extras)),
          toBinary(ConsumeStreamResponseSchema, expected),
        );
      },
    ),
    RUNS,
  );
});

test("a run of one's own becomes the answer where it is, if there is room, and else a copy", () => {
  let inPlace = 0;
  let copied = 0;
  fc.assert(
    fc.property(runs, integers, (run, mark) => {
      const expected = encodeAnswer(portionOf(run, whole, mark), { topicId: 1 });
      const own = { ...run, bytes: Uint8Array.from(run.bytes), isOwn: true };
      const before = Uint8Array.from(own.bytes);
      const found = encodeAnswer(portionOf(own, whole, mark), { topicId: 1 });
      assert.deepEqual(joined(found), joined(expected));
      const isSame = found.enveloped?.buffer === own.bytes.buffer;
      if (!isSame) assert.deepEqual(own.bytes, before);
      if (isSame) inPlace += 1;
      else copied += 1;
    }),
    RUNS,
  );
  assert.ok(inPlace > 50 && copied > 50, `${inPlace} in place, ${copied} copied`);
});

test("a run is encoded once for all who get it, and the answer too while the end is the same", () => {
  const run = runOf([{ by: 1, timeBy: 9, body: valueRecord(10), gap: 3 }], {
    offset: 5,
    timeUs: 0,
    unused: 0,
  });
  const shared = new SharedAnswers();
  const limits = { ...whole, measure: shared.measure };
  const first = shared.encode(portionOf(run, limits, 7));
  assert.equal(shared.encode(portionOf(run, limits, 7)), first);
  const later = shared.encode(portionOf(run, limits, 8));
  assert.notEqual(later, first);
  for (const [answer, mark] of [
    [first, 7n],
    [later, 8n],
  ] as const) {
    const found = fromBinary(ConsumeStreamResponseSchema, joined(answer));
    assert.deepEqual(
      [found.records.length, found.resumeOffset, found.highWatermark],
      [1, 7n, mark],
    );
  }
  const heartbeat = fromBinary(
    ConsumeStreamResponseSchema,
    joined(shared.encode(emptyPortion(7, 7))),
  );
  assert.deepEqual([heartbeat.records.length, heartbeat.resumeOffset], [0, 7n]);
});
