import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeFileHead } from "../../src/journal/flush.ts";
import { makeRandom } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import {
  append,
  appendTelling,
  contentOf,
  entriesOf,
  entry,
  newReplica,
  openJournal,
  outcomeOf,
  payloadOf,
} from "./journal-harness.ts";
import { appendMany, names, opened, SMALL } from "./small-journal.ts";

test("files are used again once all their entries are in checkpoints", async () => {
  const { fs, journal } = await opened();
  for (let round = 0; round < 30; round += 1) {
    await appendMany(journal, 10);
    journal.setCheckpoint(1, journal.lastIndex(1), 1);
    await journal.idle();
    const files = names(fs, ".wal").length + names(fs, ".free").length;
    assert.ok(files <= 6, `${files} files`);
  }
  assert.ok(names(fs, ".wal").every((name) => Number(name.slice(8, 28)) > 20));
  assert.ok(journal.usedBytes <= 4 * SMALL.fileBytes);
});

test("an idle replica's vote is never recycled away", async () => {
  const { fs, journal } = await opened(3);
  await journal.setHardState(2, { term: 9, vote: 3, commit: 1 });
  await append(journal, [entry(3, 2, "idle since")]);
  journal.setCheckpoint(3, 2, 1);
  for (let round = 0; round < 20; round += 1) {
    await appendMany(journal, 10);
    journal.setCheckpoint(1, journal.lastIndex(1) - 1, 1);
    if (round % 5 === 0) await journal.copyForward(1);
    await journal.idle();
  }
  await appendMany(journal, 2);
  assert.ok(!names(fs, ".wal").includes("journal/00000000000000000001.wal"));
  const again = await openJournal(fs.reopen(), SMALL);
  const { term, vote } = again.journal.replica(2) ?? {};
  assert.deepEqual([term, vote], [9, 3]);
  assert.equal(again.journal.replica(3)?.snapshotIndex, 2);
  assert.equal(again.journal.lastIndex(3), 2);
});

test("a checkpoint raises the first index at once, and is durable with the next flush", async () => {
  const { fs, journal } = await opened();
  await appendMany(journal, 5);
  journal.setCheckpoint(1, 4, 1);
  assert.equal(journal.firstIndex(1), 5);
  assert.equal(journal.replica(1)?.snapshotIndex, 1);
  journal.setCheckpoint(1, 3, 1);
  assert.equal(journal.firstIndex(1), 5);
  await append(journal, [entry(2, 2, "another replica's")]);
  assert.equal(journal.replica(1)?.snapshotIndex, 4);
  assert.equal(journal.termAt(1, 4), 1);
  assert.equal(journal.termAt(1, 3), undefined);
  const found: number[] = [];
  for await (const { index } of journal.entries(1, 2)) found.push(index);
  assert.deepEqual(found, [5, 6]);
  const again = await openJournal(fs.reopen(), SMALL);
  assert.equal(again.journal.firstIndex(1), 5);
});

test("a checkpoint that is made while an older one is on its way is journalled next", async () => {
  const { fs, journal } = await opened();
  await appendMany(journal, 5);
  journal.setCheckpoint(1, 3, 1);
  const release = fs.hold({ op: "write", path: /wal/ });
  const first = append(journal, [entry(2, 2, "a")]);
  await settle();
  journal.setCheckpoint(1, 5, 1);
  release();
  await first;
  assert.equal(journal.replica(1)?.snapshotIndex, 3);
  await append(journal, [entry(2, 3, "b")]);
  assert.equal(journal.replica(1)?.snapshotIndex, 5);
});

test("a checkpoint above the last entry takes the place of what the journal lost", async () => {
  const { fs, journal } = await opened();
  await appendMany(journal, 3);
  journal.setCheckpoint(1, 9, 2);
  assert.deepEqual([journal.firstIndex(1), journal.lastIndex(1)], [10, 9]);
  assert.equal(journal.termAt(1, 9), 2);
  await append(journal, [entry(1, 10, "follows", 2), entry(1, 11, "too", 2)]);
  assert.deepEqual(await entriesOf(journal, 1), ["10/2 follows", "11/2 too"]);
  const again = await openJournal(fs.reopen(), SMALL);
  assert.deepEqual(await entriesOf(again.journal, 1), ["10/2 follows", "11/2 too"]);
  assert.equal(again.journal.replica(1)?.snapshotIndex, 9);
});

