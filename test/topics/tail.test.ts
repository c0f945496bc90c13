import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { spansOf } from "../../src/base/record-spans.ts";
import { type Offset, toOffset } from "../../src/base/units.ts";
import { encodeBatch } from "../../src/storage/frame.ts";
import { decodeFrames } from "../../src/storage/frame-run.ts";
import { Tail, TailMemory } from "../../src/topics/tail.ts";
import type { ReadLimits, RecordRun } from "../../src/topics/topics.ts";

const MANY: ReadLimits = { recordsMax: 1_000_000, bytesMax: 1_000_000_000 };
const WIDE = 10_000_000;

/** A tail that is appended to as a topic is: record N is the text N, padded. */
class Writer {
  readonly tail: Tail;
  next = 0;

  constructor(memory = new TailMemory(WIDE), bytesMax = WIDE) {
    this.tail = new Tail(memory, bytesMax);
  }

  add(count: number, bodyBytes = 10): void {
    const bodies = Array.from({ length: count }, (_, at) => body(this.next + at, bodyBytes));
    const firstOffset = toOffset(this.next);
    const appendTimeUs = 1000 + this.next;
    const input = { firstOffset, raftIndex: this.next + 2, appendTimeUs, records: spansOf(bodies) };
    this.tail.add(encodeBatch(input), appendTimeUs);
    this.next += count;
  }
}

function body(offset: number, bytes: number): Uint8Array {
  return new TextEncoder().encode(`${offset}`.padEnd(bytes, "."));
}

/** Offsets of a run, whose records must be what was appended there. */
function offsetsOf(run: RecordRun | undefined): number[] {
  assert.ok(run !== undefined, "nothing in memory");
  const found: number[] = [];
  for (let at = 0; at < run.count; at += 1) {
    const offset: number = run.offsets[at] ?? -1;
    const text = new TextDecoder().decode(run.bytes.subarray(run.starts[at], run.ends[at]));
    assert.equal(text.replace(/\.+$/, ""), `${offset}`);
    assert.ok((run.appendTimesUs[at] ?? 0) <= 1000 + offset);
    found.push(offset);
  }
  if (found.length > 0) assert.equal(run.resumeOffset, (found.at(-1) ?? 0) + 1);
  return found;
}

test("nothing is in memory before the first entry, at the end, or beyond it", () => {
  const { tail } = new Writer();
  assert.equal(tail.read(0, MANY), undefined);
  const writer = new Writer();
  writer.add(3);
  assert.equal(writer.tail.read(3, MANY), undefined);
  assert.equal(writer.tail.read(4, MANY), undefined);
  assert.equal(writer.tail.read(1, { ...MANY, endOffset: 1 }), undefined);
});

test("readers at one place share one run, whatever their limits, as long as nothing was added", () => {
  const writer = new Writer();
  writer.add(5);
  const first = writer.tail.read(0, MANY);
  assert.deepEqual(offsetsOf(first), [0, 1, 2, 3, 4]);
  assert.equal(writer.tail.read(0, { ...MANY, recordsMax: 5 }), first);
  const narrow = { ...MANY, recordsMax: 2 };
  const cut = writer.tail.read(0, narrow);
  assert.deepEqual(offsetsOf(cut), [0, 1]);
  assert.equal(writer.tail.read(0, { ...narrow }), cut);
  assert.equal(cut?.bytes, first?.bytes, "cutting copied the bytes");
  writer.add(1);
  assert.deepEqual(offsetsOf(writer.tail.read(0, MANY)), [0, 1, 2, 3, 4, 5]);
  assert.equal(writer.tail.read(5, MANY), writer.tail.read(5, MANY));
});

test("a large entry is given out as it was written, small ones together", () => {
  const writer = new Writer();
  for (let count = 0; count < 10; count += 1) writer.add(1);
  writer.add(1, 100_000);
  assert.deepEqual(offsetsOf(writer.tail.read(2, MANY)), [2, 3, 4, 5, 6, 7, 8, 9]);
  const large = writer.tail.read(10, MANY);
  writer.add(1);
  assert.equal(writer.tail.read(10, MANY), large);
  assert.deepEqual(offsetsOf(large), [10]);
});

test("a topic keeps so many bytes and its last entry; older ones are gone", () => {
  const memory = new TailMemory(WIDE);
  const writer = new Writer(memory, 2_000);
  for (let count = 0; count < 50; count += 1) writer.add(1, 100);
  assert.ok(memory.bytes <= 2_000, `${memory.bytes} bytes`);
  assert.equal(writer.tail.read(30, MANY), undefined);
  assert.deepEqual(offsetsOf(writer.tail.read(48, MANY)), [48, 49]);
  writer.add(1, 50_000);
  assert.deepEqual(offsetsOf(writer.tail.read(50, MANY)), [50]);
  assert.equal(writer.tail.read(49, MANY), undefined);
});

