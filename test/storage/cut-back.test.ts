import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { toOffset } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import {
  adoptPendingCheckpoint,
  type Checkpoint,
  dropPendingCheckpoint,
  pendingVerdict,
  readCheckpoint,
  writeCheckpoint,
} from "../../src/storage/checkpoint.ts";
import { extentFrom } from "../../src/storage/extent.ts";
import { CHECKPOINT_PENDING_NAME } from "../../src/storage/layout.ts";
import { Log } from "../../src/storage/log.ts";
import type { LogExtent } from "../../src/storage/log-types.ts";
import { readStored } from "../../src/storage/read-stored.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import { appendBodies, checkedOptions, DIR, names, onDisks, utf8 } from "./fixture.ts";

/** Body of a record: of any size, the same on every replica. */
const body = (offset: number) => utf8(`record ${offset} `.repeat(1 + (offset % 5)));

function appendTo(log: Log, end: number): void {
  while (log.nextOffset < end) appendBodies(log, [body(log.nextOffset)], log.nextOffset + 2);
}

/** A peer's log of so many records. */
async function peer(count: number): Promise<Log> {
  const log = await Log.open(checkedOptions(new SimFileSystem(makeRandom(5))));
  appendTo(log, count);
  await log.written();
  return log;
}

async function copy(source: Log, target: Log, endOffset: number, bytesMax = 300): Promise<void> {
  const range = { firstOffset: target.nextOffset, endOffset, bytesMax };
  for await (const piece of readStored(source, range)) target.appendCopied(piece);
}

/** Texts of the records from `first` on, without their envelopes. */
async function bodiesFrom(log: Log, first: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { data } of log.scan(toOffset(first))) {
    const text = new TextDecoder().decode(data);
    found.push(text.slice(text.indexOf("record")));
  }
  return found;
}

const texts = (first: number, end: number) =>
  Array.from({ length: end - first }, (_, at) => new TextDecoder().decode(body(first + at)));

async function basesOf(fs: FileSystem): Promise<number[]> {
  const stores = (await names(fs)).filter((name) => name.endsWith(".log"));
  return stores.map((name) => Number.parseInt(name, 10));
}

onDisks("a log that is cut back is as it was, in its segment and in later ones", async (fs) => {
  const source = await peer(60);
  for (const [count, end] of [
    [0, 3],
    [7, 9],
    [7, 40],
    [10, 40],
    [20, 21],
  ] as const) {
    const log = await Log.open(
      checkedOptions(fs, { segmentRecordsMax: 10, dir: `${DIR}/${count}-${end}` }),
    );
    appendTo(log, count);
    const extent = log.extent();
    for (const state of ["pending", "synced", "written"]) {
      await copy(source, log, end);
      if (state === "written") await log.written();
      if (state === "synced") await log.sync();
      await log.cutBack(extent);
      assert.deepEqual(log.extent(), extent);
      assert.equal(log.nextOffset, count);
    }
    // Their files are not made again.
    log.configure({ segmentBytesMax: 2 ** 30, segmentRecordsMax: 17 });
    appendTo(log, end + 5);
    assert.deepEqual(await bodiesFrom(log, 0), texts(0, end + 5));
    const all = await log.sync();
    await log.close();
    const again = await Log.openAt(checkedOptions(fs, { dir: `${DIR}/${count}-${end}` }), all);
    assert.equal(again.recovery.cutBytes + again.recovery.removedFiles, 0);
    assert.deepEqual(await bodiesFrom(again, 0), texts(0, end + 5));
    await again.close();
  }
  await source.close();
});

test("what takes the place of records that were cut off is read as it is", async () => {
  const log = await Log.open(checkedOptions(new SimFileSystem(makeRandom(1))));
  appendTo(log, 5);
  const extent = await log.sync();
  await copy(await peer(40), log, 40);
  await log.written();
  const limits = { bytesMax: 200, recordsMax: 4 };
  for (let offset = 0; offset < 40; offset += 1) {
    await log.read(toOffset(offset));
    (await log.readRun(toOffset(offset), limits))?.giveBack?.();
  }
  await log.cutBack(extent);
  const others = Array.from({ length: 60 }, (_, at) => `record of another size, ${at * at * at}`);
  for (const other of others) appendBodies(log, [utf8(other)], 9);
  await log.written();
  assert.deepEqual(await bodiesFrom(log, 5), others);
  // The last ones first: a read says where the next one begins.
  for (let offset = 64; offset >= 5; offset -= 1) {
    const run = await log.readRun(toOffset(offset), limits);
    assert.equal(run?.offsets[0], offset);
    assert.ok((await log.read(toOffset(offset))).length > 0);
  }
});

