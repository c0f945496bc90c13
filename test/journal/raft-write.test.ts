import assert from "node:assert/strict";
import { test } from "node:test";
import type { Journal } from "../../src/journal/journal.ts";
import type { RaftWrite } from "../../src/journal/journal-types.ts";
import { makeRandom } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import { checkDamage, FILE_1, SMALL } from "./built-journal.ts";
import { changed, diskOf, flipBit, flushesOf } from "./disk-image.ts";
import {
  appendRaft,
  contentOf,
  entriesOf,
  newEntry,
  newReplica,
  openJournal,
  openWithReplicas,
  outcomeOf,
  payloadOf,
} from "./journal-harness.ts";
import { appendMany, names } from "./small-journal.ts";

/** Entries of those indexes. */
const entries = (from: number, end: number, term = 1) =>
  Array.from({ length: end - from }, (_, at) => newEntry(from + at, `${term}`, term));

const EMPTY = { term: 0, vote: 0, commit: 0, snapshotIndex: 0, snapshotTerm: 0 };

async function reopened(fs: SimFileSystem, options = {}): Promise<Journal> {
  const { journal } = await openJournal(fs.reopen(), { seed: 2, ...options });
  return journal;
}

test("what no replica may write next is a defect", async () => {
  const { journal } = await openWithReplicas(1);
  const write = (change: Partial<RaftWrite>) => () =>
    journal.appendRaft({ replicaId: 1, entries: [], ...change }, () => {});
  await appendRaft(journal, { replicaId: 1, entries: entries(2, 6) });
  journal.setCheckpoint(1, 3, 1);
  await appendRaft(journal, { replicaId: 1, hardState: { term: 4, vote: 1, commit: 3 } });
  assert.throws(write({ replicaId: 9 }), /no replica 9/);
  assert.throws(write({ entries: entries(7, 8) }), /gap/);
  assert.throws(write({ entries: [newEntry(6, "a"), newEntry(8, "b")] }), /gap/);
  assert.throws(write({ entries: [newEntry(6, "a"), newEntry(6, "b")] }), /gap/);
  assert.throws(write({ hardState: { term: 3, vote: 1, commit: 3 } }), /goes back/);
  assert.throws(write({ hardState: { term: 4, vote: 1, commit: 6 } }), /above 5/);
  const shorter = { entries: entries(4, 5, 4), hardState: { term: 4, vote: 1, commit: 5 } };
  assert.throws(write(shorter), /above 4/);
  assert.throws(write({ snapshot: { index: 2, term: 1 } }), /below its checkpoint 3/);
  const leaving = journal.removeReplica(1);
  assert.throws(write({}), /removed/);
  await leaving;
});

test("of a write nothing survives, or all, wherever the machine stops", async () => {
  const isThere = new Set<boolean>();
  for (let stopAt = 1; ; stopAt += 1) {
    const { fs, journal } = await openWithReplicas(1, { diskSeed: stopAt, ...SMALL });
    await appendRaft(journal, { replicaId: 1, entries: entries(2, 9) });
    await journal.idle();
    const before = await contentOf(journal);
    const from = fs.steps;
    fs.onStep((step) => {
      if (step - from === stopAt) throw new SimCrash();
    });
    // Larger than a file, let alone a flush.
    const large = payloadOf(1, 21, 3 * SMALL.fileBytes);
    const write = {
      replicaId: 1,
      snapshot: { index: 20, term: 2 },
      entries: [newEntry(21, large, 3), newEntry(22, "b", 3)],
      hardState: { term: 3, vote: 2, commit: 21 },
    };
    const outcome = outcomeOf(appendRaft(journal, write));
    await settle();
    fs.crash();
    const again = await contentOf(await reopened(fs, SMALL));
    const after = [
      "replica 1 topic=101 term=3 vote=2 commit=21 snapshot=20/2",
      "  21/3 1:21;",
      "  22/3 b",
    ];
    const isWritten = again.length === after.length;
    assert.deepEqual(again, isWritten ? after : before, `stopped at step ${stopAt}`);
    if (outcome.state === "done") assert.ok(isWritten, `told, but lost at step ${stopAt}`);
    isThere.add(isWritten);
    if (fs.steps - from < stopAt) break;
  }
  assert.equal(isThere.size, 2);
});

