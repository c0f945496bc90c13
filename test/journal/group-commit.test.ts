import assert from "node:assert/strict";
import { test } from "node:test";
import type { Journal } from "../../src/journal/journal.ts";
import { makeRandom } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import {
  append,
  appendTelling,
  contentOf,
  entriesOf,
  entry,
  newReplica,
  openJournal,
  openWithReplicas,
  outcomeOf,
  payloadOf,
} from "./journal-harness.ts";

const APPENDS_EACH = 20;

/** Appenders that each wait for their answer before they append again. @returns flushes it took */
async function load(journal: Journal, appenders: number, replicaIds: readonly number[]) {
  const next = new Map(replicaIds.map((id) => [id, journal.lastIndex(id) + 1]));
  const before = journal.flushCount;
  let turn = 0;
  const appender = async () => {
    for (let count = 0; count < APPENDS_EACH; count += 1) {
      const id = replicaIds[turn % replicaIds.length] ?? 1;
      turn += 1;
      const index = next.get(id) ?? 0;
      next.set(id, index + 1);
      await append(journal, [entry(id, index, payloadOf(id, index, 100))]);
    }
  };
  await Promise.all(Array.from({ length: appenders }, appender));
  return journal.flushCount - before;
}

async function withReplicas(count: number) {
  const opened = await openWithReplicas(count, { diskSeed: 5, fileBytes: 2 ** 20 });
  return { ...opened, replicaIds: Array.from({ length: count }, (_, at) => at + 1) };
}

test("records per flush grow with the number of appenders", async () => {
  const { journal, replicaIds } = await withReplicas(1);
  let before = 0;
  for (const appenders of [1, 8, 64, 256]) {
    const flushes = await load(journal, appenders, replicaIds);
    const recordsPerFlush = (appenders * APPENDS_EACH) / flushes;
    assert.ok(recordsPerFlush >= before * 2, `${recordsPerFlush} with ${appenders}`);
    assert.ok(recordsPerFlush >= appenders / 3, `${recordsPerFlush} with ${appenders}`);
    before = recordsPerFlush;
  }
});

test("a thousand active replicas cost no more flushes than one", async () => {
  const one = await withReplicas(1);
  const many = await withReplicas(1000);
  const flushesOfOne = await load(one.journal, 64, one.replicaIds);
  const flushesOfMany = await load(many.journal, 64, many.replicaIds);
  assert.ok(flushesOfMany <= flushesOfOne + 2, `${flushesOfMany} instead of ${flushesOfOne}`);
});

test("a thousand replicas that are added together take few flushes", async () => {
  const { journal } = await withReplicas(1000);
  assert.ok(journal.flushCount <= 3, `${journal.flushCount}`);
});

test("nobody is told before the flush is durable, and then in the order of the calls", async () => {
  const { fs, journal } = await withReplicas(2);
  const told: string[] = [];
  const release = fs.hold({ op: "write", path: /wal/ });
  const calls = [entry(1, 2, "a"), entry(2, 2, "b"), entry(1, 3, "c")];
  for (const [at, one] of calls.entries())
    appendTelling(journal, one, () => told.push(`append ${at}`));
  journal.setHardState(1, { term: 3, vote: 1, commit: 2 }).then(() => told.push("hard state"));
  await settle();
  assert.deepEqual(told, []);
  assert.equal(journal.lastIndex(1), 1);
  release();
  await settle();
  assert.deepEqual(told, ["append 0", "append 1", "append 2", "hard state"]);
  assert.equal(journal.lastIndex(1), 3);
});

test("a flush is not written before the one before it is durable", async () => {
  const { fs, journal } = await withReplicas(1);
  await journal.idle();
  let writes = 0;
  fs.onStep((_, op, path) => {
    if (op === "write" && path.endsWith(".wal")) writes += 1;
  });
  const release = fs.hold({ op: "write", path: /wal/ });
  const first = outcomeOf(append(journal, [entry(1, 2, "a")]));
  await settle();
  const second = outcomeOf(append(journal, [entry(1, 3, "b")]));
  const third = outcomeOf(append(journal, [entry(1, 4, "c")]));
  await settle();
  assert.equal(writes, 1);
  release();
  await settle();
  assert.deepEqual([first.state, second.state, third.state], ["done", "done", "done"]);
  assert.equal(writes, 2);
});

test("done is never called before append has returned", async () => {
  const { fs, journal } = await withReplicas(1);
  let hasReturned = false;
  appendTelling(journal, entry(1, 2, "a"), () => assert.ok(hasReturned));
  hasReturned = true;
  await journal.idle();
  fs.failNext({ op: "write" }, "EIO");
  await assert.rejects(append(journal, [entry(1, 3, "b")]));
  hasReturned = false;
  appendTelling(journal, entry(1, 3, "b"), () => assert.ok(hasReturned));
  hasReturned = true;
});