test("while the disk is full what waits for room is dropped, and the room is given back", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const clock = new SimClock();
  const log = await Log.open(checkedOptions(fs, { segmentRecordsMax: 10, clock }));
  appendTo(log, 12);
  const extent = await log.sync();
  const used = fs.usedBytes;
  fs.setCapacity(used + 1000);
  const source = await peer(200);
  await copy(source, log, 100);
  const syncing = log.sync();
  await settle();
  assert.equal(log.isDiskFull, true);
  await log.cutBack(extent);
  await syncing;
  assert.equal(log.nextOffset, 12);
  assert.equal(fs.usedBytes, used);
  appendTo(log, 15);
  await log.sync();
  assert.deepEqual(await bodiesFrom(log, 0), texts(0, 15));
});

test("what was applied before and waits for its write is still written", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await Log.open(checkedOptions(fs, { segmentRecordsMax: 10 }));
  appendTo(log, 5);
  await log.sync();
  const release = fs.hold({ op: "write" });
  appendTo(log, 8);
  await settle();
  appendTo(log, 12);
  const extent = log.extent();
  const source = await peer(30);
  await copy(source, log, 30);
  const cutting = log.cutBack(extent);
  assert.throws(() => appendTo(log, 31), /being cut back/);
  release();
  await cutting;
  await log.sync();
  assert.deepEqual(await bodiesFrom(log, 0), texts(0, 12));
});

test("after a failure a log cannot be cut back, nor after closing", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await Log.open(checkedOptions(fs));
  appendTo(log, 5);
  const extent = await log.sync();
  fs.failNext({ op: "write" }, "EIO");
  appendTo(log, 6);
  const isFailed = (error: unknown) => hasReason(error, "DISK_FAILED");
  await assert.rejects(log.written(), isFailed);
  await assert.rejects(log.cutBack(extent), isFailed);
  const other = await Log.open(checkedOptions(fs, { dir: "other" }));
  const empty = other.extent();
  await other.close();
  await assert.rejects(other.cutBack(empty), (error) => hasReason(error, "DRAINING"));
});

test("a disk that fails while a log is cut back ends the log", async () => {
  for (const op of ["truncate", "remove", "syncDir"] as const) {
    const fs = new SimFileSystem(makeRandom(1));
    const log = await Log.open(checkedOptions(fs, { segmentRecordsMax: 10 }));
    appendTo(log, 5);
    const extent = await log.sync();
    appendTo(log, 30);
    await log.sync();
    fs.failNext({ op }, "EIO");
    const isFailed = (error: unknown) => hasReason(error, "DISK_FAILED");
    await assert.rejects(log.cutBack(extent), isFailed, op);
    assert.throws(() => log.roll(), isFailed);
  }
});

onDisks(
  "a log begins anew above its end, and what was there stays until it is trimmed",
  async (fs) => {
    for (const count of [0, 10, 17]) {
      const dir = `${DIR}/${count}`;
      const log = await Log.open(checkedOptions(fs, { segmentRecordsMax: 5, dir }));
      appendTo(log, count);
      const before = await log.sync();
      assert.throws(() => log.beginAt(toOffset(count)), /Cannot begin/);
      log.beginAt(toOffset(50));
      assert.equal(log.nextOffset, 50);
      for (let offset = 50; offset < 63; offset += 1) appendBodies(log, [body(offset)], offset + 2);
      // Readers of what was there are not disturbed.
      if (count > 0) assert.ok((await log.read(toOffset(count - 1))).length > 0);
      const extent = extentFrom(await log.sync(), toOffset(50));
      assert.deepEqual(
        extent.segments.map(({ base, records }) => [base, records]),
        [
          [50, 5],
          [55, 5],
          [60, 3],
        ],
      );
      await log.cutBack(before);
      assert.equal(log.nextOffset, count);
      assert.deepEqual(await bodiesFrom(log, 0), texts(0, count));
      log.beginAt(toOffset(52));
      for (let offset = 52; offset < 63; offset += 1) appendBodies(log, [body(offset)], offset + 2);
      await log.sync();
      await log.trimBefore(toOffset(52));
      assert.equal(log.firstOffset, 52);
      assert.deepEqual(await bodiesFrom(log, 52), texts(52, 63));
      await log.close();
      const again = await Log.open(checkedOptions(fs, { dir }));
      assert.deepEqual(await bodiesFrom(again, 52), texts(52, 63));
      await again.close();
    }
  },
);