test("a flipped bit in an installed snapshot is damage when it was synced, else the end", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const { journal } = await openJournal(fs);
  await journal.addReplica(newReplica(1));
  await appendRaft(journal, { replicaId: 1, entries: entries(2, 4) });
  const before = await contentOf(journal);
  await appendRaft(journal, { replicaId: 1, snapshot: { index: 9, term: 4 } });
  await journal.idle();
  const place = flushesOf(fs.dump()).at(-1);
  assert.ok(place !== undefined);
  const image = fs.dump();
  await appendRaft(journal, { replicaId: 1, entries: entries(10, 11, 4) });
  await journal.idle();
  for (let at = place.position; at < place.framesEnd; at += 1) {
    const flip = (bytes: Uint8Array) => flipBit(bytes, at, at);
    const last = await openJournal(diskOf(changed(image, FILE_1, flip)), SMALL);
    assert.deepEqual(await contentOf(last.journal), before);
    await checkDamage(changed(fs.dump(), FILE_1, flip), place);
  }
});

test("an installed snapshot drops all entries, what is on its way and what is above it too", async () => {
  const { fs, journal } = await openWithReplicas(2);
  await appendRaft(journal, { replicaId: 1, entries: entries(2, 8) });
  const told: string[] = [];
  const write = (what: Partial<RaftWrite>, name: string) =>
    journal.appendRaft({ replicaId: 1, entries: [], ...what }, () => told.push(name));
  write({ entries: entries(8, 12) }, "entries");
  write(
    { snapshot: { index: 9, term: 3 }, hardState: { term: 3, vote: 0, commit: 9 } },
    "snapshot",
  );
  write({ entries: entries(10, 12, 3) }, "entries after it");
  write({ entries: entries(11, 12, 4) }, "another suffix");
  assert.equal(journal.lastIndex(1), 7);
  await appendRaft(journal, { replicaId: 2, entries: entries(2, 3) });
  assert.deepEqual(told, ["entries", "snapshot", "entries after it", "another suffix"]);
  const content = await contentOf(journal);
  assert.deepEqual(content.slice(0, 3), [
    "replica 1 topic=101 term=3 vote=0 commit=9 snapshot=9/3",
    "  10/3 3",
    "  11/4 4",
  ]);
  assert.equal(journal.firstIndex(1), 10);
  assert.equal(journal.termAt(1, 9), 3);
  assert.equal(journal.termAt(1, 8), undefined);
  fs.crash();
  assert.deepEqual(await contentOf(await reopened(fs)), content);
});

test("a checkpoint that comes while a later snapshot is on its way does not bring anything back", async () => {
  const { fs, journal } = await openWithReplicas(1);
  await appendRaft(journal, { replicaId: 1, entries: entries(2, 8) });
  const release = fs.hold({ op: "write" });
  const installed = appendRaft(journal, { replicaId: 1, snapshot: { index: 20, term: 2 } });
  await settle();
  journal.setCheckpoint(1, 5, 1);
  release();
  await installed;
  assert.equal(journal.firstIndex(1), 21);
  await appendRaft(journal, { replicaId: 1, entries: entries(21, 23, 2) });
  assert.deepEqual(await entriesOf(journal, 1), ["21/2 2", "22/2 2"]);
  fs.crash();
  assert.equal((await reopened(fs)).replica(1)?.snapshotIndex, 20);
});

test("entries at or below the checkpoint come late and are left out", async () => {
  const { fs, journal } = await openWithReplicas(1);
  await appendRaft(journal, { replicaId: 1, entries: entries(2, 8) });
  journal.setCheckpoint(1, 5, 1);
  await appendRaft(journal, { replicaId: 1, entries: entries(2, 6) });
  assert.equal(journal.lastIndex(1), 7, "what is all below drops nothing");
  await appendRaft(journal, { replicaId: 1, entries: entries(4, 7, 2) });
  assert.deepEqual(await entriesOf(journal, 1), ["6/2 2"]);
  // Also of a snapshot that is not durable yet.
  const installing = appendRaft(journal, { replicaId: 1, snapshot: { index: 20, term: 2 } });
  await Promise.all([
    installing,
    appendRaft(journal, { replicaId: 1, entries: entries(6, 21, 2) }),
    appendRaft(journal, { replicaId: 1, entries: entries(19, 23, 2) }),
  ]);
  const content = await contentOf(journal);
  assert.deepEqual(content.slice(1), ["  21/2 2", "  22/2 2"]);
  fs.crash();
  assert.deepEqual(await contentOf(await reopened(fs)), content);
});

