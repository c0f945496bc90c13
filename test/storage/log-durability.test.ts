// What opening and trimming must have made durable before they go on: random power cuts
// meet these moments too rarely.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concat } from "../../src/base/bytes.ts";
import { spansOf } from "../../src/base/record-spans.ts";
import { toOffset } from "../../src/base/units.ts";
import { encodeBatch } from "../../src/storage/frame.ts";
import { Log } from "../../src/storage/log.ts";
import { makeRandom } from "../support/prng.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { checkedOptions, logOptions, STORE_0, utf8 } from "./fixture.ts";

// Without this a record that was cut could come back behind new ones of the same size.
test("what open() cuts is durably gone when it resolves", async () => {
  const frame = (offset: number) =>
    encodeBatch({
      firstOffset: toOffset(offset),
      raftIndex: 2,
      appendTimeUs: 1,
      records: spansOf([utf8("12345")]),
    }).bytes;
  const hole = new Uint8Array(frame(1).length);
  const store = concat([frame(0), hole, frame(2)]);
  const fs = SimFileSystem.fromDump(makeRandom(1), new Map([[STORE_0, store]]));
  const log = await Log.open(checkedOptions(fs));
  assert.equal(log.nextOffset, 1);
  fs.crash(0);
  assert.deepEqual(fs.reopen().dump().get(STORE_0), frame(0));
});

test("a process that was killed leaves nothing that the next one takes for synced", async () => {
  const killed = new SimFileSystem(makeRandom(1));
  const first = await Log.open(logOptions(killed, { segmentRecordsMax: 1, syncOnRoll: false }));
  for (const record of ["a", "b", "c"]) first.appendData([utf8(record)]);
  await first.written();
  const fs = killed.reopen();
  const second = await Log.open(logOptions(fs));
  await second.sync();
  fs.crash(0);
  const third = await Log.open(logOptions(fs.reopen()));
  assert.equal(third.nextOffset, 3);
});

test("segments go one after the other: from the back when newer, from the front when older", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await Log.open(logOptions(fs, { segmentRecordsMax: 1 }));
  for (let record = 0; record < 6; record += 1) log.appendData([utf8("x")]);
  await log.close();
  const extent = { segments: [{ base: 2, records: 1, storeBytes: 9 }] };
  assert.deepEqual(await removals(fs, () => Log.openAt(logOptions(fs), extent)), [
    ...["5.log", "5.idx", "sync", "4.log", "4.idx", "sync", "3.log", "3.idx", "sync"],
    ...["0.log", "0.idx", "sync", "1.log", "1.idx", "sync"],
  ]);
});

test("a trim removes from the front, each segment durably before the next", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await Log.open(logOptions(fs, { segmentRecordsMax: 1 }));
  for (let record = 0; record < 3; record += 1) log.appendData([utf8("x")]);
  await log.sync();
  assert.deepEqual(await removals(fs, () => log.trimBefore(toOffset(2))), [
    ...["0.log", "0.idx", "sync", "1.log", "1.idx", "sync"],
  ]);
  log.roll();
  // The log's next segment must be there for good before its last one with records goes.
  assert.deepEqual(await removals(fs, () => log.trimBefore(toOffset(3))), [
    ...["sync", "2.log", "2.idx", "sync"],
  ]);
});

/** Removals and syncs of the folder that `work` does, in order. */
async function removals(fs: SimFileSystem, work: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  fs.onStep((_step, op, path) => {
    if (op === "remove") seen.push(path.slice(-5));
    if (op === "syncDir") seen.push("sync");
  });
  await work();
  fs.onStep(undefined);
  return seen;
}
