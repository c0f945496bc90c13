// What opening makes of a folder that a crash or a bad disk left: the newest segment.
import assert from "node:assert/strict";
import { concat } from "../../src/base/bytes.ts";
import { spansOf } from "../../src/base/record-spans.ts";
import { toOffset } from "../../src/base/units.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { decodeRecord, encodeBatch } from "../../src/storage/frame.ts";
import { Log } from "../../src/storage/log.ts";
import type { FrameCheck } from "../../src/storage/scan.ts";
import { RECORD_BYTES_MAX } from "../../src/storage/scan.ts";
import {
  allTexts,
  appendBodies,
  checkedOptions,
  DIR,
  flipBit,
  INDEX_0,
  logOptions,
  onDisks,
  readFile,
  STORE_0,
  text,
  utf8,
  writeFile,
} from "./fixture.ts";

const TEXTS = ["zero", "one", "", "three", "four!"];

/** A closed log of one segment with records {@link TEXTS}, raw. */
async function makeRaw(fs: FileSystem): Promise<{ store: Uint8Array; index: Uint8Array }> {
  const log = await Log.open(logOptions(fs));
  log.appendData(TEXTS.map(utf8));
  await log.sync();
  await log.close();
  return { store: await readFile(fs, STORE_0), index: await readFile(fs, INDEX_0) };
}

/** The same in envelopes. */
async function makeChecked(fs: FileSystem): Promise<{ store: Uint8Array; ends: number[] }> {
  const log = await Log.open(checkedOptions(fs));
  appendBodies(log, TEXTS.map(utf8));
  await log.sync();
  const { ends } = await log.readFrames(toOffset(0), { bytesMax: 1e6, recordsMax: 100 });
  await log.close();
  return { store: await readFile(fs, STORE_0), ends: [...ends] };
}

onDisks(
  "a store cut at any byte of its last 3 records keeps exactly the whole ones",
  async (fs) => {
    const { store, index } = await makeRaw(fs);
    const ends = [12, 23, 31, 44, 57];
    assert.equal(store.length, 57);
    for (let cut = 23; cut <= 57; cut += 1) {
      await writeFile(fs, STORE_0, store.subarray(0, cut));
      await writeFile(fs, INDEX_0, index);
      const log = await Log.open(logOptions(fs));
      const whole = ends.filter((end) => end <= cut).length;
      assert.equal(log.nextOffset, whole);
      assert.deepEqual(await allTexts(log), TEXTS.slice(0, whole));
      assert.equal(log.recovery.cutBytes, cut - (ends[whole - 1] ?? 0));
      await log.close();
      assert.deepEqual(await readFile(fs, STORE_0), store.subarray(0, ends[whole - 1]));
      assert.deepEqual(await readFile(fs, INDEX_0), index.subarray(0, whole * 16));
    }
  },
);

onDisks("with the envelope's check, too, and what was cut stays gone", async (fs) => {
  const { store, ends } = await makeChecked(fs);
  for (let cut = ends[1] ?? 0; cut <= store.length; cut += 1) {
    await writeFile(fs, STORE_0, store.subarray(0, cut));
    const log = await Log.open(checkedOptions(fs));
    const whole = ends.filter((end) => end <= cut).length;
    assert.equal(log.nextOffset, whole);
    appendBodies(log, [utf8("new")]);
    await log.close();
    const again = await Log.open(checkedOptions(fs));
    assert.equal(again.nextOffset, whole + 1);
    assert.equal(again.recovery.cutBytes, 0);
    await again.close();
  }
});

const ZERO_BYTES = 2 ** 20;

onDisks("a tail of 1 MiB of zeros is 131,072 empty records to the seed's rules", async (fs) => {
  const { store } = await makeRaw(fs);
  await writeFile(fs, STORE_0, concat([store, new Uint8Array(ZERO_BYTES)]));
  const log = await Log.open(logOptions(fs));
  assert.equal(log.nextOffset, TEXTS.length + ZERO_BYTES / 8);
  assert.equal(log.recovery.cutBytes, 0);
  assert.equal(text(await log.read(toOffset(4))), "four!");
  assert.equal((await log.read(toOffset(100_000))).length, 0);
  await log.close();
  assert.equal((await readFile(fs, INDEX_0)).length, (TEXTS.length + ZERO_BYTES / 8) * 16);
});

