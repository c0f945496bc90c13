import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { spansOf } from "../../src/base/record-spans.ts";
import { toOffset } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import type { StoredFrames } from "../../src/storage/copied-frames.ts";
import { copiedBatch } from "../../src/storage/copied-frames.ts";
import { encodeBatch } from "../../src/storage/frame.ts";
import { Log } from "../../src/storage/log.ts";
import { readStored } from "../../src/storage/read-stored.ts";
import { makeRandom } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import {
  allData,
  appendBodies,
  checkedOptions,
  flipBit,
  names,
  onDisks,
  STORE_0,
  utf8,
} from "./fixture.ts";

/** A log of so many records, three in an entry, in segments of so many. */
async function filled(fs: FileSystem, count: number, segmentRecordsMax = 6, dir = "log") {
  const log = await Log.open(checkedOptions(fs, { segmentRecordsMax, dir }));
  for (let record = 0; record < count; record += 3) {
    const bodies = [0, 1, 2].map((at) => utf8(`record ${record + at} `.repeat(1 + (record % 5))));
    appendBodies(log, bodies.slice(0, count - record), record + 2);
  }
  await log.written();
  return log;
}

async function collect(pieces: AsyncIterable<StoredFrames>): Promise<StoredFrames[]> {
  const found: StoredFrames[] = [];
  for await (const piece of pieces) found.push(piece);
  return found;
}

/** All frames, of which there must be one each offset. */
async function framesOf(log: Log, firstOffset: number, endOffset: number, bytesMax?: number) {
  const range = { firstOffset, endOffset, ...(bytesMax === undefined ? {} : { bytesMax }) };
  const frames: Uint8Array[] = [];
  for await (const piece of readStored(log, range)) {
    assert.equal(piece.firstOffset, firstOffset + frames.length);
    assert.ok(piece.frames.length > 0);
    frames.push(...piece.frames);
  }
  return frames;
}

onDisks("a copy made piece by piece is the same log, whatever its segments", async (fs) => {
  const source = await filled(fs, 40);
  const target = await Log.open(checkedOptions(fs, { dir: "copy", segmentRecordsMax: 10 }));
  for await (const piece of readStored(source, { firstOffset: 0, endOffset: 40, bytesMax: 300 })) {
    assert.equal(target.appendCopied(piece), piece.firstOffset);
  }
  assert.equal(target.nextOffset, 40);
  assert.deepEqual(await allData(target), await allData(source));
  assert.notEqual(target.segments().length, source.segments().length);
  await target.sync();
  await target.close();
  const again = await Log.open(checkedOptions(fs, { dir: "copy" }));
  assert.equal(again.recovery.cutBytes, 0);
  assert.deepEqual(await allData(again), await allData(source));
  await again.close();
  await source.close();
});

test("what is not sound is not appended: at a wrong place, changed, cut, too long, out of order", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const source = await filled(fs, 12);
  const frames = await framesOf(source, 0, 12);
  const target = await Log.open(checkedOptions(fs, { dir: "copy" }));
  target.appendCopied({ firstOffset: 0, frames: frames.slice(0, 4) });
  const refused = (copied: StoredFrames) =>
    assert.throws(
      () => target.appendCopied(copied),
      (error) => hasReason(error, "MESSAGE_INVALID") && error.metadata["offset"] !== undefined,
    );
  const next = frames.slice(4, 8);
  refused({ firstOffset: 5, frames: next });
  refused({ firstOffset: 3, frames: frames.slice(3, 8) });
  refused({ firstOffset: 4, frames: frames.slice(5, 8) });
  refused({ firstOffset: 4, frames: [...next.slice(0, 2), ...next.slice(3)] });
  refused({ firstOffset: 4, frames: [...next, new Uint8Array(0)] });
  refused({ firstOffset: 4, frames: [...next, new Uint8Array(20)] });
  refused({ firstOffset: 4, frames: [new Uint8Array(101 * 2 ** 20)] });
  refused({ firstOffset: Number.NaN, frames: next });
  for (let at = 0; at < next.length; at += 1) {
    const frame = next[at] ?? new Uint8Array(0);
    for (let bit = 0; bit < frame.length * 8; bit += 5) {
      const changed = frame.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      refused({ firstOffset: 4, frames: next.map((one, place) => (place === at ? changed : one)) });
    }
    const cut = frame.subarray(0, -1);
    refused({ firstOffset: 4, frames: next.map((one, place) => (place === at ? cut : one)) });
  }
  assert.equal(target.nextOffset, 4);
  target.appendCopied({ firstOffset: 4, frames: next });
  assert.equal(target.nextOffset, 8);
});

test("numbers that are no offsets are refused", () => {
  for (const firstOffset of [-1, 0.5, Number.NaN, 2 ** 53 - 1]) {
    const frames = [utf8("frame")];
    assert.throws(() => copiedBatch({ firstOffset, frames }), /wanted what the peer has stored/);
  }
});

