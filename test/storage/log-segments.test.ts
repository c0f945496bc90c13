// Rotation, loading, gaps and damage of closed segments.
import assert from "node:assert/strict";
import { toOffset } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { Log } from "../../src/storage/log.ts";
import { RECORD_BYTES_MAX } from "../../src/storage/scan.ts";
import {
  allTexts,
  appendBodies,
  checkedOptions,
  DIR,
  flipBit,
  INDEX_0,
  logOptions,
  names,
  onDisks,
  readFile,
  STORE_0,
  text,
  utf8,
  writeFile,
} from "./fixture.ts";

const STORE_2 = `${DIR}/00000000000000000002.log`;
const INDEX_2 = `${DIR}/00000000000000000002.idx`;
const STORE_4 = `${DIR}/00000000000000000004.log`;

/** What {@link makeSegments} makes. */
const EXTENT = {
  segments: [
    { base: 0, records: 2, storeBytes: 20 },
    { base: 2, records: 2, storeBytes: 20 },
    { base: 4, records: 1, storeBytes: 10 },
  ],
};

/** Segments (0, 1), (2, 3), (4): records "r0" to "r4". */
async function makeSegments(fs: FileSystem): Promise<void> {
  const log = await Log.open(logOptions(fs, { segmentRecordsMax: 2 }));
  for (let record = 0; record < 5; record += 1) log.appendData([utf8(`r${record}`)]);
  await log.sync();
  await log.close();
}

async function basesOf(fs: FileSystem): Promise<number[]> {
  const stores = (await names(fs)).filter((name) => name.endsWith(".log"));
  return stores.map((name) => Number(name.slice(0, 20)));
}

onDisks("a segment is closed when its store has reached its size, not before", async (fs) => {
  const log = await Log.open(logOptions(fs, { segmentBytesMax: 20 }));
  for (let record = 0; record < 5; record += 1) log.appendData([utf8("ab")]);
  assert.deepEqual(
    log.segments().map(({ base, nextOffset, storeBytes, indexBytes, isOpen }) => {
      return [base, nextOffset, storeBytes, indexBytes, isOpen];
    }),
    [
      [0, 2, 20, 32, false],
      [2, 4, 20, 32, false],
      [4, 5, 10, 16, true],
    ],
  );
  assert.equal(log.diskBytes, 50 + 80);
  await log.close();
  assert.deepEqual(await basesOf(fs), [0, 2, 4]);
});

onDisks("a segment is closed when it has its number of records", async (fs) => {
  await makeSegments(fs);
  assert.deepEqual(await basesOf(fs), [0, 2, 4]);
});

onDisks(
  "a batch goes whole into one segment, however large, and none is closed empty",
  async (fs) => {
    const log = await Log.open(logOptions(fs, { segmentBytesMax: 1, segmentRecordsMax: 1 }));
    log.appendData(["a", "b", "c"].map(utf8));
    log.appendData(["d", "e"].map(utf8));
    log.roll();
    log.roll();
    assert.deepEqual(
      log.segments().map(({ base, nextOffset }) => [base, nextOffset]),
      [
        [0, 3],
        [3, 5],
        [5, 5],
      ],
    );
    await log.sync();
    await log.close();
    assert.deepEqual(await basesOf(fs), [0, 3]);
  },
);

onDisks("configure() counts from the next append on", async (fs) => {
  const log = await Log.open(logOptions(fs));
  for (let record = 0; record < 3; record += 1) log.appendData([utf8("x")]);
  log.configure({ segmentBytesMax: 1000, segmentRecordsMax: 3 });
  log.appendData([utf8("x")]);
  assert.deepEqual(
    log.segments().map(({ base }) => base),
    [0, 3],
  );
  await log.close();
});