test("a suffix is replaced while the older one is still on its way", async () => {
  const { fs, journal } = await openWithReplicas(1);
  const release = fs.hold({ op: "write" });
  const writes = [entries(2, 10), entries(5, 8, 2), entries(6, 7, 3), entries(7, 9, 3)];
  const outcomes = writes.map((some) =>
    outcomeOf(appendRaft(journal, { replicaId: 1, entries: some })),
  );
  await settle();
  assert.ok(outcomes.every(({ state }) => state === "waiting"));
  release();
  await journal.idle();
  assert.ok(outcomes.every(({ state }) => state === "done"));
  const terms = (await entriesOf(journal, 1)).map((line) => line.split(" ")[0]);
  assert.deepEqual(terms, ["2/1", "3/1", "4/1", "5/2", "6/3", "7/3", "8/3"]);
  fs.crash();
  assert.deepEqual((await entriesOf(await reopened(fs), 1)).length, 7);
});

test("a write of nothing costs no flush, and is told after those before it", async () => {
  const { fs, journal } = await openWithReplicas(1);
  const told: string[] = [];
  const empty = (name: string) =>
    journal.appendRaft({ replicaId: 1, entries: [] }, () => told.push(name));
  const flushes = journal.flushCount;
  empty("alone");
  assert.equal(told.length, 0, "never before it returns");
  await settle();
  assert.deepEqual(told, ["alone"]);
  const release = fs.hold({ op: "write" });
  journal.appendRaft({ replicaId: 1, entries: entries(2, 3) }, () => {
    told.push("first");
    empty("while others are told");
  });
  await settle();
  empty("behind one that is written");
  journal.appendRaft({ replicaId: 1, entries: entries(3, 4) }, () => told.push("second"));
  empty("behind one that waits");
  await settle();
  assert.deepEqual(told, ["alone"]);
  release();
  await journal.idle();
  assert.deepEqual(told, [
    "alone",
    "first",
    "behind one that is written",
    "second",
    "behind one that waits",
    "while others are told",
  ]);
  assert.equal(journal.flushCount, flushes + 2);
  // Nothing waits then, and nothing is written.
  journal.appendRaft({ replicaId: 1, entries: entries(4, 5) }, () => {
    empty("while it is told");
    told.push("last");
  });
  await journal.idle();
  assert.deepEqual(told.slice(6), ["last", "while it is told"]);
});

test("after a failure every write is told once, in order", async () => {
  const { fs, journal, failures } = await openWithReplicas(1);
  fs.failNext({ op: "write" }, "EIO");
  const told: string[] = [];
  const write = (what: Partial<RaftWrite>, name: string) =>
    journal.appendRaft({ replicaId: 1, entries: [], ...what }, (error) =>
      told.push(`${name} ${error?.reason} ${error?.metadata["outcome"]}`),
    );
  write({ entries: entries(2, 3) }, "a");
  await Promise.resolve().then(() => {});
  write({ entries: entries(3, 4), hardState: { term: 2, vote: 1, commit: 2 } }, "b");
  write({}, "c");
  await journal.idle();
  write({ entries: entries(4, 5) }, "d");
  await settle();
  assert.deepEqual(
    told.map((line) => line.replace(/unknown|none/, "*")),
    ["a", "b", "c", "d"].map((name) => `${name} DISK_FAILED *`),
  );
  assert.equal(failures.length, 1);
});