test("a callback may append again", async () => {
  const { journal } = await withReplicas(1);
  await new Promise<void>((resolve) => {
    const next = (index: number) => {
      if (index === 50) return resolve();
      appendTelling(journal, entry(1, index, "x"), () => next(index + 1));
    };
    next(2);
  });
  assert.equal(journal.lastIndex(1), 49);
});

test("a flush takes nothing more once it is large, but one append is never split", async () => {
  const fs = new SimFileSystem(makeRandom(5));
  const { journal } = await openJournal(fs, { fileBytes: 2 ** 20, flushBytesMax: 10_000 });
  await journal.addReplica(newReplica(1));
  const before = journal.flushCount;
  const waiting = Array.from({ length: 12 }, (_, at) =>
    append(journal, [entry(1, at + 2, payloadOf(1, at + 2, 3000))]),
  );
  await Promise.all(waiting);
  // Four of 3 KB pass 10,000 bytes.
  assert.equal(journal.flushCount - before, 3);
  const many = Array.from({ length: 12 }, (_, at) =>
    entry(1, at + 14, payloadOf(1, at + 14, 3000)),
  );
  await append(journal, many);
  assert.equal(journal.flushCount - before, 4);
});

test("an append larger than a file gets a file of its own size", async () => {
  const fs = new SimFileSystem(makeRandom(5));
  const { journal } = await openJournal(fs, { fileBytes: 64 * 1024 });
  await journal.addReplica(newReplica(1));
  await append(journal, [entry(1, 2, "before")]);
  await append(journal, [entry(1, 3, payloadOf(1, 3, 300_000))]);
  await append(journal, [entry(1, 4, "after")]);
  const content = await contentOf(journal);
  const sizes = [...fs.dump().values()].map((bytes) => bytes.length);
  assert.ok(Math.max(...sizes) > 300_000);
  await journal.idle();
  const again = await openJournal(fs.reopen(), { fileBytes: 64 * 1024 });
  assert.deepEqual(await contentOf(again.journal), content);
  // It is deleted when it is free: its size is of no use to anybody else.
  again.journal.setCheckpoint(1, 4, 1);
  for (let index = 5; index < 60; index += 1) await append(again.journal, [entry(1, index, "x")]);
  await again.journal.idle();
  assert.deepEqual((await entriesOf(again.journal, 1)).length, 55);
});

test("thousands of small appends of one flush come back, whatever their sizes", async () => {
  const { fs, journal } = await withReplicas(7);
  const random = makeRandom(9);
  const wanted = new Map<number, string[]>();
  const appends = [];
  const before = journal.flushCount;
  for (let count = 0; count < 5000; count += 1) {
    const id = (count % 7) + 1;
    const index = 2 + Math.floor(count / 7);
    const text = payloadOf(id, index, Math.floor(random() * 300));
    appends.push(append(journal, [entry(id, index, text)]));
    wanted.set(id, [...(wanted.get(id) ?? []), `${index}/1 ${text.replace(/\.+$/, "")}`]);
  }
  await Promise.all(appends);
  assert.equal(journal.flushCount - before, 1);
  await journal.idle();
  const again = await openJournal(fs.reopen(), { fileBytes: 2 ** 20 });
  for (const [id, lines] of wanted) assert.deepEqual(await entriesOf(again.journal, id), lines);
});

test("entries come back as they were, in parts and in one, from one large read and many small ones", async () => {
  const { fs, journal } = await withReplicas(3);
  const bytes = (size: number) => Uint8Array.from({ length: size }, (_, at) => at % 251);
  const sizes = [0, 1, 4095, 4096, 4097, 20_000, 3, 70_000, 5];
  for (const [at, size] of sizes.entries()) {
    const whole = bytes(size);
    const cut = Math.floor(size / 3);
    const payload = [whole.subarray(0, cut), whole.subarray(cut)];
    const one = { replicaId: 2, index: at + 2, term: 1, kind: at, payload };
    await append(journal, [entry(1, at + 2, "other"), one, entry(3, at + 2, "other")]);
  }
  await journal.idle();
  for (const isReopened of [false, true]) {
    const again = isReopened ? await openJournal(fs.reopen(), { fileBytes: 2 ** 20 }) : undefined;
    let at = 0;
    for await (const found of (again?.journal ?? journal).entries(2, 2)) {
      assert.equal(found.index, at + 2);
      assert.equal(found.kind, at);
      assert.deepEqual(found.payload, bytes(sizes[at] ?? 0));
      at += 1;
    }
    assert.equal(at, sizes.length);
  }
});
