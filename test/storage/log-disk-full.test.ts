// A full disk is waited for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toOffset } from "../../src/base/units.ts";
import { Log } from "../../src/storage/log.ts";
import { makeRandom } from "../support/prng.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { appendAll, machine, TEXTS } from "./failing-log.ts";
import { allTexts, appendBodies, checkedOptions, logOptions, utf8 } from "./fixture.ts";

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
