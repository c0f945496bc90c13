// A full disk is waited for; every other write error and every sync error is final.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { toOffset } from "../../src/base/units.ts";
import { Log } from "../../src/storage/log.ts";
import type { LogOptions } from "../../src/storage/log-types.ts";
import { makeRandom } from "../support/prng.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import {
  allTexts,
  appendBodies,
  checkedOptions,
  logOptions,
  names,
  STORE_0,
  utf8,
} from "./fixture.ts";

interface Machine {
  readonly fs: SimFileSystem;
  readonly clock: SimClock;
  readonly failures: unknown[];
  /** Messages of the log at "warn". */
  readonly warnings: string[];
  readonly options: LogOptions;
}

function machine(seed = 1, changes: Partial<LogOptions> = {}): Machine {
  const fs = new SimFileSystem(makeRandom(seed));
  const clock = new SimClock();
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => failures.push(error);
  const warnings: string[] = [];
  const logger = { ...SILENT_LOGGER, warn: (message: string) => warnings.push(message) };
  const options = logOptions(fs, { clock, onFailure, logger, ...changes });
  return { fs, clock, failures, warnings, options };
}

const TEXTS = ["a", "bb", "ccc", "dddd", "eeeee", "ffffff"];

/** Appends {@link TEXTS} one by one in segments of 2 records, written one by one. */
async function appendAll(log: Log, clock: SimClock): Promise<void> {
  for (const record of TEXTS) {
    log.appendData([utf8(record)]);
    await clock.advance(10_000);
  }
  await log.written();
}

// Goal: whatever finds no space, nothing is lost, doubled or reported. Method: fail each
// operation that can, one in each run, several times in a row.
for (const [op, count] of [
  ["write", 12],
  ["open", 6],
] as const) {
  for (let after = 0; after < count; after += 1) {
    test(`no space at ${op} number ${after + 1} is waited for, at the same position`, async () => {
      const { fs, clock, failures, warnings, options } = machine(after + 1, {
        segmentRecordsMax: 2,
      });
      const log = await Log.open(options);
      fs.failNext({ op, path: /\.(log|idx)$/, after, times: 3 }, "ENOSPC");
      await appendAll(log, clock);
      assert.deepEqual(warnings, ["The disk is full: waiting for space"]);
      assert.equal(log.isDiskFull, false);
      assert.deepEqual(failures, []);
      assert.deepEqual(await allTexts(log), TEXTS);
      await log.sync();
      await log.close();
      const again = await Log.open(logOptions(fs));
      assert.deepEqual(await allTexts(again), TEXTS);
      assert.deepEqual(again.recovery.cutBytes, 0);
      assert.equal(again.recovery.rebuiltIndexes, 0);
      await again.close();
    });
  }
}

test("on a full disk the log says so, takes what it may hold, reads on, and goes on by itself", async () => {
  const { fs, clock, failures, options } = machine(3, { pendingBytesMax: 100 });
  const log = await Log.open(options);
  log.appendData([utf8("first")]);
  await log.written();
  fs.setCapacity(60);
  log.appendData([new Uint8Array(80)]);
  await settle();
  assert.equal(log.isDiskFull, true);
  assert.equal(log.hasRoom(), true);
  log.appendData([new Uint8Array(20)]);
  assert.equal(log.hasRoom(), false);
  assert.equal(log.pendingBytes, 116);
  let hasRoom = false;
  const waiting = log.whenRoom().then(() => {
    hasRoom = true;
  });
  await clock.advance(60_000);
  assert.equal(hasRoom, false);
  assert.deepEqual(
    (await allTexts(log)).map(({ length }) => length),
    [5, 80, 20],
  );
  fs.setCapacity(10_000);
  await clock.advance(1000);
  await waiting;
  await log.written();
  assert.deepEqual([log.isDiskFull, log.pendingBytes, failures.length], [false, 0, 0]);
  assert.deepEqual(
    (await allTexts(log)).map(({ length }) => length),
    [5, 80, 20],
  );
  await log.close();
});

