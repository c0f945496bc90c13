import assert from "node:assert/strict";
import { test } from "node:test";
import { viewOf } from "../../src/base/bytes.ts";
import { hasReason } from "../../src/base/errors.ts";
import {
  BLOCK_BYTES,
  encodeFileHead,
  FORMAT_VERSION,
  HEADER_BYTES,
} from "../../src/journal/flush.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import { makeRandom } from "../support/prng.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import {
  changed,
  type DiskImage,
  diskOf,
  type FlushPlace,
  fingerprint,
  flipBit,
  flushesOf,
} from "./disk-image.ts";
import { append, contentOf, entry, newReplica, openJournal, payloadOf } from "./journal-harness.ts";

/** Room for a head and three blocks. */
const SMALL = { fileBytes: 16 * 1024 };
const FILE_1 = "journal/00000000000000000001.wal";
const FILE_2 = "journal/00000000000000000002.wal";

interface Built {
  readonly image: DiskImage;
  readonly flushes: readonly FlushPlace[];
  /** What the journal held when flush n was its last. */
  readonly contents: ReadonlyMap<number, readonly string[]>;
}

/** Six flushes in two files: two replicas, entries, a hard state, a checkpoint. */
async function build(sync: "always" | "none" = "always", filler = "."): Promise<Built> {
  const fs = new SimFileSystem(makeRandom(7));
  const { journal } = await openJournal(fs, { ...SMALL, sync });
  const contents = new Map<number, readonly string[]>([[0, []]]);
  const keep = async () => {
    contents.set(journal.flushCount, await contentOf(journal));
  };
  await journal.addReplica(newReplica(1));
  await keep();
  await journal.addReplica(newReplica(2));
  await keep();
  await append(journal, [entry(1, 2, "a"), entry(1, 3, "b"), entry(2, 2, "c")]);
  await keep();
  if (sync === "always") await journal.setHardState(2, { term: 4, vote: 9, commit: 2 });
  else await append(journal, [entry(2, 3, "instead")]);
  await keep();
  journal.setCheckpoint(1, 2, 1);
  await append(journal, [entry(1, 4, payloadOf(1, 4, 700) + filler)]);
  await keep();
  await append(journal, [entry(2, sync === "always" ? 3 : 4, "d", 4)]);
  await keep();
  await journal.idle();
  const image = fs.dump();
  return { image, flushes: flushesOf(image), contents };
}

function last(built: Built): FlushPlace {
  const found = built.flushes.at(-1);
  assert.ok(found !== undefined);
  return found;
}

/** Opens a changed disk: it holds what it held after flush `number`, and goes on from there. */
async function checkEndsAt(image: DiskImage, built: Built, number: number): Promise<void> {
  const fs = diskOf(image);
  const { journal } = await openJournal(fs, SMALL);
  assert.deepEqual(await contentOf(journal), built.contents.get(number));
  await journal.addReplica(newReplica(50));
  await append(journal, [entry(50, 2, "more")]);
  const more = await contentOf(journal);
  await journal.idle();
  const again = await openJournal(fs.reopen(), SMALL);
  assert.deepEqual(await contentOf(again.journal), more);
}

/** Opening refuses with the place of the damage, and leaves all files as they are. */
async function checkDamage(
  image: DiskImage,
  place: { readonly path: string; readonly position: number },
): Promise<void> {
  const fs = diskOf(image);
  await assert.rejects(openJournal(fs, SMALL), (error) => {
    assert.ok(hasReason(error, "JOURNAL_CORRUPT"), String(error));
    assert.equal(`journal/${error.metadata["file"]}`, place.path);
    assert.equal(error.metadata["position"], `${place.position}`);
    assert.match(error.message, /^Cannot use the journal: /);
    return true;
  });
  assert.equal(fingerprint(fs.dump()), fingerprint(image));
}

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

test("flushes of another file, and older ones of the same file, behind the end are not mistaken", async () => {
  const built = await build();
  const { path, end } = last(built);
  for (const { path: from, position, end: to } of built.flushes) {
    const flush = (built.image.get(from) ?? new Uint8Array(0)).slice(position, to);
    await checkEndsAt(
      changed(built.image, path, (bytes) => put(bytes, flush, end)),
      built,
      6,
    );
  }
});

test("a flush that follows another flush than the one before it is not taken", async () => {
  const built = await build("none");
  const other = await build("none", "!");
  const place = built.flushes[4];
  assert.ok(place !== undefined && place.path === FILE_2);
  // The same place, number, file and salt: as if flush 5 had been lost and another one written.
  const flush = (other.image.get(FILE_2) ?? new Uint8Array(0)).slice(place.position, place.end);
  const image = changed(built.image, FILE_2, (bytes) => put(bytes, flush, place.position));
  await checkEndsAt(image, other, 5);
});

