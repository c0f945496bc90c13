// Folders that the seed wrote (Rust, memory-mapped files that are extended with zeros) and
// left as they were when it was killed.
import assert from "node:assert/strict";
import { concat } from "../../src/base/bytes.ts";
import { toOffset } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { encodeEntries } from "../../src/storage/index.ts";
import { Log } from "../../src/storage/log.ts";
import { frameRecords } from "../../src/storage/store.ts";
import {
  allTexts,
  DIR,
  INDEX_0,
  logOptions,
  onDisks,
  readFile,
  STORE_0,
  text,
  utf8,
  writeFile,
} from "./fixture.ts";

/** Sizes that the seed makes its files at first. */
const STORE_BYTES = 2 ** 20;
const INDEX_BYTES = 16_000;

/** One segment as the seed leaves it: records, then zeros up to the given sizes. */
async function writeSegment(
  fs: FileSystem,
  texts: readonly string[],
  options: {
    readonly base?: number;
    readonly storeBytes?: number;
    readonly indexBytes?: number;
  } = {},
): Promise<void> {
  const { base = 0, storeBytes = STORE_BYTES, indexBytes = INDEX_BYTES } = options;
  const batch = frameRecords(texts.map(utf8));
  const entries = encodeEntries(batch, { firstOffset: toOffset(base), position: 0 });
  const name = `${DIR}/${`${base}`.padStart(20, "0")}`;
  await writeFile(fs, `${name}.log`, padded(batch.bytes, storeBytes));
  await writeFile(fs, `${name}.idx`, padded(entries, indexBytes));
}

function padded(bytes: Uint8Array, size: number): Uint8Array {
  return concat([bytes, new Uint8Array(Math.max(0, size - bytes.length))]);
}

/** What an import takes: all records but those that nothing vouches for. */
async function vouchedTexts(fs: FileSystem): Promise<string[]> {
  const log = await Log.openReadOnly({ fs, dir: DIR });
  const end = log.recovery.unvouchedFrom?.offset ?? log.nextOffset;
  const texts: string[] = [];
  for await (const { offset, data } of log.scan(log.firstOffset)) {
    if (offset >= end) break;
    texts.push(text(data));
  }
  await log.close();
  return texts;
}

onDisks(
  "a killed seed's folder: 8 records, zeros up to 1 MiB, an index of 1000 entries",
  async (fs) => {
    const texts = ["one", "two", "", "four", "five", "six", "seven", "eight"];
    await writeSegment(fs, texts);
    const before = [await readFile(fs, STORE_0), await readFile(fs, INDEX_0)];
    const log = await Log.openReadOnly({ fs, dir: DIR });
    // By the seed's rules: 91 bytes are records, each 8 zeros after them are one more.
    assert.equal(log.nextOffset, 8 + Math.floor((STORE_BYTES - 91) / 8));
    assert.deepEqual(log.recovery.unvouchedFrom, { offset: 8, position: 91 });
    assert.equal(log.recovery.stopped, "torn-header");
    assert.equal(log.recovery.cutBytes, 5);
    assert.equal(text(await log.read(toOffset(7))), "eight");
    assert.equal((await log.read(toOffset(8))).length, 0);
    assert.equal((await log.read(toOffset(130_000))).length, 0);
    assert.equal(text(await log.read(toOffset(1))), "two");
    await log.close();
    assert.deepEqual(await vouchedTexts(fs), texts);
    assert.deepEqual([await readFile(fs, STORE_0), await readFile(fs, INDEX_0)], before);
  },
);

onDisks("empty records at the end count when the index knows them", async (fs) => {
  await writeSegment(fs, ["a", "", "", ""]);
  assert.deepEqual(await vouchedTexts(fs), ["a", "", "", ""]);
  await writeSegment(fs, ["a", "", ""], { storeBytes: 0, indexBytes: 0 });
  assert.deepEqual(await vouchedTexts(fs), ["a", "", ""]);
});

onDisks("without its index a file has no empty records at its end", async (fs) => {
  await writeSegment(fs, ["a", "b", ""]);
  await fs.remove(INDEX_0);
  assert.deepEqual(await vouchedTexts(fs), ["a", "b"]);
});

onDisks("a seed that was killed before its first record left none", async (fs) => {
  await writeSegment(fs, []);
  assert.deepEqual(await vouchedTexts(fs), []);
  // The entry of an empty record at offset 0 looks like a zero entry: only a whole index says it is one.
  await writeSegment(fs, [""], { storeBytes: 0, indexBytes: 0 });
  assert.deepEqual(await vouchedTexts(fs), [""]);
  await writeSegment(fs, ["", ""]);
  assert.deepEqual(await vouchedTexts(fs), ["", ""]);
});

onDisks("closed segments with zeros behind them are whole, also to write on", async (fs) => {
  await writeSegment(fs, ["a", "b"]);
  await writeSegment(fs, ["c", ""], { base: 2 });
  await writeSegment(fs, ["e"], { base: 4 });
  assert.deepEqual(await vouchedTexts(fs), ["a", "b", "c", "", "e"]);
  const before = await readFile(fs, STORE_0);
  const log = await Log.open(logOptions(fs));
  assert.equal(log.segments()[0]?.storeBytes, 18);
  assert.equal(log.nextOffset, 5 + (STORE_BYTES - 16) / 8);
  assert.deepEqual((await allTexts(log)).slice(0, 5), ["a", "b", "c", "", "e"]);
  await log.close();
  assert.deepEqual(await readFile(fs, STORE_0), before);
});

onDisks("a seed that was stopped cleanly left nothing to guess", async (fs) => {
  await writeSegment(fs, ["a", "b"], { storeBytes: 0, indexBytes: 0 });
  const log = await Log.openReadOnly({ fs, dir: DIR });
  assert.equal(log.recovery.unvouchedFrom, undefined);
  assert.deepEqual(await allTexts(log), ["a", "b"]);
  await log.close();
});