test("a log that begins anew with nothing is empty there", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await Log.open(checkedOptions(fs, { segmentRecordsMax: 5 }));
  appendTo(log, 12);
  log.beginAt(toOffset(90));
  const extent = extentFrom(await log.sync(), toOffset(90));
  assert.deepEqual(extent, { segments: [{ base: 90, records: 0, storeBytes: 0 }] });
  await log.close();
  const again = await Log.openAt(checkedOptions(fs), extent);
  assert.deepEqual([again.firstOffset, again.nextOffset], [90, 90]);
  assert.deepEqual(await basesOf(fs), []);
  appendBodies(again, [body(90)]);
  assert.deepEqual(await bodiesFrom(again, 90), texts(90, 91));
});

const CHECKPOINT: Checkpoint = {
  topicId: 7,
  replicaId: 3,
  appliedIndex: 90,
  appliedTerm: 4,
  confState: utf8("conf"),
  startOffset: 0,
  nextOffset: 0,
  extent: { segments: [] },
  state: utf8("state"),
};

test("a pending checkpoint counts when the journal has its mark, its replica's, and no other", () => {
  const mark = { replicaId: 3, snapshotIndex: 90, snapshotTerm: 4 };
  assert.equal(pendingVerdict(CHECKPOINT, mark), "adopt");
  assert.equal(pendingVerdict(CHECKPOINT, { ...mark, snapshotIndex: 89 }), "drop");
  assert.equal(pendingVerdict(CHECKPOINT, { ...mark, snapshotIndex: 91 }), "drop");
  assert.equal(pendingVerdict(CHECKPOINT, { ...mark, snapshotTerm: 5 }), "drop");
  assert.equal(pendingVerdict(CHECKPOINT, { ...mark, replicaId: 4 }), "drop");
  assert.equal(pendingVerdict(CHECKPOINT, undefined), "drop");
  assert.equal(pendingVerdict("damaged", mark), "drop");
});

test("adopting and dropping are whole or not at all, and durable when they resolve", async () => {
  for (const what of ["adopt", "drop"] as const) {
    const seen = new Set<string>();
    for (let stopAt = 1; stopAt < 8; stopAt += 1) {
      for (let seed = 1; seed <= 20; seed += 1) {
        const fs = new SimFileSystem(makeRandom(seed));
        await fs.makeDir(DIR);
        await fs.syncDir("");
        await writeCheckpoint(fs, DIR, { ...CHECKPOINT, appliedIndex: 1 });
        await writeCheckpoint(fs, DIR, CHECKPOINT, CHECKPOINT_PENDING_NAME);
        const from = fs.steps;
        fs.onStep((step) => {
          if (step === from + stopAt) throw new SimCrash();
        });
        const run = what === "adopt" ? adoptPendingCheckpoint : dropPendingCheckpoint;
        const isDone = await run(fs, DIR).then(
          () => true,
          () => false,
        );
        fs.crash();
        const next = fs.reopen();
        const indexOf = async (name?: string) => {
          const found = await readCheckpoint(next, DIR, name);
          return typeof found === "object" ? found.appliedIndex : found;
        };
        const state = `${await indexOf()} ${await indexOf(CHECKPOINT_PENDING_NAME)}`;
        const after = what === "adopt" ? "90 undefined" : "1 undefined";
        assert.ok(state === "1 90" || state === after, state);
        if (isDone) assert.equal(state, after);
        seen.add(state);
      }
    }
    assert.equal(seen.size, 2, `${what} was always or never seen`);
  }
  const fs = new SimFileSystem(makeRandom(1));
  await fs.makeDir(DIR);
  await dropPendingCheckpoint(fs, DIR);
  await assert.rejects(adoptPendingCheckpoint(fs, DIR));
});

// Goal: a replica that takes snapshots by copying is, after a power cut at any step, where its checkpoint
// or the snapshot that the "journal" has a mark of left it, byte for byte, and goes on from there.
// Method: lives of appends, checkpoints, trims and snapshots (copied, begun anew, given up, committed) on the
// simulated disk. Replay one run: SEED=17 node --test test/storage/cut-back.test.ts
class Follower {
  /** What a journal would say: index of the last mark, which is the next offset here. */
  marked = 0;
  /** Applied, and the first offset that is kept. */
  next = 0;
  start = 0;
  readonly #random: () => number;
  readonly #source: Log;

  constructor(random: () => number, source: Log) {
    this.#random = random;
    this.#source = source;
  }

