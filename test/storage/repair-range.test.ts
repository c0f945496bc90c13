import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { type Offset, toOffset } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { checkFrame } from "../../src/storage/frame.ts";
import { Log } from "../../src/storage/log.ts";
import type { LogExtent } from "../../src/storage/log-types.ts";
import { readStored } from "../../src/storage/read-stored.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import {
  allData,
  appendBodies,
  checkedOptions,
  INDEX_0,
  onDisks,
  readFile,
  STORE_0,
  utf8,
  writeFile,
} from "./fixture.ts";

/** A log, and what a peer has of it. */
interface Pair {
  readonly log: Log;
  readonly frames: readonly Uint8Array[];
  readonly extent: LogExtent;
}

async function pair(fs: FileSystem, count = 12, segmentRecordsMax = 1000): Promise<Pair> {
  const log = await Log.open(checkedOptions(fs, { segmentRecordsMax }));
  for (let record = 0; record < count; record += 1) {
    appendBodies(log, [utf8(`record ${record} `.repeat(1 + (record % 4)))], record + 2);
  }
  const extent = await log.sync();
  const frames: Uint8Array[] = [];
  for await (const piece of readStored(log, { firstOffset: 0, endOffset: count })) {
    frames.push(...piece.frames.map((frame) => frame.slice()));
  }
  return { log, frames, extent };
}

/** Where each frame of the first segment begins, and where the last one ends. */
function startsOf(frames: readonly Uint8Array[]): number[] {
  const starts = [0];
  for (const frame of frames) starts.push((starts.at(-1) ?? 0) + frame.length + 8);
  return starts;
}

/** Writes over a part of a file. */
async function put(fs: FileSystem, path: string, at: number, bytes: Uint8Array): Promise<void> {
  const content = await readFile(fs, path);
  content.set(bytes, at);
  await writeFile(fs, path, content);
}

const repair = (log: Log, frames: readonly Uint8Array[], first: number, end: number) =>
  log.repair({ firstOffset: first, frames: frames.slice(first, end) });

const isCorrupt = (error: unknown) => hasReason(error, "STORE_CORRUPT");

async function isSound(log: Log, offset: Offset): Promise<boolean> {
  try {
    await log.read(offset);
    return true;
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    return false;
  }
}

/** Damaged offsets as ranges. */
async function damage(log: Log): Promise<[first: number, end: number][]> {
  const found: [number, number][] = [];
  for (let at: number = log.firstOffset; at < log.nextOffset; at += 1) {
    if (await isSound(log, toOffset(at))) continue;
    const last = found.at(-1);
    if (last?.[1] === at) last[1] = at + 1;
    else found.push([at, at + 1]);
  }
  return found;
}

onDisks("a damaged frame is replaced, wherever the damage is, and all else stays", async (fs) => {
  const { log, frames } = await pair(fs);
  const starts = startsOf(frames);
  const [store, index] = [await readFile(fs, STORE_0), await readFile(fs, INDEX_0)];
  for (const record of [0, 5, 11]) {
    const start = starts[record] ?? 0;
    const end = starts[record + 1] ?? 0;
    // Length, checksum, body, all of it.
    for (const [at, count] of [
      [start, 8],
      [start + 8, 4],
      [end - 1, 1],
      [start, end - start],
    ] as const) {
      await put(fs, STORE_0, at, new Uint8Array(count).fill(0xee));
      assert.equal(await isSound(log, toOffset(record)), false);
      await repair(log, frames, record, record + 1);
      assert.deepEqual(await readFile(fs, STORE_0), store);
      assert.equal(await isSound(log, toOffset(record)), true);
    }
  }
  assert.deepEqual(await readFile(fs, INDEX_0), index);
  assert.equal((await allData(log)).length, 12);
  await log.close();
});

test("a range that leaves out a damaged neighbour is refused, and a wider one is not", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const { log, frames } = await pair(fs);
  const starts = startsOf(frames);
  const store = await readFile(fs, STORE_0);
  for (const record of [4, 5, 6])
    await put(fs, STORE_0, (starts[record] ?? 0) + 9, new Uint8Array(3));
  const damaged = await readFile(fs, STORE_0);
  for (const [first, end] of [
    [4, 5],
    [5, 6],
    [6, 7],
    [4, 6],
    [5, 7],
    [0, 5],
    [6, 12],
  ] as const) {
    await assert.rejects(repair(log, frames, first, end), isCorrupt);
  }
  assert.deepEqual(await readFile(fs, STORE_0), damaged);
  await repair(log, frames, 3, 9);
  assert.deepEqual(await readFile(fs, STORE_0), store);
});

