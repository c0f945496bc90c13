import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { MalformedBytesError } from "../../src/base/bytes.ts";
import { BatchEncoder, encodeRequest } from "../../src/client/batch-encoder.ts";
import { ConsumedRecord } from "../../src/client/consumed-record.ts";
import { encodeFrame } from "../../src/client/record-parts.ts";
import { ProduceStreamRequestSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { ConsumedRecordSchema } from "../../src/gen/proglog/v1/record_pb.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const text = fc.string({ unit: "binary", maxLength: 8 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const meta = fc.record(
  {
    key: bytes(200),
    headers: fc.array(fc.record({ name: text, value: bytes(8) }), { maxLength: 3 }),
    clientTimeUs: int64,
  },
  { requiredKeys: ["key", "headers"] },
);

// Goal: what is encoded by hand is what the library understands. Method: decode it with the library.
test("a batch encoded by hand decodes to the same records", () => {
  const records = fc.array(fc.tuple(meta, bytes(300)), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(records, fc.nat(2 ** 40), fc.option(fc.nat(300)), (input, topicId, sequence) => {
      const encoder = new BatchEncoder({ recordsMax: 10, bytesMax: 100_000 });
      for (const [parts, value] of input) {
        assert.ok(encoder.add(encodeFrame(parts), value, 0, value.length));
      }
      const producer = sequence === null ? {} : { producer: { id: "p", epoch: 300, sequence } };
      const batch = encoder.take();
      assert.equal(batch.recordCount, input.length);
      const data = encodeRequest(batch, { topic: "orders", topicId, ...producer });
      const message = fromBinary(ProduceStreamRequestSchema, Uint8Array.from([0x0a, ...data]));
      const [request] = message.batches;
      assert.equal(request?.topic, "orders");
      assert.equal(request.topicId, BigInt(topicId));
      assert.equal(request.producer?.sequence, sequence === null ? undefined : BigInt(sequence));
      const got = request.records.map(({ key, value, headers, clientTimeUnixUs }) => [
        Buffer.from(key),
        Buffer.from(value),
        headers.map((header) => [header.name, Buffer.from(header.value)]),
        clientTimeUnixUs,
      ]);
      const want = input.map(([parts, value]) => [
        Buffer.from(parts.key),
        Buffer.from(value),
        parts.headers.map((header) => [header.name, Buffer.from(header.value)]),
        parts.clientTimeUs,
      ]);
      assert.deepEqual(got, want);
    }),
  );
});

test("a batch stops at its limits, but a single record may be larger", () => {
  const frame = encodeFrame({ key: new Uint8Array(0), headers: [] });
  const byCount = new BatchEncoder({ recordsMax: 2, bytesMax: 1_000 });
  const value = new Uint8Array(10);
  assert.deepEqual(
    [1, 2, 3].map(() => byCount.add(frame, value, 0, 10)),
    [true, true, false],
  );
  const bySize = new BatchEncoder({ recordsMax: 100, bytesMax: 30 });
  assert.ok(bySize.add(frame, value, 0, 10));
  assert.ok(bySize.add(frame, value, 0, 10));
  assert.equal(bySize.add(frame, value, 0, 10), false);
  const large = new Uint8Array(100);
  assert.equal(bySize.add(frame, large, 0, 100), false);
  assert.equal(bySize.take().recordCount, 2);
  assert.ok(bySize.add(frame, large, 0, 100));
  assert.equal(bySize.take().recordCount, 1);
  assert.ok(bySize.add(frame, value, 0, 10));
});

test("a batch that was taken is not written to again", () => {
  const frame = encodeFrame({ key: new Uint8Array(0), headers: [] });
  const encoder = new BatchEncoder({ recordsMax: 100, bytesMax: 64 });
  for (const size of [4, 40]) {
    encoder.add(frame, new Uint8Array(size).fill(1), 0, size);
    const { bytes: taken } = encoder.take();
    const before = Buffer.from(taken);
    encoder.add(frame, new Uint8Array(size).fill(2), 0, size);
    assert.deepEqual(Buffer.from(taken), before);
    encoder.take();
  }
});

test("a consumed record is read as the library reads it", () => {
  const sample = fc.record({
    offset: fc.maxSafeNat(),
    time: fc.maxSafeNat(),
    meta,
    value: bytes(300),
  });
  const reader = new ConsumedRecord();
  fc.assert(
    fc.property(sample, (want) => {
      const clientTime =
        want.meta.clientTimeUs === undefined ? {} : { clientTimeUnixUs: want.meta.clientTimeUs };
      const message = create(ConsumedRecordSchema, {
        offset: BigInt(want.offset),
        appendTimeUnixUs: BigInt(want.time),
        record: {
          key: want.meta.key,
          value: want.value,
          headers: want.meta.headers,
          ...clientTime,
        },
      });
      const encoded = Buffer.concat([Buffer.from([1, 2]), toBinary(ConsumedRecordSchema, message)]);
      reader.decode(encoded, 2, encoded.length);
      assert.equal(reader.offset, want.offset);
      assert.equal(reader.appendTimeUs, want.time);
      assert.deepEqual(Buffer.from(reader.key), Buffer.from(want.meta.key));
      assert.deepEqual(Buffer.from(reader.value), Buffer.from(want.value));
      assert.equal(reader.clientTimeUs(), want.meta.clientTimeUs);
      assert.deepEqual(
        reader.headers().map(({ name, value }) => [name, Buffer.from(value)]),
        want.meta.headers.map(({ name, value }) => [name, Buffer.from(value)]),
      );
    }),
  );
});

test("bytes that are no record are refused, never read beyond their end", () => {
  const reader = new ConsumedRecord();
  fc.assert(
    fc.property(bytes(40), (garbage) => {
      const padded = Buffer.concat([garbage, Buffer.alloc(20, 0x12)]);
      try {
        reader.decode(padded, 0, garbage.length);
        assert.ok(reader.keyEnd <= garbage.length && reader.valueEnd <= garbage.length);
      } catch (thrown) {
        assert.ok(thrown instanceof MalformedBytesError, String(thrown));
      }
    }),
  );
  for (const broken of [[0x08], [0x1a, 5, 1], [0x0f], [0x09, 1], Array(12).fill(0x88)]) {
    const field = Uint8Array.from(broken);
    assert.throws(() => reader.decode(field, 0, field.length), MalformedBytesError);
  }
});