test("attempts come after 100 ms, then 200, up to one second", async () => {
  const { fs, clock, options } = machine(1);
  const log = await Log.open(options);
  await settle();
  const attempts: number[] = [];
  fs.onStep((_step, op) => {
    if (op === "write") attempts.push(clock.monotonicMs());
  });
  fs.failNext({ op: "write", path: /log$/, times: 8 }, "ENOSPC");
  log.appendData([utf8("a")]);
  await clock.advance(10_000);
  const stores = attempts.slice(0, 9);
  assert.deepEqual(stores, [0, 100, 300, 700, 1500, 2500, 3500, 4500, 5500]);
  await log.close();
});

test("a log that is closed on a full disk tries once more, then says what is lost", async () => {
  const { fs, failures, options } = machine();
  const log = await Log.open(options);
  log.appendData([utf8("kept")]);
  await log.written();
  fs.setCapacity(30);
  log.appendData([utf8("lost")]);
  const syncing = log.sync();
  const syncRejects = assert.rejects(syncing, { reason: "DISK_FULL" });
  await settle();
  await assert.rejects(log.close(), {
    reason: "DISK_FULL",
    message: "Cannot write the last 12 bytes before closing: the disk is full",
  });
  await syncRejects;
  assert.deepEqual(failures, []);
  const again = await Log.open(logOptions(fs));
  assert.deepEqual(await allTexts(again), ["kept"]);
  await again.close();
});

test("a log whose folder is about to go is closed without writing", async () => {
  const { fs, options } = machine();
  const log = await Log.open(options);
  fs.setCapacity(0);
  log.appendData([utf8("a")]);
  const waiting = assert.rejects(log.written(), { reason: "DRAINING" });
  await settle();
  await log.close({ discardPending: true });
  await waiting;
  assert.equal(log.pendingBytes, 0);
});

test("a trim goes on while the disk is full, and makes the room", async () => {
  const { fs, clock, failures, options } = machine(5, { segmentRecordsMax: 1 });
  const log = await Log.open(options);
  for (let record = 0; record < 3; record += 1) log.appendData([new Uint8Array(100)]);
  await log.written();
  fs.setCapacity(fs.usedBytes + 50);
  log.appendData([new Uint8Array(100)]);
  await settle();
  assert.equal(log.isDiskFull, true);
  await log.trimBefore(toOffset(1));
  await clock.advance(1000);
  await log.written();
  assert.equal(log.isDiskFull, false);
  assert.deepEqual(failures, []);
  await log.close();
});

// Goal: after a write failed for good, nothing more is written and everybody is told once.
for (let after = 0; after < 10; after += 1) {
  test(`an I/O error at write number ${after + 1} is final`, async () => {
    const { fs, clock, failures, options } = machine(after + 1, { segmentRecordsMax: 2 });
    const log = await Log.open(options);
    fs.failNext({ op: "write", path: /\.(log|idx)$/, after }, "EIO");
    await assert.rejects(appendAll(log, clock), { reason: "DISK_FAILED" });
    assert.deepEqual(
      failures.map((error) => (error as { code?: string }).code),
      ["EIO"],
    );
    await refusesAll(log, fs);
    await log.close();
    assert.equal(failures.length, 1);
  });
}

// Syncs of this run: (0, 1) at its roll, store, index; folder; (2, 3) likewise; then all of sync().
for (let after = 0; after < 6; after += 1) {
  test(`a failed sync, number ${after + 1}, is final and is not tried again`, async () => {
    const { fs, clock, failures, options } = machine(after + 1, { segmentRecordsMax: 2 });
    const log = await Log.open(options);
    const code = after % 2 === 0 ? "EIO" : "ENOSPC";
    fs.failNext({ op: "sync", after }, code);
    const run = async () => {
      await appendAll(log, clock);
      await log.sync();
    };
    await assert.rejects(run(), { reason: "DISK_FAILED" });
    assert.deepEqual(
      failures.map((error) => (error as { code?: string }).code),
      [code],
    );
    const steps = syncCounter(fs);
    await refusesAll(log, fs);
    await log.close();
    assert.equal(steps.syncs, 0);
    assert.equal(failures.length, 1);
  });
}