onDisks(
  "records at the limit are stored, those over it refused before anything happens",
  async (fs) => {
    const log = await Log.open(logOptions(fs));
    const large = new Uint8Array(RECORD_BYTES_MAX + 1);
    assert.throws(() => log.appendData([utf8("a"), large]), { reason: "RECORD_TOO_LARGE" });
    const frame = new Uint8Array(8 + large.length);
    new DataView(frame.buffer).setUint32(0, large.length, true);
    const batch = { bytes: frame, ends: [frame.length], count: 1 };
    assert.throws(() => log.append(batch), { reason: "RECORD_TOO_LARGE" });
    assert.equal(log.nextOffset, 0);
    large[RECORD_BYTES_MAX - 1] = 77;
    assert.equal(log.appendData([large.subarray(1)]), 0);
    assert.equal(log.appendData([utf8("b")]), 1);
    await log.close();
    const again = await Log.open(logOptions(fs));
    assert.equal(again.nextOffset, 2);
    const data = await again.read(toOffset(0));
    assert.deepEqual([data.length, data[RECORD_BYTES_MAX - 2]], [RECORD_BYTES_MAX, 77]);
    await again.close();
  },
);

onDisks("all segments are loaded, and read as one log", async (fs) => {
  await makeSegments(fs);
  const log = await Log.open(logOptions(fs, { segmentRecordsMax: 2 }));
  assert.deepEqual([log.firstOffset, log.nextOffset], [0, 5]);
  assert.deepEqual(await allTexts(log), ["r0", "r1", "r2", "r3", "r4"]);
  assert.equal(text(await log.read(toOffset(3))), "r3");
  const middle: string[] = [];
  for await (const { offset, data } of log.scan(toOffset(3)))
    middle.push(`${offset}=${text(data)}`);
  assert.deepEqual(middle, ["3=r3", "4=r4"]);
  log.appendData([utf8("r5")]);
  log.appendData([utf8("r6")]);
  assert.deepEqual(
    log.segments().map(({ base }) => base),
    [0, 2, 4, 6],
  );
  await log.close();
});

onDisks("a log that begins above 0 is one", async (fs) => {
  await makeSegments(fs);
  await fs.remove(STORE_0);
  await fs.remove(INDEX_0);
  const log = await Log.open(logOptions(fs));
  assert.deepEqual([log.firstOffset, log.nextOffset], [2, 5]);
  await assert.rejects(log.read(toOffset(1)), {
    reason: "OFFSET_OUT_OF_RANGE",
    message: "Cannot read at offset 1: the log holds 2 to 4",
    metadata: { offset: "1", firstOffset: "2", nextOffset: "5" },
  });
  await log.close();
});

onDisks("a segment that is missing in the middle is damage, and all files are kept", async (fs) => {
  await makeSegments(fs);
  await fs.remove(STORE_2);
  const before = await names(fs);
  await assert.rejects(Log.open(logOptions(fs)), {
    reason: "STORE_CORRUPT",
    message: `Cannot open "${STORE_0}": it has only 2 whole records, wanted 4 up to the next segment`,
    metadata: { file: STORE_0, offset: "2", position: "20" },
  });
  assert.deepEqual(await names(fs), before);
});

onDisks("a closed store that is cut or continued is damage, and is never cut", async (fs) => {
  await makeSegments(fs);
  const whole = await readFile(fs, STORE_2);
  for (const change of [
    whole.subarray(0, 19),
    Uint8Array.of(...whole, 1),
    Uint8Array.of(...whole, ...whole),
  ]) {
    await writeFile(fs, STORE_2, change);
    await assert.rejects(Log.open(logOptions(fs)), { reason: "STORE_CORRUPT" });
    assert.deepEqual(await readFile(fs, STORE_2), change);
  }
});

onDisks("the index of a closed segment is made anew when it does not fit", async (fs) => {
  await makeSegments(fs);
  const index = await readFile(fs, INDEX_2);
  for (const change of [index.subarray(0, 20), new Uint8Array(32), new Uint8Array(0)]) {
    await writeFile(fs, INDEX_2, change);
    const log = await Log.open(logOptions(fs));
    assert.equal(log.recovery.rebuiltIndexes, 1);
    assert.deepEqual(await allTexts(log), ["r0", "r1", "r2", "r3", "r4"]);
    await log.close();
    assert.deepEqual(await readFile(fs, INDEX_2), index);
  }
});