test("a replica may begin with nothing at all", async () => {
  const { fs, journal } = await openWithReplicas(0);
  await journal.addReplica(newReplica(7, EMPTY));
  assert.deepEqual([journal.firstIndex(7), journal.lastIndex(7), journal.termAt(7, 0)], [1, 0, 0]);
  fs.crash();
  const empty = await reopened(fs);
  assert.deepEqual(empty.replica(7), newReplica(7, EMPTY));
  assert.ok(empty.entryTable(7).isEmpty);
  await appendRaft(empty, { replicaId: 7, hardState: { term: 3, vote: 0, commit: 0 } });
  await appendRaft(empty, { replicaId: 7, entries: entries(1, 3, 3) });
  assert.deepEqual(await entriesOf(empty, 7), ["1/3 3", "2/3 3"]);
  const snapshot = { index: 900, term: 3 };
  const hardState = { term: 3, vote: 0, commit: 900 };
  await appendRaft(empty, { replicaId: 7, snapshot, hardState });
  await appendRaft(empty, { replicaId: 7, entries: entries(901, 903, 3) });
  assert.deepEqual([empty.firstIndex(7), empty.lastIndex(7), empty.termAt(7, 900)], [901, 902, 3]);
});

test("the table says of entries what a core asks, and a part of them can be read", async () => {
  const { journal } = await openWithReplicas(1);
  const table = journal.entryTable(1);
  assert.ok(table.isEmpty);
  const some = entries(2, 8).map((one, at) => ({ ...one, kind: at, term: 1 + (at >> 1) }));
  await appendRaft(journal, { replicaId: 1, entries: some });
  assert.deepEqual([table.firstIndex, table.lastIndex], [2, 7]);
  assert.deepEqual([table.termAt(7), table.kindAt(7), table.payloadBytesAt(7)], [3, 5, 1]);
  for (const index of [1, 8]) {
    assert.equal(
      table.termAt(index) ?? table.kindAt(index) ?? table.payloadBytesAt(index),
      undefined,
    );
  }
  const read = async (from: number, end?: number) => {
    const indexes: number[] = [];
    for await (const { index } of journal.entries(1, from, end)) indexes.push(index);
    return indexes;
  };
  assert.deepEqual(await read(3, 6), [3, 4, 5]);
  assert.deepEqual(await read(3, 3), []);
  assert.deepEqual(await read(6, 100), [6, 7]);
  await appendRaft(journal, { replicaId: 1, entries: entries(4, 5, 9) });
  assert.deepEqual([table.lastIndex, table.termAt(4), table.termAt(5)], [4, 9, undefined]);
});

test("files whose entries a snapshot dropped are used again, and it stays in force without them", async () => {
  const { fs, journal } = await openWithReplicas(1, { fileBytes: 32 * 1024 });
  await appendMany(journal, 40);
  const before = names(fs, ".wal").length;
  const snapshot = { index: 500, term: 6 };
  const hardState = { term: 6, vote: 0, commit: 500 };
  await appendRaft(journal, { replicaId: 1, snapshot, hardState });
  for (let index = 501; index < 520; index += 1) {
    await appendRaft(journal, {
      replicaId: 1,
      entries: [newEntry(index, payloadOf(1, index, 2000), 6)],
    });
  }
  await journal.idle();
  assert.ok(before > 2 && names(fs, ".wal").length < before);
  const content = await contentOf(journal);
  assert.equal(content.length, 20);
  fs.crash();
  assert.deepEqual(await contentOf(await reopened(fs, { fileBytes: 32 * 1024 })), content);
});

test("with sync none only another vote or term and a snapshot are synced, and what asks for it", async () => {
  const { fs, journal } = await openWithReplicas(1, { sync: "none" });
  let syncs = 0;
  fs.onStep((_, op) => {
    if (op === "sync") syncs += 1;
  });
  const isSynced = async (write: Partial<RaftWrite>) => {
    const before = syncs;
    await appendRaft(journal, { replicaId: 1, ...write });
    return syncs > before;
  };
  const hardState = (term: number, vote: number, commit: number) => ({
    hardState: { term, vote, commit },
  });
  assert.equal(await isSynced({ entries: entries(2, 5) }), false);
  assert.equal(await isSynced({ ...hardState(1, 1, 4), entries: entries(5, 6) }), false);
  assert.equal(await isSynced(hardState(1, 2, 4)), true);
  assert.equal(await isSynced(hardState(1, 2, 5)), false);
  assert.equal(await isSynced({ ...hardState(2, 2, 5), entries: entries(6, 7) }), true);
  assert.equal(await isSynced({ ...hardState(2, 2, 6), mustSync: true }), true);
  assert.equal(await isSynced({ snapshot: { index: 10, term: 2 } }), true);
});