test("a failed sync of the folder is final", async () => {
  const { fs, failures, options } = machine();
  const log = await Log.open(options);
  log.appendData([utf8("a")]);
  fs.failNext({ op: "syncDir" }, "EIO");
  await assert.rejects(log.sync(), { reason: "DISK_FAILED" });
  assert.equal(failures.length, 1);
  await refusesAll(log, fs);
  await log.close();
});

test("when several syncs wait and the first fails, the others fail too", async () => {
  const { fs, failures, options } = machine();
  const log = await Log.open(options);
  log.appendData([utf8("a")]);
  fs.failNext({ op: "sync" }, "EIO");
  const results = await Promise.allSettled([log.sync(), log.sync(), log.sync()]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "rejected", "rejected"],
  );
  assert.equal(failures.length, 1);
  await log.close();
});

test("a disk that cannot read one place is damage there, and only there", async () => {
  const { fs, options, failures } = machine(1, {});
  const log = await Log.open(options);
  log.appendData(TEXTS.map(utf8));
  await log.written();
  // The read, the scan that asks whether the index is wrong, and the read again.
  fs.failNext({ op: "read", path: /log$/, times: 3 }, "EIO");
  await assert.rejects(log.read(toOffset(2)), {
    reason: "STORE_CORRUPT",
    metadata: { offset: "2", file: STORE_0, position: "19" },
  });
  assert.deepEqual(await allTexts(log), TEXTS);
  fs.failNext({ op: "read", path: /log$/ }, "EIO");
  const range = await log.readFrames(toOffset(0), { bytesMax: 1000, recordsMax: 6 });
  assert.equal(range.ends.length, 3);
  assert.deepEqual(failures, []);
  await log.close();
});

test("opening on a full or broken disk says so in our own words", async () => {
  const { fs, options } = machine();
  const log = await Log.open(options);
  log.appendData([utf8("a")]);
  await log.close();
  await fs.remove(
    (await names(fs)).filter((name) => name.endsWith("idx")).map((name) => `log/${name}`)[0] ?? "",
  );
  fs.failNext({ op: "write" }, "ENOSPC");
  await assert.rejects(Log.open(options), { reason: "DISK_FULL" });
  fs.failNext({ op: "list" }, "EIO");
  await assert.rejects(Log.open(options), { reason: "DISK_FAILED" });
  fs.failNext({ op: "list" }, "EIO");
  await assert.rejects(Log.openAt(options, { segments: [] }), { reason: "DISK_FAILED" });
});

test("envelopes, too, are neither lost nor doubled when the disk is full for a while", async () => {
  const fs = new SimFileSystem(makeRandom(9));
  const clock = new SimClock();
  const log = await Log.open(checkedOptions(fs, { clock, segmentBytesMax: 200 }));
  fs.setCapacity(300);
  for (let batch = 0; batch < 10; batch += 1) {
    appendBodies(log, [utf8(`batch ${batch}`), utf8("more")], batch + 2);
    await clock.advance(300);
    fs.setCapacity(300 + batch * 100);
  }
  await clock.advance(5000);
  await log.sync();
  await log.close();
  const again = await Log.open(checkedOptions(fs));
  assert.deepEqual([again.nextOffset, again.recovery.cutBytes], [20, 0]);
  await again.close();
});

async function refusesAll(log: Log, fs: SimFileSystem): Promise<void> {
  const before = fs.dump();
  assert.throws(() => log.appendData([utf8("more")]), { reason: "DISK_FAILED" });
  assert.throws(() => log.roll(), { reason: "DISK_FAILED" });
  await assert.rejects(log.sync(), { reason: "DISK_FAILED" });
  await assert.rejects(log.written(), { reason: "DISK_FAILED" });
  await assert.rejects(log.whenRoom(), { reason: "DISK_FAILED" });
  await assert.rejects(log.trimBefore(log.nextOffset), { reason: "DISK_FAILED" });
  await settle();
  assert.deepEqual(fs.dump(), before);
}

function syncCounter(fs: SimFileSystem): { syncs: number } {
  const counter = { syncs: 0 };
  fs.onStep((_step, op) => {
    if (op === "sync" || op === "syncDir") counter.syncs += 1;
  });
  return counter;
}
