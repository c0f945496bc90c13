// Opening at a synced extent, and dropping old segments.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toOffset } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { emptyExtent, extentEnd, extentFrom } from "../../src/storage/extent.ts";
import { Log } from "../../src/storage/log.ts";
import type { LogExtent } from "../../src/storage/log-types.ts";
import { makeRandom } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import {
  allTexts,
  DIR,
  flipBit,
  logOptions,
  names,
  onDisks,
  readFile,
  text,
  utf8,
  writeFile,
} from "./fixture.ts";

/** Segments (0, 1), (2, 3), (4). */
async function openSegments(fs: FileSystem): Promise<Log> {
  const log = await Log.open(logOptions(fs, { segmentRecordsMax: 2 }));
  for (let record = 0; record < 5; record += 1) log.appendData([utf8(`r${record}`)]);
  return log;
}

async function basesOf(fs: FileSystem): Promise<number[]> {
  return (await names(fs))
    .filter((name) => name.endsWith(".log"))
    .map((name) => Number.parseInt(name, 10));
}

onDisks("openAt() drops what came after the extent, in the segment and after it", async (fs) => {
  const log = await openSegments(fs);
  const extent = await log.sync();
  for (const record of [5, 6, 7, 8]) log.appendData([utf8(`r${record}`)]);
  await log.close();
  assert.deepEqual(await basesOf(fs), [0, 2, 4, 6, 8]);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const again = await Log.openAt(logOptions(fs), extent);
    assert.equal(again.recovery.cutBytes, attempt === 0 ? 10 : 0);
    assert.equal(again.recovery.removedFiles, attempt === 0 ? 4 : 0);
    assert.deepEqual(await allTexts(again), ["r0", "r1", "r2", "r3", "r4"]);
    assert.deepEqual(again.extent(), extent);
    await again.close();
  }
  assert.deepEqual(await basesOf(fs), [0, 2, 4]);
  assert.equal((await readFile(fs, `${DIR}/00000000000000000004.idx`)).length, 16);
  const scanned = await Log.open(logOptions(fs));
  assert.equal(scanned.nextOffset, 5);
  await scanned.close();
});

onDisks(
  "openAt() cuts garbage after the extent, and mends the index of its last segment",
  async (fs) => {
    const log = await openSegments(fs);
    const extent = await log.sync();
    await log.close();
    const store = `${DIR}/00000000000000000004.log`;
    const index = `${DIR}/00000000000000000004.idx`;
    const [bytes, entries] = [await readFile(fs, store), await readFile(fs, index)];
    for (const change of [
      new Uint8Array(0),
      new Uint8Array(100),
      Uint8Array.of(...entries, 1, 2),
    ]) {
      await writeFile(fs, store, Uint8Array.of(...bytes, 9, 9, 9));
      await writeFile(fs, index, change);
      const again = await Log.openAt(logOptions(fs), extent);
      again.appendData([utf8("r5")]);
      assert.deepEqual((await allTexts(again)).slice(3), ["r3", "r4", "r5"]);
      await again.written();
      assert.deepEqual((await allTexts(again)).slice(3), ["r3", "r4", "r5"]);
      await again.close();
      assert.equal((await readFile(fs, store)).length, 20);
      assert.equal((await readFile(fs, index)).length, 32);
    }
  },
);

onDisks("openAt() refuses a store that is missing or shorter, and keeps all files", async (fs) => {
  const log = await openSegments(fs);
  const extent = await log.sync();
  log.appendData([utf8("r5"), utf8("r6")]);
  await log.close();
  for (const base of ["0", "2", "4"]) {
    const path = `${DIR}/${base.padStart(20, "0")}.log`;
    const bytes = await readFile(fs, path);
    await writeFile(fs, path, bytes.subarray(0, 9));
    const before = await names(fs);
    await assert.rejects(Log.openAt(logOptions(fs), extent), { reason: "STORE_CORRUPT" });
    await fs.remove(path);
    await assert.rejects(Log.openAt(logOptions(fs), extent), { reason: "STORE_CORRUPT" });
    await writeFile(fs, path, bytes);
    assert.deepEqual(await names(fs), before);
  }
});

onDisks(
  "openAt() refuses a last segment whose frames and index do not make up the extent",
  async (fs) => {
    const log = await openSegments(fs);
    const extent = await log.sync();
    await log.close();
    await flipBit(fs, `${DIR}/00000000000000000004.log`, 0);
    await assert.rejects(Log.openAt(logOptions(fs), extent), { reason: "STORE_CORRUPT" });
  },
);

onDisks("openAt() of an empty extent begins at 0, or where the extent says", async (fs) => {
  const log = await openSegments(fs);
  await log.close();
  const moved = await Log.openAt(logOptions(fs), emptyExtent(toOffset(100)));
  assert.deepEqual([moved.firstOffset, moved.nextOffset], [100, 100]);
  assert.equal(moved.appendData([utf8("x")]), 100);
  assert.equal(text(await moved.read(toOffset(100))), "x");
  await moved.close();
  assert.deepEqual(await basesOf(fs), [100]);
  const empty = await Log.openAt(logOptions(fs), { segments: [] });
  assert.deepEqual([empty.firstOffset, empty.nextOffset], [0, 0]);
  await empty.close();
  assert.deepEqual(await names(fs), []);
});

