// Other write errors than a full disk, and every sync error, are final.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toOffset } from "../../src/base/units.ts";
import { Log } from "../../src/storage/log.ts";
import { settle } from "../support/sim-clock.ts";
import type { SimFileSystem } from "../support/sim-file-system.ts";
import { appendAll, machine, TEXTS } from "./failing-log.ts";
import { allTexts, names, STORE_0, utf8 } from "./fixture.ts";

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