test("a replica that lags keeps the oldest file, until its entries are copied forward", async () => {
  const { fs, journal } = await opened();
  await append(journal, [entry(2, 2, "old"), entry(2, 3, "old too")]);
  for (let round = 0; round < 10; round += 1) {
    await appendMany(journal, 10);
    journal.setCheckpoint(1, journal.lastIndex(1), 1);
  }
  await journal.idle();
  assert.deepEqual(journal.laggards(), [2]);
  assert.ok(journal.usedBytes > 6 * SMALL.fileBytes);
  await journal.copyForward(2);
  await append(journal, [entry(1, journal.lastIndex(1) + 1, "next")]);
  await journal.idle();
  assert.deepEqual(journal.laggards(), []);
  assert.ok(journal.usedBytes < 2 * SMALL.fileBytes, `${journal.usedBytes}`);
  assert.deepEqual(await entriesOf(journal, 2), ["2/1 old", "3/1 old too"]);
  const again = await openJournal(fs.reopen(), SMALL);
  assert.deepEqual(await entriesOf(again.journal, 2), ["2/1 old", "3/1 old too"]);
});

test("entries that are replaced while they are copied are not brought back", async () => {
  const { fs, journal } = await opened();
  await append(journal, [entry(2, 2, "a"), entry(2, 3, "b"), entry(2, 4, "c")]);
  await appendMany(journal, 20);
  const release = fs.hold({ op: "read" });
  const copying = outcomeOf(journal.copyForward(2));
  await settle();
  await append(journal, [entry(2, 3, "other", 2)]);
  release();
  await settle();
  await journal.idle();
  assert.notEqual(copying.state, "waiting");
  assert.deepEqual(await entriesOf(journal, 2), ["2/1 a", "3/2 other"]);
  const again = await openJournal(fs.reopen(), SMALL);
  assert.deepEqual(await entriesOf(again.journal, 2), ["2/1 a", "3/2 other"]);
});

test("copies that wait behind what replaces them are not brought back either", async () => {
  const { fs, journal } = await opened();
  await append(journal, [entry(2, 2, "a"), entry(2, 3, "b"), entry(2, 4, "c")]);
  await appendMany(journal, 20);
  await journal.idle();
  const release = fs.hold({ op: "write", path: /wal/ });
  const first = append(journal, [entry(2, 3, "other", 2)]);
  await settle();
  const copying = journal.copyForward(2);
  await settle();
  release();
  await Promise.all([first, copying]);
  assert.deepEqual(await entriesOf(journal, 2), ["2/1 a", "3/2 other"]);
  const again = await openJournal(fs.reopen(), SMALL);
  assert.deepEqual(await entriesOf(again.journal, 2), ["2/1 a", "3/2 other"]);
});

test("a removed replica is gone for good, with its entries, and frees its files", async () => {
  const { fs, journal } = await opened();
  await append(journal, [entry(2, 2, "old")]);
  await appendMany(journal, 20);
  journal.setCheckpoint(1, journal.lastIndex(1), 1);
  await journal.removeReplica(2);
  await appendMany(journal, 10);
  await journal.idle();
  assert.equal(journal.replica(2), undefined);
  assert.ok(!journal.laggards().includes(2));
  assert.ok(!names(fs, ".wal").includes("journal/00000000000000000001.wal"));
  const again = await openJournal(fs.reopen(), SMALL);
  assert.deepEqual(
    again.journal.replicas().map(({ replicaId }) => replicaId),
    [1],
  );
});

test("a file gets another salt with each use", async () => {
  const { fs, journal } = await opened();
  const salts = new Map<string, number>();
  for (let round = 0; round < 12; round += 1) {
    await appendMany(journal, 6);
    journal.setCheckpoint(1, journal.lastIndex(1), 1);
    await journal.idle();
    for (const [path, bytes] of fs.dump()) {
      const head = decodeFileHead(bytes);
      if (path.endsWith(".wal") && typeof head === "object") salts.set(path, head.salt);
    }
  }
  assert.ok(salts.size > 8);
  assert.equal(new Set(salts.values()).size, salts.size);
});

