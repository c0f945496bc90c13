import assert from "node:assert/strict";
import { toOffset } from "../../src/base/units.ts";
import { Log } from "../../src/storage/log.ts";
import {
  allData,
  allTexts,
  DIR,
  hex,
  INDEX_0,
  logOptions,
  names,
  onDisks,
  readFile,
  STORE_0,
  text,
  utf8,
} from "./fixture.ts";

onDisks(
  "a log that was never written to is empty, begins at 0 and refuses every read",
  async (fs) => {
    const log = await Log.open(logOptions(fs));
    assert.deepEqual([log.firstOffset, log.nextOffset, log.diskBytes], [0, 0, 0]);
    assert.deepEqual(await allData(log), []);
    await assert.rejects(log.read(toOffset(0)), {
      reason: "OFFSET_OUT_OF_RANGE",
      message: "Cannot read at offset 0: the log is empty and the next offset is 0",
      metadata: { offset: "0", firstOffset: "0", nextOffset: "0" },
    });
    await log.close();
    assert.deepEqual(await names(fs), []);
  },
);

onDisks('the seed\'s example, "hello" and then "world!!!", gives its bytes', async (fs) => {
  const log = await Log.open(logOptions(fs));
  assert.equal(log.appendData([utf8("hello")]), 0);
  assert.equal(log.appendData([utf8("world!!!")]), 1);
  assert.equal(text(await log.read(toOffset(1))), "world!!!");
  assert.deepEqual(await log.sync(), { segments: [{ base: 0, records: 2, storeBytes: 29 }] });
  assert.equal(
    hex(await readFile(fs, STORE_0)),
    "05 00 00 00 00 00 00 00 68 65 6c 6c 6f 08 00 00 00 00 00 00 00 77 6f 72 6c 64 21 21 21",
  );
  assert.equal(
    hex(await readFile(fs, INDEX_0)),
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 " +
      "01 00 00 00 00 00 00 00 0d 00 00 00 00 00 00 00",
  );
  assert.deepEqual(await names(fs), ["00000000000000000000.idx", "00000000000000000000.log"]);
  await log.close();
});

onDisks("a log that was closed is read again, and goes on where it ended", async (fs) => {
  const first = await Log.open(logOptions(fs));
  first.appendData([utf8("a"), utf8(""), utf8("ccc")]);
  await first.close();
  const second = await Log.open(logOptions(fs));
  assert.deepEqual(second.recovery, {
    cutBytes: 0,
    stopped: undefined,
    rebuiltIndexes: 0,
    removedFiles: 0,
    damaged: [],
    unvouchedFrom: undefined,
  });
  assert.equal(second.appendData([utf8("d")]), 3);
  assert.deepEqual(await allTexts(second), ["a", "", "ccc", "d"]);
  await second.written();
  assert.deepEqual(await allTexts(second), ["a", "", "ccc", "d"]);
  await second.close();
});

onDisks("records are read before they are written, after it, and across both", async (fs) => {
  const log = await Log.open(logOptions(fs));
  log.appendData([utf8("a")]);
  log.appendData([utf8("b"), utf8("c")]);
  assert.deepEqual(await allTexts(log), ["a", "b", "c"]);
  await log.written();
  assert.equal(log.pendingBytes, 0);
  log.appendData([utf8("d")]);
  assert.equal(log.pendingBytes, 9);
  const range = await log.readFrames(toOffset(1), { bytesMax: 100, recordsMax: 100 });
  assert.deepEqual(range.ends, [9, 18]);
  assert.equal(range.file, `${DIR}/00000000000000000000.log`);
  assert.equal(range.position, 9);
  assert.deepEqual(await allTexts(log), ["a", "b", "c", "d"]);
  await log.close();
});

onDisks("readFrames() keeps to its limits, but gives at least one record", async (fs) => {
  const log = await Log.open(logOptions(fs));
  log.appendData(["a", "bb", "ccc", "dddd"].map(utf8));
  for (const isWritten of [false, true]) {
    if (isWritten) await log.written();
    const ends = async (from: number, bytesMax: number, recordsMax: number, end?: number) => {
      const limits = { bytesMax, recordsMax, end: end === undefined ? end : toOffset(end) };
      return (await log.readFrames(toOffset(from), limits)).ends;
    };
    assert.deepEqual(await ends(0, 1, 10), [9]);
    assert.deepEqual(await ends(0, 18, 10), [9]);
    assert.deepEqual(await ends(0, 19, 10), [9, 19]);
    assert.deepEqual(await ends(1, 1000, 2), [10, 21]);
    assert.deepEqual(await ends(1, 1000, 10, 3), [10, 21]);
    assert.deepEqual(await ends(3, 1000, 10), [12]);
    assert.deepEqual(await ends(2, 1000, 10, 2), []);
    assert.deepEqual(await ends(4, 1000, 10), []);
    await assert.rejects(ends(5, 1000, 10), { reason: "OFFSET_OUT_OF_RANGE" });
  }
  await log.close();
});

onDisks("an empty batch is refused, an empty record is not", async (fs) => {
  const log = await Log.open(logOptions(fs));
  assert.throws(() => log.appendData([]), { reason: "BATCH_EMPTY" });
  assert.equal(log.appendData([utf8("")]), 0);
  assert.deepEqual(await allTexts(log), [""]);
  await log.close();
});

onDisks("after close() everything is refused, and closing again does nothing", async (fs) => {
  const log = await Log.open(logOptions(fs));
  log.appendData([utf8("a")]);
  await log.close();
  await log.close();
  assert.throws(() => log.appendData([utf8("b")]), { reason: "DRAINING" });
  assert.throws(() => log.roll(), { reason: "DRAINING" });
  await assert.rejects(log.read(toOffset(0)), { reason: "DRAINING" });
  await assert.rejects(log.scan(toOffset(0)).next(), { reason: "DRAINING" });
  await assert.rejects(log.sync(), { reason: "DRAINING" });
  await assert.rejects(log.trimBefore(toOffset(0)), { reason: "DRAINING" });
});

onDisks("frames that were made for another offset are a bug of the caller", async (fs) => {
  const log = await Log.open(logOptions(fs));
  const bytes = new Uint8Array(8);
  const batch = { bytes, ends: [8], count: 1, firstOffset: toOffset(1) };
  assert.throws(() => log.append(batch), { name: "InvariantError" });
  assert.equal(log.nextOffset, 0);
  await log.close();
});
