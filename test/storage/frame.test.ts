import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, viewOf, writeU64 } from "../../src/base/bytes.ts";
import { ProglogError } from "../../src/base/errors.ts";
import { spansOf } from "../../src/base/record-spans.ts";
import { toOffset } from "../../src/base/units.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import { ENVELOPE_BYTES_MAX } from "../../src/storage/envelope.ts";
import { checkFrame, decodeRecord, encodeBatch, encodeRemoved } from "../../src/storage/frame.ts";
import { decodeFrames } from "../../src/storage/frame-run.ts";
import { HEADER_BYTES, RECORD_BYTES_MAX, scanFrames } from "../../src/storage/scan.ts";
import { runGolden } from "../support/golden.ts";
import { fromHex, hex, utf8 } from "./fixture.ts";

test("frames match testdata/frame.txt", async () => {
  await runGolden(new URL("testdata/frame.txt", import.meta.url), {
    encode: (input) => {
      const [options = "", ...lines] = input.trimEnd().split("\n");
      const bodies = lines.map((line) => utf8(line === "-" ? "" : line));
      const { bytes, ends } = encodeBatch({
        firstOffset: toOffset(option(options, "offset")),
        raftIndex: option(options, "raft"),
        appendTimeUs: option(options, "time"),
        records: spansOf(bodies),
      });
      return split(bytes, ends).map(hex).join("\n");
    },
    check: (input) => checks(input, (data) => data),
    "check-resealed": (input) => checks(input, reseal),
  });
});

test("a body that is over the limit with its envelope is refused, one at the limit is not", () => {
  const envelopeBytes = 7 + 1 + 3;
  const body = new Uint8Array(RECORD_BYTES_MAX - envelopeBytes + 1);
  const input = { firstOffset: toOffset(0), raftIndex: 2, appendTimeUs: 1_000_000 };
  assert.throws(
    () => encodeBatch({ ...input, records: spansOf([utf8("small"), body]) }),
    (error) => {
      assert.ok(error instanceof ProglogError);
      assert.equal(error.reason, "RECORD_TOO_LARGE");
      assert.equal(
        error.message,
        "Cannot append record 1 of a batch: it takes 104857601 bytes, at most 104857600 are allowed",
      );
      assert.deepEqual(error.metadata, {
        recordNumber: "1",
        recordBytes: "104857601",
        recordBytesMax: "104857600",
      });
      return true;
    },
  );
  const { bytes, count } = encodeBatch({ ...input, records: spansOf([body.subarray(1)]) });
  assert.equal(count, 1);
  assert.equal(scanFrames(bytes, { check: checkFrame }).recordCount, 1);
});

test("decodeRecord() throws STORE_CORRUPT with the offset for what is damaged or of a newer format", () => {
  const frame = encodeBatch(batch([utf8("a")])).bytes;
  const data = frame.slice(HEADER_BYTES);
  for (const [bytes, offset] of [
    [data, 1],
    [data.subarray(0, 5), 0],
    [new Uint8Array(0), 0],
    [reseal(Uint8Array.of(0, 0, 0, 0, 2, 1, 0, 1, 1), 0), 0],
  ] as const) {
    assert.throws(
      () => decodeRecord(bytes, toOffset(offset)),
      (error) => {
        assert.ok(error instanceof ProglogError);
        assert.equal(error.reason, "STORE_CORRUPT");
        assert.equal(error.metadata["offset"], `${offset}`);
        return true;
      },
    );
  }
});