test("the last file is not freed before the list in the next one is durable", async () => {
  const { fs, journal } = await opened(1);
  await journal.addReplica(newReplica(2, { term: 8, vote: 2 }));
  // The last file is past its half, so the next one is made already.
  await appendMany(journal, 45);
  await journal.idle();
  const [current = "", next = ""] = names(fs, ".wal").slice(-2);
  journal.setCheckpoint(1, 46, 1);
  await journal.setHardState(1, { term: 2, vote: 1, commit: 1 });
  // Too large for what is left, and on its way for so long that all files could be freed.
  fs.hold({ op: "write", path: new RegExp(next) });
  const opening = outcomeOf(append(journal, [entry(1, 47, payloadOf(1, 47, 20_000))]));
  await settle();
  assert.equal(opening.state, "waiting");
  assert.deepEqual(names(fs, ".wal"), [current, next]);
  fs.crash(0);
  const again = await openJournal(fs.reopen(), SMALL);
  assert.equal(again.journal.replica(2)?.term, 8);
  assert.equal(again.journal.lastIndex(1), 46);
});

// Goal: a clean stop of a long journal can be interrupted anywhere. Method: stop it at every step.
test("a clean stop that is cut short at any step loses nothing", async () => {
  let isWhole = false;
  for (let stopAt = 1; !isWhole; stopAt += 1) {
    const fs = new SimFileSystem(makeRandom(stopAt));
    const { journal } = await openJournal(fs, { fileBytes: 2 ** 20 });
    await journal.addReplica(newReplica(1));
    await journal.addReplica(newReplica(2, { term: 4, vote: 2 }));
    for (let index = 2; index < 17; index += 1) {
      await append(journal, [entry(1, index, payloadOf(1, index, 100_000))]);
    }
    journal.setCheckpoint(1, 16, 1);
    await journal.idle();
    const start = fs.steps;
    fs.onStep((step) => {
      if (step === start + stopAt) throw new SimCrash();
    });
    await journal.close().catch(() => {});
    isWhole = !fs.isStopped;
    fs.crash();
    const again = await openJournal(fs.reopen(), { fileBytes: 2 ** 20 });
    const [one, two] = again.journal.replicas();
    assert.equal(two?.term, 4, `step ${stopAt}`);
    assert.equal(again.journal.lastIndex(1), 16, `step ${stopAt}`);
    assert.ok(one?.snapshotIndex === 16 || one?.snapshotIndex === 1);
    if (!isWhole) continue;
    assert.equal(again.journal.recovery.isCleanStop, true);
    // The next start has nothing to read.
    assert.equal(again.journal.recovery.flushCount, 1);
    assert.equal(again.journal.recovery.fileCount, 1);
  }
});

test("close waits for what is on its way, and may be called twice", async () => {
  const { fs, journal } = await opened();
  const last = outcomeOf(append(journal, [entry(1, 2, "last")]));
  await Promise.all([journal.close(), journal.close()]);
  assert.equal(last.state, "done");
  assert.throws(() => appendTelling(journal, entry(1, 3, "late"), () => {}), /closed/);
  const again = await openJournal(fs.reopen(), SMALL);
  assert.deepEqual((await contentOf(again.journal)).at(1), "  2/1 last");
});

test("calls that no owner may make are defects", async () => {
  const { journal } = await opened();
  assert.throws(() => appendTelling(journal, entry(9, 2, "who"), () => {}), /no replica 9/);
  assert.throws(() => appendTelling(journal, entry(1, 3, "gap"), () => {}), /gap/);
  assert.throws(() => journal.addReplica(newReplica(1)), /exists/);
  assert.throws(() => journal.setHardState(1, { term: 0, vote: 0, commit: 0 }), /goes back/);
  await append(journal, [entry(1, 2, "a"), entry(1, 3, "b")]);
  const removing = journal.removeReplica(1);
  assert.throws(() => appendTelling(journal, entry(1, 4, "late"), () => {}), /removed/);
  await removing;
});