onDisks(
  "a flipped length in a closed segment is met by its reader alone, and is kept",
  async (fs) => {
    await makeSegments(fs);
    await flipBit(fs, STORE_2, 0);
    const damaged = await readFile(fs, STORE_2);
    const log = await Log.open(logOptions(fs));
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await assert.rejects(log.read(toOffset(2)), {
        reason: "STORE_CORRUPT",
        message: `Cannot read the record at offset 2: "${STORE_2}" is damaged at byte 0, wanted a whole frame`,
        metadata: { offset: "2", file: STORE_2, position: "0" },
      });
    }
    assert.equal(text(await log.read(toOffset(1))), "r1");
    assert.equal(text(await log.read(toOffset(3))), "r3");
    await assert.rejects(allTexts(log), { reason: "STORE_CORRUPT" });
    await log.close();
    assert.deepEqual(await readFile(fs, STORE_2), damaged);
  },
);

onDisks("frames before a damaged one are read first", async (fs) => {
  await makeSegments(fs);
  await flipBit(fs, STORE_2, 10);
  await assert.rejects(Log.open(logOptions(fs)), { reason: "STORE_CORRUPT" });
  const log = await Log.openAt(logOptions(fs), EXTENT);
  const range = await log.readFrames(toOffset(2), { bytesMax: 1000, recordsMax: 10 });
  assert.deepEqual(range.ends, [10]);
  await assert.rejects(log.readFrames(toOffset(3), { bytesMax: 1000, recordsMax: 10 }), {
    reason: "STORE_CORRUPT",
  });
  await log.close();
});

onDisks(
  "flipped data in a closed segment is met by the check of its reader, with its place",
  async (fs) => {
    const log = await Log.open(checkedOptions(fs, { segmentRecordsMax: 2 }));
    for (let record = 0; record < 5; record += 1) appendBodies(log, [utf8(`r${record}`)]);
    const extent = await log.sync();
    await log.close();
    const { length } = await readFile(fs, STORE_2);
    for (let byte = 0; byte < length; byte += 1) {
      await flipBit(fs, STORE_2, byte, byte % 8);
      const bad = await Log.openAt(checkedOptions(fs), extent);
      const [offset, position] = byte < length / 2 ? [2, 0] : [3, length / 2];
      await assert.rejects(bad.read(toOffset(offset)), {
        reason: "STORE_CORRUPT",
        metadata: { offset: `${offset}`, file: STORE_2, position: `${position}` },
      });
      assert.equal((await bad.read(toOffset(5 - offset))).length, 13);
      assert.equal(bad.nextOffset, 5);
      await bad.close();
      await flipBit(fs, STORE_2, byte, byte % 8);
    }
  },
);

onDisks("opening to read only reports damaged segments, and gives what can be read", async (fs) => {
  await makeSegments(fs);
  await writeFile(fs, STORE_2, (await readFile(fs, STORE_2)).subarray(0, 19));
  await fs.remove(INDEX_2);
  const log = await Log.openReadOnly({ fs, dir: DIR });
  assert.equal(log.recovery.damaged.length, 1);
  assert.deepEqual(log.recovery.damaged[0]?.metadata, {
    file: STORE_2,
    offset: "3",
    position: "10",
  });
  assert.equal(log.nextOffset, 5);
  assert.equal(text(await log.read(toOffset(2))), "r2");
  await assert.rejects(log.read(toOffset(3)), { reason: "STORE_CORRUPT" });
  assert.equal(text(await log.read(toOffset(4))), "r4");
  await log.close();
  assert.equal((await readFile(fs, STORE_4)).length, 10);
});

onDisks("a lost segment file is reported by the read that needs it", async (fs) => {
  await makeSegments(fs);
  const log = await Log.open(logOptions(fs));
  await fs.remove(STORE_2);
  await assert.rejects(log.read(toOffset(2)), { reason: "STORE_CORRUPT" });
  await assert.rejects(log.read(toOffset(2)), { reason: "STORE_CORRUPT" });
  await log.close();
});