onDisks("with the envelope's check a tail of zeros is cut, never a record", async (fs) => {
  const { store } = await makeChecked(fs);
  await writeFile(fs, STORE_0, concat([store, new Uint8Array(ZERO_BYTES)]));
  const log = await Log.open(checkedOptions(fs));
  assert.equal(log.nextOffset, TEXTS.length);
  assert.equal(log.recovery.cutBytes, ZERO_BYTES);
  assert.equal(log.recovery.stopped, "check-failed");
  await log.close();
  assert.deepEqual(await readFile(fs, STORE_0), store);
});

onDisks("any flipped bit in the last record cuts it off, with the check", async (fs) => {
  const { store, ends } = await makeChecked(fs);
  const start = ends[3] ?? 0;
  for (let byte = start; byte < store.length; byte += 1) {
    await writeFile(fs, STORE_0, store);
    await flipBit(fs, STORE_0, byte, byte % 8);
    const log = await Log.open(checkedOptions(fs));
    assert.equal(log.nextOffset, 4, `byte ${byte}`);
    assert.equal(log.recovery.cutBytes, store.length - start);
    await log.close();
    assert.deepEqual(await readFile(fs, STORE_0), store.subarray(0, start));
  }
});

onDisks(
  "a length over the limit ends the log; the limit itself only if it is there",
  async (fs) => {
    await makeRaw(fs);
    for (const [length, stopped] of [
      [RECORD_BYTES_MAX + 1, "length-over-limit"],
      [RECORD_BYTES_MAX, "torn-record"],
      [2 ** 53, "length-over-limit"],
    ] as const) {
      const store = (await readFile(fs, STORE_0)).slice(0, 44);
      const header = new Uint8Array(8);
      new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
      await writeFile(fs, STORE_0, concat([store, header, utf8("rest")]));
      const log = await Log.open(logOptions(fs));
      assert.deepEqual([log.nextOffset, log.recovery.stopped], [4, stopped]);
      await log.close();
    }
  },
);

onDisks(
  "a record of a newer format refuses to open and leaves all files as they are",
  async (fs) => {
    const { store } = await makeChecked(fs);
    await writeFile(fs, INDEX_0, utf8("an index that would be written anew"));
    const check = (_data: Uint8Array, offset: number): FrameCheck =>
      offset === 1 ? "unsupported" : "valid";
    await assert.rejects(Log.open(logOptions(fs, { check })), {
      reason: "DATA_DIR_INVALID",
      metadata: { file: STORE_0, offset: "1", position: "23" },
    });
    assert.deepEqual(await readFile(fs, STORE_0), store);
    assert.equal(text(await readFile(fs, INDEX_0)), "an index that would be written anew");
  },
);

onDisks("an unknown version or kind in a frame with a good CRC is such a record", async (fs) => {
  const frames = encodeBatch({
    firstOffset: toOffset(0),
    raftIndex: 2,
    appendTimeUs: 1,
    records: spansOf([utf8("a")]),
  });
  for (const [at, value] of [
    [12, 2],
    [13, 3],
  ] as const) {
    const bytes = frames.bytes.slice();
    bytes[at] = value;
    await writeFile(fs, STORE_0, resealed(bytes));
    await assert.rejects(Log.open(checkedOptions(fs)), { reason: "DATA_DIR_INVALID" });
    assert.deepEqual(await readFile(fs, STORE_0), resealed(bytes));
  }
});

onDisks(
  "an index that is lost, torn, zeroed, longer or wrong is made anew from the store",
  async (fs) => {
    const { index } = await makeRaw(fs);
    const flipped = index.slice();
    flipped[24] = 1;
    const variants: readonly (readonly [string, Uint8Array | undefined])[] = [
      ["lost", undefined],
      ["empty", new Uint8Array(0)],
      ["torn inside an entry", index.subarray(0, 40)],
      ["torn between entries", index.subarray(0, 48)],
      ["zeroed", new Uint8Array(16_000)],
      ["extended with zeros", concat([index, new Uint8Array(16_000)])],
      ["of more records", concat([index, index.subarray(16, 32)])],
      ["flipped in a position", flipped],
    ];
    for (const [name, content] of variants) {
      if (content === undefined) await fs.remove(INDEX_0);
      else await writeFile(fs, INDEX_0, content);
      const log = await Log.open(logOptions(fs));
      assert.deepEqual(await allTexts(log), TEXTS, name);
      assert.equal(log.recovery.rebuiltIndexes, 1, name);
      await log.close();
      assert.deepEqual(await readFile(fs, INDEX_0), index, name);
    }
  },
);

