import assert from "node:assert/strict";
import { test } from "node:test";
import { viewOf } from "../../src/base/bytes.ts";
import { hasReason } from "../../src/base/errors.ts";
import { BLOCK_BYTES, FORMAT_VERSION, HEADER_BYTES } from "../../src/journal/flush.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import { makeRandom } from "../support/prng.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import {
  build,
  checkDamage,
  checkEndsAt,
  FILE_1,
  FILE_2,
  last,
  put,
  recycled,
  SMALL,
} from "./built-journal.ts";
import { changed, type DiskImage, diskOf, fingerprint, flipBit, flushesOf } from "./disk-image.ts";
import { append, entry, newReplica, openJournal } from "./journal-harness.ts";

async function checkUnsupported(image: DiskImage): Promise<void> {
  const fs = diskOf(image);
  await assert.rejects(openJournal(fs, SMALL), (error) => hasReason(error, "DATA_DIR_INVALID"));
  assert.equal(fingerprint(fs.dump()), fingerprint(image));
}

test("the journal under test has six flushes in two files", async () => {
  const { flushes } = await build();
  assert.deepEqual(
    flushes.map(({ number, path }) => [number, path]),
    [1, 2, 3, 4, 5, 6].map((number) => [number, number <= 3 ? FILE_1 : FILE_2]),
  );
});

test("cut at any byte of its last flush, the journal ends before it, and whole frames count", async () => {
  const built = await build();
  const { path, position, framesEnd, end } = last(built);
  const cuts = [...Array(framesEnd + 3 - position).keys()].map((at) => position + at);
  for (const cut of [...cuts, end - 1, end, end + 1, end + BLOCK_BYTES]) {
    const number = cut < framesEnd ? 5 : 6;
    // Once as a shorter file, once with zeros, as a torn write to an allocated file leaves it.
    await checkEndsAt(
      changed(built.image, path, (bytes) => bytes.subarray(0, cut)),
      built,
      number,
    );
    await checkEndsAt(
      changed(built.image, path, (bytes) => bytes.fill(0, cut)),
      built,
      number,
    );
  }
});

test("a flipped bit in the last flush ends the journal before it: nobody can say it was synced", async () => {
  const built = await build();
  const { path, position, framesEnd } = last(built);
  for (let at = position; at < framesEnd; at += 1) {
    await checkEndsAt(
      changed(built.image, path, (bytes) => flipBit(bytes, at, at)),
      built,
      5,
    );
  }
});

test("a flipped bit anywhere in an earlier flush is damage, and the files are kept", async () => {
  const built = await build();
  for (const { path, position, framesEnd } of built.flushes.slice(0, -1)) {
    for (let at = position; at < framesEnd; at += 1) {
      const image = changed(built.image, path, (bytes) => flipBit(bytes, at, at));
      await checkDamage(image, { path, position });
    }
  }
});

test("a flipped bit in padding or in room that is not used yet changes nothing", async () => {
  const built = await build();
  for (const { path, framesEnd, end } of built.flushes) {
    for (const at of [framesEnd, end - 1]) {
      await checkEndsAt(
        changed(built.image, path, (bytes) => flipBit(bytes, at, at)),
        built,
        6,
      );
    }
  }
  const { path, end } = last(built);
  for (const at of [end, end + 4, end + BLOCK_BYTES]) {
    await checkEndsAt(
      changed(built.image, path, (bytes) => flipBit(bytes, at, at)),
      built,
      6,
    );
  }
});

test("a flipped bit in the head of a file that holds flushes is damage", async () => {
  const built = await build();
  for (const path of [FILE_1, FILE_2]) {
    for (let at = 0; at < HEADER_BYTES; at += 1) {
      const image = changed(built.image, path, (bytes) => flipBit(bytes, at, at));
      await checkDamage(image, { path, position: 0 });
    }
  }
});

test("a file of which nothing is left is damage, unless it may have been made ahead", async () => {
  const built = await build();
  const zeroed = changed(built.image, FILE_1, (bytes) => bytes.fill(0));
  await checkDamage(zeroed, { path: FILE_1, position: 0 });
  const { image } = await recycled();
  const [path = ""] = [...image.keys()].filter((name) => name.endsWith(".wal"));
  const alone: DiskImage = new Map([[path, new Uint8Array(SMALL.fileBytes)]]);
  await checkDamage(alone, { path, position: 0 });
});