/** A journal whose files have all had a use before. */
async function recycled(): Promise<{ image: DiskImage; content: readonly string[] }> {
  const fs = new SimFileSystem(makeRandom(3));
  const { journal } = await openJournal(fs, SMALL);
  await journal.addReplica(newReplica(1));
  await journal.addReplica(newReplica(2, { term: 6, vote: 1 }));
  for (let index = 2; index < 60; index += 1) {
    await append(journal, [entry(1, index, "x")]);
    if (index > 4 && index < 59) journal.setCheckpoint(1, index - 2, 1);
    await journal.idle();
  }
  return { image: fs.dump(), content: await contentOf(journal) };
}

test("the content of a recycled file behind the end is not mistaken for its own", async () => {
  const { image, content } = await recycled();
  const names = [...image.keys()].filter((name) => name.endsWith(".wal"));
  assert.ok(names.length <= 3 && !names.includes(FILE_1), names.join());
  const { journal } = await openJournal(diskOf(image), SMALL);
  assert.deepEqual(await contentOf(journal), content);
  assert.equal(journal.recovery.isTorn, false);
  // Old flushes really are there, with the numbers of another time.
  const current = image.get(names.at(-1) ?? "") ?? new Uint8Array(0);
  const magics = [...Array(current.length / BLOCK_BYTES).keys()].filter((block) =>
    Buffer.from(current.subarray(block * BLOCK_BYTES, block * BLOCK_BYTES + 4)).equals(
      Buffer.from("PLJF"),
    ),
  );
  assert.ok(magics.length > 0);
});

test("a file that was made ahead is set aside, whether its head is whole or not", async () => {
  const built = await build();
  const name = "journal/00000000000000000003.wal";
  const stale = (built.image.get(FILE_1) ?? new Uint8Array(0)).slice();
  for (const head of [
    encodeFileHead({ sequence: 3, salt: 5 }),
    // Damage, but of a file in which nothing was written.
    encodeFileHead({ sequence: 3, salt: 5 }).fill(0, 10, 12),
    new Uint8Array(0),
  ]) {
    const image = new Map(built.image).set(name, put(stale.slice(), head, 0));
    if (head.length === 0) image.set(name, head);
    await checkEndsAt(image, built, 6);
  }
});

test("files that are not the journal's are left alone", async () => {
  const built = await build();
  const notes = new TextEncoder().encode("notes");
  const image = new Map(built.image).set("journal/notes.txt", notes).set("journal/1.wal", notes);
  const fs = diskOf(image);
  await openJournal(fs, SMALL);
  assert.deepEqual(fs.dump().get("journal/notes.txt"), notes);
  assert.deepEqual(fs.dump().get("journal/1.wal"), notes);
});

test("with sync none a torn flush is the end although flushes follow: none says it was synced", async () => {
  const built = await build("none");
  // Flush 4 opens file 2, so it is synced, and says so of all before it; 5 and 6 are not.
  const torn = built.flushes[4];
  assert.ok(torn !== undefined && torn.number === 5 && torn.path === FILE_2);
  const image = changed(built.image, FILE_2, (bytes) => bytes.fill(0, torn.position, torn.end));
  await checkEndsAt(image, built, 4);
  const early = built.flushes[1];
  assert.ok(early !== undefined);
  await checkDamage(
    changed(built.image, FILE_1, (bytes) => bytes.fill(0, early.position, early.end)),
    early,
  );
});

test("what recovery leaves behind the end is cleared, so that it can never come back", async () => {
  const built = await build("none");
  const torn = built.flushes[4];
  const stale = built.flushes[5];
  assert.ok(torn !== undefined && stale !== undefined);
  const fs = diskOf(
    changed(built.image, FILE_2, (bytes) => bytes.fill(0, torn.position, torn.end)),
  );
  const { journal } = await openJournal(fs, SMALL);
  assert.equal(journal.recovery.isTorn, true);
  const now = fs.dump().get(FILE_2) ?? new Uint8Array(0);
  assert.ok(now.subarray(stale.position, stale.end).every((byte) => byte === 0));
});

test("a clean stop is seen, and nothing that follows it is", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const first = await openJournal(fs, SMALL);
  assert.equal(first.journal.recovery.isCleanStop, true);
  await first.journal.addReplica(newReplica(1));
  await append(first.journal, [entry(1, 2, "a")]);
  const content = await contentOf(first.journal);
  await first.journal.close();
  const second = await openJournal(fs.reopen(), SMALL);
  assert.equal(second.journal.recovery.isCleanStop, true);
  assert.deepEqual(await contentOf(second.journal), content);
  await append(second.journal, [entry(1, 3, "b")]);
  const third = await openJournal(fs.reopen(), SMALL);
  assert.equal(third.journal.recovery.isCleanStop, false);
});

function put(target: Uint8Array, bytes: Uint8Array, at: number): Uint8Array {
  target.set(bytes, at);
  return target;
}

/** Makes the 64 bytes at `at` those of a version to come, undamaged. */
function ofNextVersion(bytes: Uint8Array, at: number): Uint8Array {
  const header = bytes.subarray(at, at + HEADER_BYTES);
  const view = viewOf(header);
  view.setUint32(4, FORMAT_VERSION + 1, true);
  view.setUint32(HEADER_BYTES - 4, crc32(header.subarray(0, HEADER_BYTES - 4)), true);
  return bytes;
}