onDisks("an index says nothing about which records there are", async (fs) => {
  const { store, index } = await makeRaw(fs);
  await writeFile(fs, STORE_0, store.subarray(0, 23));
  const log = await Log.open(logOptions(fs));
  assert.deepEqual([log.nextOffset, log.recovery.rebuiltIndexes], [2, 1]);
  await log.close();
  assert.deepEqual(await readFile(fs, INDEX_0), index.subarray(0, 32));
  await fs.remove(STORE_0);
  const empty = await Log.open(logOptions(fs));
  assert.deepEqual([empty.nextOffset, empty.recovery.removedFiles], [0, 1]);
  await empty.close();
  assert.deepEqual(await fs.list(DIR), []);
});

onDisks("an index that changes while the log is open is mended by the next read", async (fs) => {
  const { index } = await makeRaw(fs);
  const damages: readonly (() => Promise<void>)[] = [
    ...[0, 8, 16, 40, 64, 79].map((byte) => () => flipBit(fs, INDEX_0, byte, 1)),
    () => writeFile(fs, INDEX_0, new Uint8Array(0)),
    () => writeFile(fs, INDEX_0, index.subarray(0, 17)),
    () => fs.remove(INDEX_0),
  ];
  for (const damage of damages) {
    const log = await Log.open(logOptions(fs));
    await damage();
    assert.deepEqual(await allTexts(log), TEXTS);
    await log.close();
    assert.deepEqual(await readFile(fs, INDEX_0), index);
  }
});

onDisks("opening to read only reports what is torn, and writes nothing", async (fs) => {
  const { store } = await makeChecked(fs);
  await writeFile(fs, STORE_0, store.subarray(0, store.length - 1));
  await fs.remove(INDEX_0);
  const { dir, check } = checkedOptions(fs);
  const log = await Log.openReadOnly({ fs, dir, check });
  assert.deepEqual(log.recovery, {
    cutBytes: 23,
    stopped: "torn-record",
    rebuiltIndexes: 1,
    removedFiles: 0,
    damaged: [],
    unvouchedFrom: undefined,
  });
  const bodies: string[] = [];
  for await (const { offset, data } of log.scan(toOffset(0))) {
    bodies.push(text(decodeRecord(data, offset).body));
  }
  assert.deepEqual(bodies, TEXTS.slice(0, 4));
  assert.equal(log.nextOffset, 4);
  assert.throws(() => log.appendData([utf8("x")]), { name: "InvariantError" });
  await log.close();
  assert.deepEqual(await fs.list(DIR), ["00000000000000000000.log"]);
  await assert.rejects(Log.openReadOnly({ fs, dir: "nowhere" }), { reason: "DATA_DIR_INVALID" });
});

onDisks("opening to read only does without an index that is wrong", async (fs) => {
  const { index } = await makeRaw(fs);
  const changes = [0, 8, 16, 24, 40, 56, 72].map((byte) => {
    const changed = index.slice();
    changed[byte] = (changed[byte] ?? 0) ^ 4;
    return changed;
  });
  for (const content of [...changes, index.subarray(0, 20), new Uint8Array(16_000)]) {
    await writeFile(fs, INDEX_0, content);
    const log = await Log.openReadOnly({ fs, dir: DIR });
    assert.equal(log.recovery.rebuiltIndexes, 1);
    for (const offset of [4, 1, 3, 0, 2]) {
      assert.equal(text(await log.read(toOffset(offset))), TEXTS[offset]);
    }
    assert.deepEqual(await allTexts(log), TEXTS);
    await log.close();
    assert.deepEqual(await readFile(fs, INDEX_0), content);
  }
});

onDisks("a name whose offset is no safe integer is damage, and is kept", async (fs) => {
  const path = `${DIR}/99999999999999999999.log`;
  await writeFile(fs, path, utf8("x"));
  await assert.rejects(Log.open(logOptions(fs)), { reason: "STORE_CORRUPT" });
  assert.equal(text(await readFile(fs, path)), "x");
});

/** Gives the frame at offset 0 the CRC that fits it. */
function resealed(frame: Uint8Array): Uint8Array {
  const sealed = frame.slice();
  const covered = concat([frame.subarray(0, 8), new Uint8Array(8), frame.subarray(12)]);
  new DataView(sealed.buffer).setUint32(8, crc32(covered), true);
  return sealed;
}
