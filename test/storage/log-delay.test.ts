import assert from "node:assert/strict";
import { test } from "node:test";
import { toOffset } from "../../src/base/units.ts";
import { Log } from "../../src/storage/log.ts";
import type { LogOptions } from "../../src/storage/log-types.ts";
import { makeRandom } from "../support/prng.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { logOptions, STORE_0, text, utf8 } from "./fixture.ts";

async function opened(changes: Partial<LogOptions> = {}) {
  const fs = new SimFileSystem(makeRandom(1));
  const clock = new SimClock();
  const log = await Log.open(logOptions(fs, { clock, writeDelayMs: 5, ...changes }));
  const writes: string[] = [];
  fs.onStep((_step, op, path) => {
    if (op === "write" && path.endsWith(".log")) writes.push(path);
  });
  return { fs, clock, log, writes };
}

test("what is appended within the delay is written together, and can be read before", async () => {
  const { fs, clock, log, writes } = await opened();
  log.appendData([utf8("a")]);
  await clock.advance(3);
  log.appendData([utf8("b")]);
  await clock.advance(1);
  assert.deepEqual(writes, []);
  assert.equal(text(await log.read(toOffset(1))), "b");
  await clock.advance(1);
  assert.deepEqual(writes, [STORE_0]);
  assert.equal(fs.dump().get(STORE_0)?.length, 18);
  assert.equal(log.pendingBytes, 0);
  log.appendData([utf8("c")]);
  await clock.advance(4);
  assert.equal(writes.length, 1, "the second delay was shorter");
  await clock.advance(1);
  assert.equal(writes.length, 2);
  await log.close();
});

test("much is written without the delay, and what comes meanwhile waits again", async () => {
  const { fs, clock, log, writes } = await opened();
  const letGo = fs.hold({ op: "write", path: /\.log$/ });
  log.appendData([new Uint8Array(300_000)]);
  await settle();
  assert.equal(writes.length, 1);
  log.appendData([utf8("later")]);
  letGo();
  await settle();
  assert.equal(writes.length, 1);
  await clock.advance(5);
  assert.equal(writes.length, 2);
  await log.close();
});

test("a sync waits for the delay and covers what was appended before it, of all segments", async () => {
  const { fs, clock, log } = await opened({ segmentRecordsMax: 1, syncOnRoll: false });
  for (const record of ["a", "b", "c"]) log.appendData([utf8(record)]);
  let isSynced = false;
  const synced = log.sync().then(() => {
    isSynced = true;
  });
  await clock.advance(4);
  assert.equal(isSynced, false);
  await clock.advance(1);
  await synced;
  fs.crash(0);
  const again = await Log.open(logOptions(fs.reopen()));
  assert.equal(again.nextOffset, 3);
});

test("closing writes at once; discarding does not; neither leaves a timer", async () => {
  for (const discardPending of [false, true]) {
    const { fs, clock, log } = await opened();
    log.appendData([utf8("a")]);
    await log.close({ discardPending });
    assert.equal(fs.dump().get(STORE_0)?.length ?? 0, discardPending ? 0 : 9);
    assert.equal(clock.timerCount, 0);
  }
});