test("all topics together keep so many bytes, those longest without an append lose theirs first", () => {
  const memory = new TailMemory(5_000);
  const [idle, busy] = [new Writer(memory), new Writer(memory)];
  idle.add(1, 1_000);
  for (let count = 0; count < 3; count += 1) busy.add(1, 1_000);
  assert.ok(memory.bytes <= 5_000);
  assert.equal(idle.tail.read(0, MANY), undefined);
  assert.deepEqual(offsetsOf(busy.tail.read(0, MANY)), [0, 1, 2]);
  busy.add(1, 10_000);
  assert.equal(memory.bytes, 0, "an entry that is larger than all memory was kept");
  idle.add(1, 10);
  assert.deepEqual(offsetsOf(idle.tail.read(1, MANY)), [1]);
});

test("without memory nothing is kept, and a tail that was cleared gives all of it back", () => {
  const none = new Writer(new TailMemory(0));
  none.add(3);
  assert.equal(none.tail.read(0, MANY), undefined);
  const memory = new TailMemory(WIDE);
  const writer = new Writer(memory);
  for (let count = 0; count < 20; count += 1) writer.add(1);
  for (const from of [3, 5, 7, 9, 11]) assert.ok(writer.tail.read(from, MANY) !== undefined);
  const bytes = memory.bytes;
  writer.tail.clear();
  assert.ok(bytes > 0);
  assert.equal(memory.bytes, 0);
  assert.equal(writer.tail.read(5, MANY), undefined);
});

// Goal: a tail never gives anything but the records that follow the offset asked for, within the limits, and its
// books are right. Method: random appends and reads, compared with the arithmetic of offsets and with the frames.
test("whatever is appended and asked, a run holds what follows, as much as fits", () => {
  const operation = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 30 }), bytes: fc.constantFrom(7, 60, 900) }),
    fc.record({
      back: fc.integer({ min: -2, max: 120 }),
      recordsMax: fc.integer({ min: 1, max: 200 }),
      bytesMax: fc.constantFrom(1, 100, 3_000, 100_000),
      endBack: fc.option(fc.integer({ min: -3, max: 20 }), { nil: undefined }),
    }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const memory = new TailMemory(40_000);
      const writer = new Writer(memory, 20_000);
      for (const one of operations) {
        if ("add" in one) {
          writer.add(one.add, one.bytes);
          assert.ok(memory.bytes <= 40_000);
          continue;
        }
        const offset = writer.next - one.back;
        const endOffset = one.endBack === undefined ? undefined : writer.next - one.endBack;
        const limits = { recordsMax: one.recordsMax, bytesMax: one.bytesMax, endOffset };
        const run = offset < 0 ? undefined : writer.tail.read(offset, limits);
        if (run === undefined) continue;
        const found = offsetsOf(run);
        assert.equal(found[0], offset);
        assert.deepEqual(
          found,
          found.toSorted((left, right) => left - right),
        );
        assert.equal(found.at(-1), offset + found.length - 1);
        assert.ok(found.length <= one.recordsMax);
        assert.ok((found.at(-1) ?? 0) < Math.min(writer.next, endOffset ?? writer.next));
        const bytes = (run.ends[run.count - 1] ?? 0) - (run.starts[0] ?? 0);
        assert.ok(run.count === 1 || bytes <= one.bytesMax, `${bytes} of ${one.bytesMax}`);
      }
      writer.tail.clear();
      assert.equal(memory.bytes, 0);
    }),
  );
});

test("a run from memory says the same as its frames read from a store", () => {
  const bodies = [body(0, 3), body(1, 500), body(2, 0)];
  const input = {
    firstOffset: toOffset(0),
    raftIndex: 9,
    appendTimeUs: 77,
    records: spansOf(bodies),
  };
  const batch = encodeBatch(input);
  const tail = new Tail(new TailMemory(WIDE), WIDE);
  tail.add(batch, 77);
  const run = tail.read(0, MANY) ?? assert.fail("nothing in memory");
  const { endAt, ...read } = decodeFrames({ bytes: batch.bytes, first: 0 as Offset });
  assert.deepEqual({ ...run }, { ...read });
  assert.equal(endAt, batch.bytes.length);
});