test("frames that are not those of the place are refused, and nothing is changed", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const { log, frames } = await pair(fs);
  const other = await Log.open(checkedOptions(fs, { dir: "other" }));
  for (let record = 0; record < 12; record += 1) appendBodies(other, [utf8("another one")], 2);
  await other.written();
  await put(fs, STORE_0, (startsOf(frames)[5] ?? 0) + 9, new Uint8Array(3));
  const before = await readFile(fs, STORE_0);
  // Of another log: sound, but of other lengths.
  for await (const { frames: wrong } of readStored(other, { firstOffset: 5, endOffset: 6 })) {
    await assert.rejects(log.repair({ firstOffset: 5, frames: wrong }), isCorrupt);
  }
  const isInvalid = (error: unknown) => hasReason(error, "MESSAGE_INVALID");
  await assert.rejects(log.repair({ firstOffset: 4, frames: frames.slice(5, 7) }), isInvalid);
  const cut = frames.slice(5, 7).map((frame) => frame.subarray(1));
  await assert.rejects(log.repair({ firstOffset: 5, frames: cut }), isInvalid);
  const isOut = (error: unknown) => hasReason(error, "OFFSET_OUT_OF_RANGE");
  await assert.rejects(log.repair({ firstOffset: 12, frames: frames.slice(0, 1) }), isOut);
  await assert.rejects(log.repair({ firstOffset: -1, frames: frames.slice(0, 1) }), isOut);
  await assert.rejects(log.repair({ firstOffset: 10, frames: frames.slice(0, 3) }), isOut);
  assert.deepEqual(await readFile(fs, STORE_0), before);
});

test("an index that is of no use is made good too", async () => {
  for (const [first, end] of [
    [0, 3],
    [4, 7],
    [9, 12],
    [0, 12],
  ] as const) {
    for (const isAll of [false, true]) {
      const fs = new SimFileSystem(makeRandom(1));
      const { log, frames } = await pair(fs);
      const starts = startsOf(frames);
      const [store, index] = [await readFile(fs, STORE_0), await readFile(fs, INDEX_0)];
      const at = starts[first] ?? 0;
      await put(fs, STORE_0, at, new Uint8Array((starts[end] ?? 0) - at).fill(0x77));
      const entries = isAll ? index.length : (end - first) * 16;
      await put(fs, INDEX_0, isAll ? 0 : first * 16, new Uint8Array(entries).fill(0x77));
      // Who reads finds that neither is sound; that must not be the last word.
      assert.equal(await isSound(log, toOffset(first)), false);
      await repair(log, frames, first, end);
      assert.deepEqual(await readFile(fs, STORE_0), store);
      // Entries that were not in the range are mended by the first who needs them.
      assert.equal((await allData(log)).length, 12);
      assert.deepEqual(await readFile(fs, INDEX_0), index);
    }
  }
});

test("a repair across segments, while records are appended", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const { log, frames } = await pair(fs, 20, 6);
  const whole = await allData(log);
  for (const path of [...fs.dump().keys()].filter((name) => name.endsWith(".log"))) {
    const content = await readFile(fs, path);
    await writeFile(fs, path, content.fill(0x11));
  }
  assert.deepEqual(await damage(log), [[0, 20]]);
  const repairing = repair(log, frames, 0, 20);
  for (let record = 20; record < 30; record += 1) {
    appendBodies(log, [utf8(`late ${record}`)], record);
    await settle();
  }
  await repairing;
  await log.written();
  const data = await allData(log);
  assert.equal(data.length, 30);
  assert.deepEqual(data.slice(0, 20), whole);
  assert.deepEqual(await damage(log), []);
});

test("what is not written yet cannot be repaired", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const { log, frames } = await pair(fs);
  const release = fs.hold({ op: "write" });
  const at = appendBodies(log, [utf8("waits")], 20);
  await settle();
  const copied = { firstOffset: at - 1, frames: [...frames.slice(-1), frames[0] ?? utf8("")] };
  await assert.rejects(log.repair(copied), (error) => hasReason(error, "OFFSET_OUT_OF_RANGE"));
  release();
  await log.written();
  assert.equal((await allData(log)).length, 13);
});