test("a later flush that covers a torn one makes it damage, even when it is torn itself", async () => {
  const built = await build();
  const { path, position } = built.flushes[4] ?? last(built);
  const after = last(built);
  assert.equal(after.path, path);
  const zeroed = changed(built.image, path, (bytes) => bytes.fill(0, position, after.position));
  await checkDamage(zeroed, { path, position });
  // The header is enough: it was written after the sync that it speaks of.
  await checkDamage(
    changed(zeroed, path, (bytes) => flipBit(bytes, after.framesEnd - 1, 0)),
    { path, position },
  );
  // Without that header nobody says that flush 5 was synced.
  await checkEndsAt(
    changed(zeroed, path, (bytes) => flipBit(bytes, after.position + 5, 0)),
    built,
    4,
  );
});

test("damage in the last flush of a file is shown by the next file", async () => {
  const built = await build();
  const place = built.flushes[2];
  assert.ok(place !== undefined && place.path === FILE_1);
  const image = changed(built.image, FILE_1, (bytes) => bytes.fill(0, place.position, place.end));
  await checkDamage(image, place);
});

test("the first flush of the oldest file is damage when it is not whole, whatever follows", async () => {
  const { image } = await recycled();
  const [path = ""] = [...image.keys()].filter((name) => name.endsWith(".wal"));
  assert.notEqual(path, FILE_1);
  const [first] = flushesOf(image);
  assert.ok(first !== undefined && first.path === path);
  await checkDamage(
    changed(image, path, (bytes) => flipBit(bytes, first.position + 40, 0)),
    first,
  );
  // Nothing else of this file is there: still, older files went only when its list was synced.
  const alone: DiskImage = new Map([[path, image.get(path) ?? new Uint8Array(0)]]);
  await checkDamage(
    changed(alone, path, (bytes) => bytes.fill(0, first.position)),
    first,
  );
});

test("a file that is missing in the middle is damage, and so is one with needed entries at the front", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const { journal } = await openJournal(fs, SMALL);
  await journal.addReplica(newReplica(1));
  for (let index = 2; index < 12; index += 1) await append(journal, [entry(1, index, "x")]);
  await journal.idle();
  const image = fs.dump();
  assert.ok(image.has("journal/00000000000000000003.wal"));
  await checkDamage(
    changed(image, FILE_2, () => undefined),
    { path: FILE_2, position: 0 },
  );
  const withoutFirst = changed(image, FILE_1, () => undefined);
  await assert.rejects(openJournal(diskOf(withoutFirst), SMALL), (error) => {
    assert.ok(hasReason(error, "JOURNAL_CORRUPT"));
    assert.match(error.message, /entry 2 of replica 1 is missing/);
    return true;
  });
});

test("another version of the format is refused and never cut, in a head and at the end", async () => {
  const built = await build();
  await checkUnsupported(changed(built.image, FILE_2, (bytes) => ofNextVersion(bytes, 0)));
  for (const { path, position } of built.flushes) {
    await checkUnsupported(changed(built.image, path, (bytes) => ofNextVersion(bytes, position)));
  }
  // In another file's content it says nothing.
  const place = last(built);
  const flush = ofNextVersion(
    (built.image.get(FILE_1) ?? new Uint8Array(0)).slice(BLOCK_BYTES, 2 * BLOCK_BYTES),
    0,
  );
  await checkEndsAt(
    changed(built.image, place.path, (bytes) => put(bytes, flush, place.end)),
    built,
    6,
  );
});

/** Makes the 64 bytes at `at` those of a version to come, undamaged. */
function ofNextVersion(bytes: Uint8Array, at: number): Uint8Array {
  const header = bytes.subarray(at, at + HEADER_BYTES);
  const view = viewOf(header);
  view.setUint32(4, FORMAT_VERSION + 1, true);
  view.setUint32(HEADER_BYTES - 4, crc32(header.subarray(0, HEADER_BYTES - 4)), true);
  return bytes;
}