onDisks(
  "trimBefore() deletes whole closed segments below the offset, and no others",
  async (fs) => {
    const log = await openSegments(fs);
    await log.written();
    await log.trimBefore(toOffset(1));
    assert.deepEqual([log.firstOffset, await basesOf(fs)], [0, [0, 2, 4]]);
    await log.trimBefore(toOffset(3));
    assert.deepEqual([log.firstOffset, await basesOf(fs)], [2, [2, 4]]);
    await assert.rejects(log.read(toOffset(1)), { reason: "OFFSET_OUT_OF_RANGE" });
    await assert.rejects(log.scan(toOffset(0)).next(), { reason: "OFFSET_OUT_OF_RANGE" });
    await log.trimBefore(toOffset(5));
    assert.deepEqual([log.firstOffset, await basesOf(fs)], [4, [4]]);
    assert.deepEqual(await allTexts(log), ["r4"]);
    assert.deepEqual(await log.sync(), { segments: [{ base: 4, records: 1, storeBytes: 10 }] });
    await log.close();
  },
);

onDisks(
  "a log of which all was trimmed goes on at its next offset, also after it was opened",
  async (fs) => {
    const log = await openSegments(fs);
    log.roll();
    await log.trimBefore(log.nextOffset);
    assert.deepEqual([log.firstOffset, log.nextOffset, log.diskBytes], [5, 5, 0]);
    await log.close();
    const again = await Log.open(logOptions(fs));
    assert.deepEqual([again.firstOffset, again.nextOffset], [5, 5]);
    assert.equal(again.appendData([utf8("r5")]), 5);
    const extent = await again.sync();
    await again.close();
    const third = await Log.openAt(logOptions(fs), extent);
    assert.deepEqual(await allTexts(third), ["r5"]);
    await third.close();
  },
);

onDisks("openAt() finishes a trim that was cut off", async (fs) => {
  const log = await openSegments(fs);
  const extent = extentFrom(await log.sync(), toOffset(3));
  await log.close();
  const again = await Log.openAt(logOptions(fs), extent);
  assert.deepEqual([again.firstOffset, again.recovery.removedFiles], [2, 2]);
  await again.close();
  assert.deepEqual(await basesOf(fs), [2, 4]);
});

test("a trim waits for those who read what it deletes, and they read it to the end", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await openSegments(fs);
  await log.written();
  const letGo = fs.hold({ op: "read", path: /0\.log$/ });
  const reading = log.read(toOffset(1));
  await settle();
  let isTrimmed = false;
  const trimming = log.trimBefore(toOffset(4)).then(() => {
    isTrimmed = true;
  });
  await settle();
  assert.equal(isTrimmed, false);
  assert.equal(log.firstOffset, 4);
  assert.equal(await fs.exists(`${DIR}/00000000000000000000.log`), true);
  letGo();
  assert.equal(text(await reading), "r1");
  await trimming;
  assert.deepEqual(await basesOf(fs), [4]);
  await log.close();
});

test("a trim waits until what it deletes is written", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const log = await openSegments(fs);
  log.roll();
  const trimming = log.trimBefore(log.nextOffset);
  assert.equal(log.firstOffset, 5);
  await trimming;
  assert.deepEqual(await basesOf(fs), [5]);
  await log.close();
});

test("extentFrom() leaves out what lies below; when that is all, the log begins where it ended", () => {
  const extent: LogExtent = {
    segments: [
      { base: 0, records: 2, storeBytes: 20 },
      { base: 2, records: 2, storeBytes: 20 },
      { base: 4, records: 1, storeBytes: 10 },
    ],
  };
  const bases = (start: number) =>
    extentFrom(extent, toOffset(start)).segments.map(({ base }) => base);
  assert.deepEqual(bases(0), [0, 2, 4]);
  assert.deepEqual(bases(1), [0, 2, 4]);
  assert.deepEqual(bases(2), [2, 4]);
  assert.deepEqual(bases(4), [4]);
  assert.deepEqual(extentFrom(extent, toOffset(5)), emptyExtent(toOffset(5)));
  assert.equal(extentEnd(extent), 5);
  assert.equal(extentEnd({ segments: [] }), 0);
  assert.deepEqual(extentFrom({ segments: [] }, toOffset(3)), emptyExtent(toOffset(0)));
});

test("an extent that makes no sense is a bug of the caller", async () => {
  const options = logOptions(new SimFileSystem(makeRandom(1)));
  const part = { base: 0, records: 2, storeBytes: 20 };
  for (const segments of [
    [part, { ...part, base: 3 }],
    [part, { ...part, base: 1 }],
    [{ base: 0, records: 0, storeBytes: 0 }, part],
    [{ ...part, records: -1 }],
    [{ ...part, base: 0.5 }],
  ]) {
    await assert.rejects(Log.openAt(options, { segments }), { name: "InvariantError" });
  }
});