test("without room a repair is refused and may be tried again; a disk that fails ends the log", async () => {
  for (const [code, reason] of [
    ["ENOSPC", "DISK_FULL"],
    ["EIO", "DISK_FAILED"],
  ] as const) {
    const fs = new SimFileSystem(makeRandom(1));
    const { log, frames } = await pair(fs);
    await put(fs, STORE_0, 9, new Uint8Array(3));
    fs.failNext({ op: "write" }, code);
    await assert.rejects(repair(log, frames, 0, 1), (error) => hasReason(error, reason));
    if (code === "EIO") {
      await assert.rejects(repair(log, frames, 0, 1), (error) => hasReason(error, reason));
      continue;
    }
    await repair(log, frames, 0, 1);
    assert.deepEqual(await damage(log), []);
    fs.failNext({ op: "sync" }, "EIO");
    await assert.rejects(repair(log, frames, 0, 1), (error) => hasReason(error, "DISK_FAILED"));
    assert.throws(() => appendBodies(log, [utf8("x")]), /DISK_FAILED|disk reports/);
  }
});

// Goal: whatever has rotted, a log whose damaged ranges are replaced is byte for byte what it was, also
// when the power goes in between. Method: random rot in stores and indexes, repairs of what is found
// damaged, cut short at a random step now and then, and begun again.
// Replay one run: SEED=17 node --test test/storage/repair-range.test.ts
const LAST_RECORD_BYTES = 80;

async function run(seed: number): Promise<void> {
  const random = makeRandom(seed);
  let fs = new SimFileSystem(random);
  const { log: first, frames, extent } = await pair(fs, 40, integerFrom(random, 5, 60));
  await first.close();
  const whole = fs.dump();
  // What is needed to open the log at all: the end of its newest segment.
  const newest = [...whole.keys()].at(-1)?.slice(0, -4) ?? "";
  for (const [path, bytes] of whole) {
    const end = bytes.length - (path.startsWith(newest) ? LAST_RECORD_BYTES : 0);
    for (let flips = end > 0 ? integerFrom(random, 0, 6) : 0; flips > 0; flips -= 1) {
      const at = integerFrom(random, 0, end - 1);
      const count = Math.min(integerFrom(random, 1, 200), end - at);
      await put(fs, path, at, new Uint8Array(count).fill(integerFrom(random, 0, 255)));
    }
  }
  for (let life = 0; ; life += 1) {
    assert.ok(life < 20, "it never ends");
    const isCut = life < 3 && random() < 0.6;
    const log = await Log.openAt(checkedOptions(fs), extent);
    const stopAt = fs.steps + (isCut ? integerFrom(random, 1, 60) : Number.POSITIVE_INFINITY);
    fs.onStep((step) => {
      if (step >= stopAt) throw new SimCrash();
    });
    try {
      // A range may turn out to be wider than what reads say: an index may lie about a sound frame.
      for (let margin = 0; (await damage(log)).length > 0; margin += 1) {
        assert.ok(margin <= 40, "nothing helps");
        for (const [from, end] of await damage(log)) {
          const copied = { first: Math.max(0, from - margin), end: Math.min(40, end + margin) };
          await repair(log, frames, copied.first, copied.end).catch((error) => {
            if (!isCorrupt(error)) throw error;
          });
        }
      }
      assert.equal((await allData(log)).length, 40);
      await log.sync();
      await log.close();
      break;
    } catch (error) {
      if (!fs.isStopped) throw error;
    }
    await settle();
    fs.crash();
    fs = fs.reopen();
  }
  for (const [path, bytes] of fs.dump()) {
    if (path.endsWith(".log")) assert.deepEqual(bytes, whole.get(path), path);
  }
  const again = await Log.openAt(checkedOptions(fs.reopen()), extent);
  const data = await allData(again);
  assert.ok(data.every((one, at) => checkFrame(one, toOffset(at)) === "valid"));
  assert.equal(data.length, 40);
}

for (const seed of seedsFromEnv(60)) {
  test(`what rots is repaired from a peer, also after a crash (seed ${seed})`, () => run(seed));
}