test("a range that is not all there is refused, and an empty one is empty", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await filled(fs, 20);
  await log.trimBefore(toOffset(12));
  const isOut = (error: unknown) => hasReason(error, "OFFSET_OUT_OF_RANGE");
  await assert.rejects(framesOf(log, 11, 15), isOut);
  await assert.rejects(framesOf(log, 12, 21), isOut);
  await assert.rejects(framesOf(log, Number.NaN, 15), isOut);
  assert.deepEqual(await framesOf(log, 5, 5), []);
  assert.equal((await framesOf(log, 12, 20)).length, 8);
});

onDisks("a damaged frame ends the copy, after those before it", async (fs) => {
  const source = await filled(fs, 6, 100);
  const whole = await framesOf(source, 0, 6);
  await source.sync();
  const lengths = whole.map((frame) => frame.length + 8);
  const start = lengths.slice(0, 4).reduce((sum, length) => sum + length, 0);
  // In the header, the envelope and the body of frame 4.
  for (const at of [start, start + 9, start + (lengths[4] ?? 0) - 1]) {
    await flipBit(fs, STORE_0, at);
    const reader = await Log.openReadOnly({ fs, dir: "log" });
    const log = reader.nextOffset === 6 ? reader : source;
    const pieces: StoredFrames[] = [];
    await assert.rejects(
      async () => {
        for await (const piece of readStored(log, { firstOffset: 0, endOffset: 6 }))
          pieces.push(piece);
      },
      (error) => hasReason(error, "STORE_CORRUPT") && error.metadata["offset"] === "4",
    );
    const frames = pieces.flatMap((piece) => piece.frames);
    assert.deepEqual(frames, whole.slice(0, 4));
    await reader.close();
    await flipBit(fs, STORE_0, at);
  }
  await source.close();
});

onDisks(
  "what is trimmed while it is copied is there to the end of the copy, then it goes",
  async (fs) => {
    const log = await filled(fs, 30);
    const whole = await framesOf(log, 0, 30);
    const pieces = readStored(log, { firstOffset: 3, endOffset: 30, bytesMax: 200 });
    const frames = [...((await pieces.next()).value?.frames ?? [])];
    let isGone = false;
    const trimming = log.trimBefore(toOffset(30)).then(() => {
      isGone = true;
    });
    assert.equal(log.firstOffset, 24);
    // New readers do not see it, not even by a lease.
    await assert.rejects(framesOf(log, 3, 30), (error) => hasReason(error, "OFFSET_OUT_OF_RANGE"));
    for await (const piece of pieces) {
      assert.equal(isGone, false);
      frames.push(...piece.frames);
    }
    assert.deepEqual(frames, whole.slice(3));
    await trimming;
    assert.deepEqual(
      (await names(fs))
        .filter((name) => name.endsWith(".log"))
        .map((name) => Number.parseInt(name, 10)),
      [24],
    );
    await log.close();
  },
);

test("who leaves a copy early gives the files back, and closing does so for all", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await filled(fs, 30);
  for await (const _ of readStored(log, { firstOffset: 0, endOffset: 30, bytesMax: 1 })) break;
  await log.trimBefore(toOffset(12));
  const left = readStored(log, { firstOffset: 12, endOffset: 30, bytesMax: 1 });
  await left.next();
  const trimming = log.trimBefore(toOffset(20));
  await settle();
  await log.close();
  await trimming.catch(() => {});
  await assert.rejects(left.next(), (error) => hasReason(error, "DRAINING"));
  const lease = () => log.lease(toOffset(24));
  assert.throws(lease, (error) => hasReason(error, "DRAINING"));
});

test("what is not written yet is copied too", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await filled(fs, 6);
  const release = fs.hold({ op: "write" });
  for (let record = 6; record < 20; record += 1)
    appendBodies(log, [utf8(`late ${record}`)], record);
  await settle();
  const frames = await framesOf(log, 0, 20, 50);
  release();
  await log.written();
  assert.deepEqual(frames, await framesOf(log, 0, 20));
});

test("frames come in pieces of about the size that is asked for, a large one alone", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await Log.open(checkedOptions(fs));
  for (const size of [100, 100, 5000, 100, 100, 100]) appendBodies(log, [new Uint8Array(size)]);
  await log.written();
  const pieces = await collect(readStored(log, { firstOffset: 0, endOffset: 6, bytesMax: 300 }));
  assert.deepEqual(
    pieces.map(({ firstOffset, frames }) => [firstOffset, frames.length]),
    [
      [0, 2],
      [2, 1],
      [3, 2],
      [5, 1],
    ],
  );
  const batch = encodeBatch({
    firstOffset: toOffset(0),
    raftIndex: 2,
    appendTimeUs: 1_000_000,
    records: spansOf([new Uint8Array(100)]),
  });
  assert.deepEqual(pieces[0]?.frames[0], batch.bytes.subarray(8));
});
