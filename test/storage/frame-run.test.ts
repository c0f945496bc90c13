import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { spansOf } from "../../src/base/record-spans.ts";
import { toOffset } from "../../src/base/units.ts";
import { checkFrame, decodeRecord, encodeBatch, encodeRemoved } from "../../src/storage/frame.ts";
import { decodeFrames, newRunArrays } from "../../src/storage/frame-run.ts";
import { HEADER_BYTES } from "../../src/storage/scan.ts";

const FIRST = 2 ** 32 - 5; // offsets cross 32 bits
const TIME_US = 1_764_000_000_000_000;

const entry: fc.Arbitrary<Entry> = fc.record({
  bodies: fc.array(
    fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 3000, size: "max" })),
    { minLength: 1, maxLength: 8 },
  ),
  // Envelopes of all lengths, and neighbours that have the same one.
  raftIndex: fc.constantFrom(1, 127, 128, 2 ** 28, 2 ** 34, 2 ** 36, Number.MAX_SAFE_INTEGER),
  appendTimeUs: fc.constantFrom(0, 1, TIME_US, TIME_US + 1, TIME_US + 2 ** 22),
  removed: fc.option(fc.nat(7)),
});
interface Entry {
  readonly bodies: readonly Uint8Array[];
  readonly raftIndex: number;
  readonly appendTimeUs: number;
  /** Which of the records is removed; null: none. */
  readonly removed: number | null;
}

/** The frames of `entries`, one after the other. */
function framesOf(entries: readonly Entry[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (const { bodies, removed, ...input } of entries) {
    const first = FIRST + frames.length;
    const batch = encodeBatch({ ...input, firstOffset: toOffset(first), records: spansOf(bodies) });
    let start = 0;
    for (let at = 0; at < batch.count; at += 1) {
      const frame = batch.bytes.slice(start, batch.ends[at]);
      const hole = { ...input, offset: toOffset(first + at), lastOfEntry: at === batch.count - 1 };
      frames.push(at === removed ? (encodeRemoved(hole, frame.length) ?? frame) : frame);
      start = batch.ends[at] ?? 0;
    }
  }
  return frames;
}

/** What is in the frames up to the first that is not sound, one by one. */
function expectedOf(frames: readonly Uint8Array[]) {
  const records = [];
  let offset = FIRST;
  for (const frame of frames) {
    const data = frame.subarray(HEADER_BYTES);
    const length = new DataView(frame.buffer, frame.byteOffset).getBigUint64(0, true);
    if (length !== BigInt(data.length) || checkFrame(data, toOffset(offset)) !== "valid") break;
    const { kind, body, appendTimeUs } = decodeRecord(data, toOffset(offset));
    if (kind === "record") records.push({ offset, appendTimeUs, body: [...body] });
    offset += 1;
  }
  return { records, resumeOffset: offset };
}

function foundIn(run: ReturnType<typeof decodeFrames>) {
  const records = Array.from({ length: run.count }, (_, at) => ({
    offset: run.offsets[at],
    appendTimeUs: run.appendTimesUs[at],
    body: [...run.bytes.subarray(run.starts[at], run.ends[at])],
  }));
  return { records, resumeOffset: run.resumeOffset };
}

test("frames of all kinds come apart as each does by itself, sound and damaged", () => {
  const damage = fc.array(fc.record({ at: fc.nat(), value: fc.integer({ min: 1, max: 255 }) }), {
    maxLength: 3,
  });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 6 }), damage, (entries, changes) => {
      const frames = framesOf(entries);
      for (const { at, value } of changes) {
        const frame = frames[at % frames.length] ?? assert.fail();
        const place = at % frame.length;
        frame[place] = (frame[place] ?? 0) ^ value;
      }
      const bytes = concat(frames);
      const first = toOffset(FIRST);
      assert.deepEqual(foundIn(decodeFrames({ bytes, first })), expectedOf(frames));
    }),
    { numRuns: 200 },
  );
});

test("envelopes that differ in one byte are not taken for the same, whatever their length", () => {
  for (const raftIndex of [1, 2 ** 10, 2 ** 20, 2 ** 30, 2 ** 36, 2 ** 45, 2 ** 52]) {
    for (let bit = 0; bit < 50; bit += 1) {
      const appendTimeUs = TIME_US + 2 ** bit;
      const entries = [TIME_US, appendTimeUs, appendTimeUs].map((time) => ({
        bodies: [Uint8Array.of(1)],
        raftIndex,
        appendTimeUs: time,
        removed: null,
      }));
      const frames = framesOf(entries);
      const run = decodeFrames({ bytes: concat(frames), first: toOffset(FIRST) });
      assert.deepEqual(foundIn(run), expectedOf(frames));
      assert.equal(run.appendTimesUs[1], appendTimeUs);
    }
  }
});

test("two frames that have changed places are damage, though each would be sound", () => {
  const bodies = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6), Uint8Array.of(7, 8, 9)];
  const [one, two, three] = framesOf([{ bodies, raftIndex: 5, appendTimeUs: 1, removed: null }]);
  assert.ok(one && two && three);
  const run = decodeFrames({ bytes: concat([one, three, two]), first: toOffset(FIRST) });
  assert.deepEqual([run.count, run.resumeOffset, run.endAt], [1, FIRST + 1, one.length]);
});

test("no more frames are taken apart than there is room for", () => {
  const bodies = Array.from({ length: 10 }, (_, at) => Uint8Array.of(at));
  const frames = framesOf([{ bodies, raftIndex: 5, appendTimeUs: 1, removed: null }]);
  const arrays = newRunArrays(4);
  const run = decodeFrames({ bytes: concat(frames), first: toOffset(FIRST), arrays });
  assert.equal(run.starts, arrays.starts);
  assert.equal(run.resumeOffset, FIRST + 4);
  assert.equal(run.endAt, concat(frames.slice(0, 4)).length);
});