// Goal: what goes in comes out, and the CRC is over what the format says: recomputed here
// from the parts, since the encoder computes it in an unusual way.
test("encodeBatch() and decodeRecord() undo each other, for all numbers and bodies", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 12 }),
      fc.maxSafeNat().map((offset) => Math.min(offset, Number.MAX_SAFE_INTEGER - 20)),
      fc.maxSafeNat(),
      fc.maxSafeNat(),
      (bodies, firstOffset, raftIndex, appendTimeUs) => {
        const records = spansOf(bodies);
        const input = { firstOffset: toOffset(firstOffset), raftIndex, appendTimeUs, records };
        const { bytes, ends, count } = encodeBatch(input);
        assert.equal(count, bodies.length);
        assert.equal(ends.at(-1), bytes.length);
        for (const [at, frame] of split(bytes, ends).entries()) {
          const data = frame.subarray(HEADER_BYTES);
          const body = bodies[at] ?? new Uint8Array(0);
          assert.ok(data.length - body.length <= ENVELOPE_BYTES_MAX);
          assert.equal(viewOf(frame).getBigUint64(0, true), BigInt(data.length));
          assert.equal(viewOf(data).getUint32(0, true), plainCrc(data, firstOffset + at));
          assert.deepEqual(decodeRecord(data, toOffset(firstOffset + at)), {
            offset: firstOffset + at,
            kind: "record",
            lastOfEntry: at === count - 1,
            raftIndex,
            appendTimeUs,
            body,
          });
        }
      },
    ),
  );
});

test("any flipped bit of a frame is found, in its length as in its data, and any wrong place", () => {
  const { bytes } = encodeBatch(batch([utf8("some body"), utf8("another")]));
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const { validBytes, recordCount, stopped } = scanFrames(flipped, { check: checkFrame });
    assert.ok(validBytes <= bit >> 3, `bit ${bit}`);
    assert.ok(recordCount < 2 && stopped !== undefined && stopped !== "unsupported", `bit ${bit}`);
  }
  const second = bytes.subarray(scanFrames(bytes, { recordsMax: 1 }).validBytes);
  assert.equal(scanFrames(second, { check: checkFrame }).recordCount, 0);
});

test("encodeRemoved() fills exactly the place of another frame, if its envelope fits there", () => {
  const { bytes } = encodeBatch(batch([utf8("some body")]));
  const { kind, body, ...kept } = decodeRecord(bytes.subarray(HEADER_BYTES), toOffset(0));
  assert.deepEqual([kind, body], ["record", utf8("some body")]);
  const removed = encodeRemoved(kept, bytes.length);
  assert.equal(removed?.length, bytes.length);
  assert.equal(scanFrames(removed ?? bytes, { check: checkFrame }).recordCount, 1);
  assert.deepEqual(decodeRecord((removed ?? bytes).subarray(HEADER_BYTES), toOffset(0)), {
    ...kept,
    kind: "removed",
    body: new Uint8Array(0),
  });
  const least = bytes.length - "some body".length;
  assert.equal(encodeRemoved(kept, least)?.length, least);
  assert.equal(encodeRemoved(kept, least - 1), undefined);
  assert.equal(encodeRemoved(kept, HEADER_BYTES + RECORD_BYTES_MAX + 1), undefined);
});

test("numbers that are not safe integers are a bug of the caller", () => {
  const records = spansOf([utf8("a")]);
  const good = { firstOffset: toOffset(0), raftIndex: 1, appendTimeUs: 1, records };
  for (const change of [{ raftIndex: -1 }, { raftIndex: 2 ** 53 }, { appendTimeUs: 0.5 }]) {
    assert.throws(() => encodeBatch({ ...good, ...change }), { name: "InvariantError" });
  }
});

function batch(bodies: readonly Uint8Array[]) {
  const records = spansOf(bodies);
  return { firstOffset: toOffset(0), raftIndex: 3, appendTimeUs: 1_764_000_000_000_000, records };
}

function option(line: string, name: string): number {
  return Number(new RegExp(`${name}=(\\d+)`).exec(line)?.[1]);
}

function split(bytes: Uint8Array, ends: Iterable<number>): Uint8Array[] {
  let start = 0;
  return Array.from(ends, (end) => {
    const frame = bytes.subarray(start, end);
    start = end;
    return frame;
  });
}

/** The rule of the format, word by word. */
function plainCrc(data: Uint8Array, offset: number): number {
  const prefix = new Uint8Array(16);
  writeU64(viewOf(prefix), 0, data.length);
  writeU64(viewOf(prefix), 8, offset);
  return crc32(concat([prefix, data.subarray(4)]));
}

