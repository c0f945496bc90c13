import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_BYTES, encodeFileHead } from "../../src/journal/flush.ts";
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
import { changed, diskOf } from "./disk-image.ts";
import { append, contentOf, entry, newReplica, openJournal } from "./journal-harness.ts";

// What may lie about beside a good journal: old content, files made ahead, files of others.

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