  async open(fs: FileSystem): Promise<Log> {
    await fs.makeDir(DIR);
    await fs.syncDir("");
    const pending = await readCheckpoint(fs, DIR, CHECKPOINT_PENDING_NAME);
    if (pending !== undefined) {
      const mark = { replicaId: 3, snapshotIndex: this.marked, snapshotTerm: 4 };
      if (pendingVerdict(pending, mark) === "adopt") await adoptPendingCheckpoint(fs, DIR);
      else await dropPendingCheckpoint(fs, DIR);
    }
    const found = await readCheckpoint(fs, DIR);
    assert.notEqual(found, "damaged");
    const checkpoint = typeof found === "object" ? found : CHECKPOINT;
    if (found === undefined) assert.equal(this.marked, 0);
    else assert.ok(checkpoint.appliedIndex >= this.marked, "the checkpoint is older than the mark");
    const segmentRecordsMax = integerFrom(this.#random, 2, 12);
    const log = await Log.openAt(
      checkedOptions(fs, { segmentRecordsMax, syncOnRoll: false }),
      checkpoint.extent,
    );
    this.next = checkpoint.nextOffset;
    this.start = checkpoint.startOffset;
    await this.verify(log);
    return log;
  }

  async verify(log: Log): Promise<void> {
    assert.equal(log.nextOffset, this.next);
    assert.ok(log.firstOffset <= this.start);
    assert.deepEqual(await bodiesFrom(log, this.start), texts(this.start, this.next));
  }

  async step(fs: FileSystem, log: Log): Promise<void> {
    const way = this.#random();
    if (way < 0.4) this.#append(log);
    else if (way < 0.5) this.start = integerFrom(this.#random, this.start, this.next);
    else if (way < 0.65) await this.#checkpoint(fs, log);
    else if (way < 0.9) await this.#snapshot(fs, log);
    else await this.verify(log);
  }

  #append(log: Log): void {
    const end = this.next + integerFrom(this.#random, 1, 6);
    while (this.next < end) {
      appendBodies(log, [body(this.next)], this.next + 2);
      this.next += 1;
    }
  }

  #checkpointOf(extent: LogExtent, startOffset: number, nextOffset: number): Checkpoint {
    return { ...CHECKPOINT, appliedIndex: nextOffset, startOffset, nextOffset, extent };
  }

  async #checkpoint(fs: FileSystem, log: Log): Promise<void> {
    if (this.start === this.next) log.roll();
    const extent = extentFrom(log.extent(), toOffset(this.start));
    await log.sync();
    await writeCheckpoint(fs, DIR, this.#checkpointOf(extent, this.start, this.next));
    this.marked = this.next;
    await log.trimBefore(toOffset(this.start));
  }

  async #snapshot(fs: FileSystem, log: Log): Promise<void> {
    const next = this.next + integerFrom(this.#random, 1, 60);
    const start = integerFrom(this.#random, this.start, next);
    const before = log.extent();
    if (start > log.nextOffset) log.beginAt(toOffset(start));
    await copy(this.#source, log, next, integerFrom(this.#random, 1, 800));
    const isCommitted = this.#random() < 0.6;
    if (this.#random() < 0.7 || isCommitted) {
      const extent = extentFrom(await log.sync(), toOffset(start));
      const checkpoint = this.#checkpointOf(extent, start, next);
      await writeCheckpoint(fs, DIR, checkpoint, CHECKPOINT_PENDING_NAME);
    }
    if (!isCommitted) {
      await dropPendingCheckpoint(fs, DIR);
      await log.cutBack(before);
      return;
    }
    this.marked = next;
    if (this.#random() < 0.1) throw new SimCrash();
    await adoptPendingCheckpoint(fs, DIR);
    this.next = next;
    this.start = start;
    await log.trimBefore(toOffset(start));
  }
}

async function run(seed: number, source: Log): Promise<number> {
  const random = makeRandom(seed);
  let fs = new SimFileSystem(random);
  const follower = new Follower(random, source);
  for (let life = 0; life < 5; life += 1) {
    const stopAt = integerFrom(random, 1, 500);
    fs.onStep((step) => {
      if (step >= stopAt) throw new SimCrash();
    });
    try {
      const log = await follower.open(fs);
      for (let op = 0; op < 40 && log.nextOffset < 3000; op += 1) await follower.step(fs, log);
    } catch (error) {
      if (!fs.isStopped && !(error instanceof SimCrash)) throw error;
    }
    fs.onStep(() => {
      throw new SimCrash();
    });
    await settle();
    if (random() < 0.8) fs.crash();
    fs = fs.reopen();
  }
  const log = await follower.open(fs);
  await log.close();
  return follower.next;
}

for (const seed of seedsFromEnv(40)) {
  test(`a replica that takes snapshots is always where one left it (seed ${seed})`, async () => {
    await run(seed, await sourceOnce());
  });
}

let made: Promise<Log> | undefined;

/** One for all: it is only read. */
function sourceOnce(): Promise<Log> {
  made ??= peer(4000);
  return made;
}

test("the runs above get somewhere", async () => {
  const source = await sourceOnce();
  let total = 0;
  for (let seed = 1; seed <= 10; seed += 1) total += await run(seed, source);
  assert.ok(total > 1000, `${total} records in ten runs`);
});