function reseal(data: Uint8Array, offset: number): Uint8Array {
  const sealed = data.slice();
  viewOf(sealed).setUint32(0, plainCrc(sealed, offset), true);
  return sealed;
}

function checks(input: string, prepare: (data: Uint8Array, offset: number) => Uint8Array): string {
  const [options = "", ...lines] = input.trimEnd().split("\n");
  const offset = option(options, "offset");
  return lines
    .map((line) => checkFrame(prepare(fromHex(line), offset), toOffset(offset)))
    .join("\n");
}

// Records come out of an entry with other things between them: lengths, and batches that were refused. Goal: the
// frames hold the records and nothing else, however much that is. Method: the same records with and without.
test("what lies between the records does not get into the frames", () => {
  const piece = fc.record({
    gap: fc.integer({ min: 0, max: 200 }),
    body: fc.uint8Array({ maxLength: 60 }),
  });
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 20 }), fc.nat(50), (pieces, after) => {
      const bodies = pieces.map(({ body }) => body);
      const apart = concat([
        ...pieces.flatMap(({ gap, body }) => [new Uint8Array(gap).fill(0xee), body]),
        new Uint8Array(after).fill(0xee),
      ]);
      const starts = new Uint32Array(pieces.length);
      const ends = new Uint32Array(pieces.length);
      let at = 0;
      for (const [record, { gap, body }] of pieces.entries()) {
        starts[record] = at + gap;
        at += gap + body.length;
        ends[record] = at;
      }
      const input = {
        firstOffset: toOffset(7),
        raftIndex: 300,
        appendTimeUs: 1_764_000_000_000_000,
      };
      const records = { bytes: apart, starts, ends, count: pieces.length };
      const wanted = encodeBatch({ ...input, records: spansOf(bodies) });
      assert.deepEqual(encodeBatch({ ...input, records }), wanted);
      const run = decodeFrames({ bytes: wanted.bytes, first: toOffset(7) });
      assert.equal(run.count, pieces.length);
      for (const [record, body] of bodies.entries()) {
        assert.deepEqual(run.bytes.slice(run.starts[record], run.ends[record]), body);
      }
    }),
  );
});

test("frames that are cut, damaged or of another place end a run, and what is before is there", () => {
  const { bytes, ends } = encodeBatch(batch([utf8("some body"), utf8("another"), utf8("third")]));
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const whole = ends.filter((end) => end <= cut).length;
    const run = decodeFrames({ bytes: bytes.subarray(0, cut), first: toOffset(0) });
    assert.deepEqual([run.count, run.resumeOffset], [whole, whole], `cut at ${cut}`);
  }
  for (let at = 0; at < bytes.length; at += 1) {
    const harmed = bytes.slice();
    harmed[at] = (harmed[at] ?? 0) ^ 1;
    const before = ends.filter((end) => end <= at).length;
    const run = decodeFrames({ bytes: harmed, first: toOffset(0) });
    assert.equal(run.resumeOffset, before, `damaged at ${at}`);
  }
  assert.equal(decodeFrames({ bytes, first: toOffset(1) }).count, 0);
  assert.equal(decodeFrames({ bytes, first: toOffset(0), framesMax: 2 }).count, 2);
  assert.equal(decodeFrames({ bytes: new Uint8Array(100), first: toOffset(0) }).resumeOffset, 0);
});

test("a removed record is passed over in a run, its offset is not", () => {
  const { bytes, ends } = encodeBatch(batch([utf8("some body"), utf8("another"), utf8("third")]));
  const [first = 0, second = 0] = ends;
  const removed = encodeRemoved(
    { offset: toOffset(1), lastOfEntry: false, raftIndex: 3, appendTimeUs: 5 },
    second - first,
  );
  const harmed = concat([bytes.slice(0, first), removed ?? bytes, bytes.slice(second)]);
  const run = decodeFrames({ bytes: harmed, first: toOffset(0) });
  assert.equal(run.count, 2);
  assert.deepEqual([...run.offsets.subarray(0, 2)], [0, 2]);
  assert.equal(run.resumeOffset, 3);
});
