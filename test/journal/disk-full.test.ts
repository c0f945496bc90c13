import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import type { Journal } from "../../src/journal/journal.ts";
import { makeRandom, seedsFromEnv } from "../support/prng.ts";
import { type SimClock, settle } from "../support/sim-clock.ts";
import type { SimOperation } from "../support/sim-faults.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { CrashWorkload } from "./crash-workload.ts";
import {
  append,
  appendTelling,
  contentOf,
  entriesOf,
  entry,
  FILE_BYTES,
  newReplica,
  openJournal,
  openWithReplicas,
  outcomeOf,
  payloadOf,
} from "./journal-harness.ts";

const opened = (diskSeed = 1) => openWithReplicas(2, { diskSeed });

/** Appends 2 KiB entries until one is refused. @returns its index */
async function fill(journal: Journal): Promise<number> {
  for (let index = journal.lastIndex(1) + 1; ; index += 1) {
    try {
      await append(journal, [entry(1, index, payloadOf(1, index, 2000))]);
    } catch (error) {
      assert.ok(hasReason(error, "DISK_FULL"), String(error));
      assert.ok(index < 100, "there was always room");
      return index;
    }
  }
}

/** Waits for it, letting time pass. */
async function finish(promise: Promise<unknown>, clock: SimClock): Promise<void> {
  const outcome = outcomeOf(promise);
  for (let turns = 0; outcome.state === "waiting"; turns += 1) {
    assert.ok(turns < 200, "it never ends");
    await clock.advance(250);
  }
}

test("a new journal on a full disk is refused and can be begun later", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  fs.setCapacity(10_000);
  await assert.rejects(openJournal(fs), (error) => hasReason(error, "DISK_FULL"));
  fs.setCapacity(1_000_000);
  const { journal } = await openJournal(fs.reopen());
  await journal.addReplica(newReplica(1));
  assert.equal(journal.replicas().length, 1);
});

test("without room entries are refused, nothing else is, and it goes on when there is room", async () => {
  const { fs, journal, clock, failures } = await opened();
  fs.setCapacity(fs.usedBytes);
  const refused = await fill(journal);
  assert.equal(journal.isDiskFull, true);
  assert.equal(journal.lastIndex(1), refused - 1);
  // Votes, replicas, and what is urgent use the reserve.
  await journal.setHardState(2, { term: 7, vote: 3, commit: 1 });
  await journal.addReplica(newReplica(3));
  await append(journal, [entry(2, 2, "trim")], { isUrgent: true });
  await assert.rejects(append(journal, [entry(2, 3, "no")]), (error) =>
    hasReason(error, "DISK_FULL"),
  );
  await clock.advance(5000);
  assert.equal(journal.isDiskFull, true);
  fs.setCapacity(10_000_000);
  await clock.advance(1000);
  assert.equal(journal.isDiskFull, false);
  await append(journal, [entry(1, refused, "went on")]);
  const content = await contentOf(journal);
  assert.ok(content.includes(`  ${refused}/1 went on`));
  await journal.idle();
  const again = await openJournal(fs.reopen());
  assert.deepEqual(await contentOf(again.journal), content);
  assert.deepEqual(failures, []);
});

test("all appends that wait are refused together, and their indexes are used again", async () => {
  const { fs, journal, clock } = await opened();
  fs.setCapacity(fs.usedBytes);
  const refused = await fill(journal);
  fs.setCapacity(10_000_000);
  await clock.advance(1000);
  fs.setCapacity(fs.usedBytes);
  const outcomes = [];
  for (let at = 0; at < 100; at += 1) {
    const index = refused + at;
    outcomes.push(outcomeOf(append(journal, [entry(1, index, payloadOf(1, index, 2000))])));
  }
  await settle();
  const states = outcomes.map(({ state }) => state);
  const done = states.filter((state) => state === "done").length;
  assert.deepEqual(states, [
    ...Array.from({ length: done }, () => "done"),
    ...Array.from({ length: 100 - done }, () => "failed"),
  ]);
  assert.equal(journal.lastIndex(1), refused + done - 1);
  fs.setCapacity(10_000_000);
  await clock.advance(1000);
  const skipping = entry(1, refused + done + 1, "skips one");
  assert.throws(() => appendTelling(journal, skipping, () => {}), /gap/);
  await append(journal, [entry(1, refused + done, "next")]);
  assert.equal((await entriesOf(journal, 1)).at(-1), `${refused + done}/1 next`);
});

test("when the reserve is used up, votes wait for room and are not lost", async () => {
  const { fs, journal, clock } = await opened();
  fs.setCapacity(fs.usedBytes);
  await fill(journal);
  let votes = 0;
  let waiting = outcomeOf(Promise.resolve());
  for (let term = 2; term < 100; term += 1) {
    waiting = outcomeOf(journal.setHardState(2, { term, vote: 1, commit: 1 }));
    await settle();
    if (waiting.state === "waiting") break;
    votes += 1;
  }
  assert.ok(votes >= 3, `${votes} votes found room in the reserve`);
  assert.equal(waiting.state, "waiting");
  await clock.advance(10_000);
  assert.equal(waiting.state, "waiting");
  await assert.rejects(append(journal, [entry(1, 3, "x")]), (error) =>
    hasReason(error, "DISK_FULL"),
  );
  fs.setCapacity(10_000_000);
  await clock.advance(1000);
  assert.equal(waiting.state, "done");
  assert.equal(journal.replica(2)?.term, votes + 2);
});

test("entries leave the reserve alone also where a file is only begun", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  const { journal } = await openJournal(fs, { fileBytes: 16 * 2 ** 20 });
  await journal.addReplica(newReplica(1));
  await journal.idle();
  fs.setCapacity(fs.usedBytes);
  for (let index = 2; !journal.isDiskFull; index += 1) {
    await append(journal, [entry(1, index, payloadOf(1, index, 30_000))]).catch(() => {});
  }
  for (let term = 2; term < 50; term += 1) {
    const vote = outcomeOf(journal.setHardState(1, { term, vote: 1, commit: 1 }));
    await settle();
    assert.equal(vote.state, "done", `term ${term}`);
  }
});

test("an entry is refused at once, though what waits before it is not", async () => {
  const { fs, journal } = await opened();
  fs.setCapacity(fs.usedBytes);
  for (let term = 2; ; term += 1) {
    const vote = outcomeOf(journal.setHardState(2, { term, vote: 1, commit: 1 }));
    await settle();
    if (vote.state === "waiting") break;
  }
  assert.equal(journal.isDiskFull, false);
  const refused = outcomeOf(append(journal, [entry(1, 2, "no room")]));
  await settle();
  assert.ok(hasReason(refused.error, "DISK_FULL"));
  assert.equal(journal.isDiskFull, true);
});

test("closing while votes wait for room tells them, and what is durable stays", async () => {
  const { fs, journal } = await opened();
  fs.setCapacity(fs.usedBytes);
  await fill(journal);
  const outcomes = [];
  for (let term = 2; term < 100; term += 1) {
    outcomes.push(outcomeOf(journal.setHardState(2, { term, vote: 1, commit: 1 })));
    await settle();
  }
  await journal.close();
  const states = new Set(outcomes.map(({ state }) => state));
  assert.deepEqual(states, new Set(["done", "failed"]));
  assert.ok(hasReason(outcomes.at(-1)?.error, "DISK_FULL"));
  const again = await openJournal(fs.reopen());
  const done = outcomes.filter(({ state }) => state === "done").length;
  assert.equal(again.journal.replica(2)?.term, done + 1);
});

test("a checkpoint frees files while the disk is full, and that is room", async () => {
  const { fs, journal, clock } = await opened();
  for (let index = 2; index < 60; index += 1) {
    await append(journal, [entry(1, index, payloadOf(1, index, 2000))]);
  }
  await journal.idle();
  fs.setCapacity(fs.usedBytes);
  const refused = await fill(journal);
  assert.equal(journal.isDiskFull, true);
  await journal.idle();
  journal.setCheckpoint(1, refused - 1, 1);
  await settle();
  await clock.advance(0);
  assert.equal(journal.isDiskFull, false);
  await append(journal, [entry(1, refused, "went on")]);
  assert.ok(fs.usedBytes <= 10 * FILE_BYTES);
});

test("a flush that finds no room is written again at the same place", async () => {
  const { fs, journal, clock } = await opened();
  fs.failNext({ op: "write", path: /wal/, times: 3 }, "ENOSPC");
  const usedBytes = journal.usedBytes;
  const first = outcomeOf(append(journal, [entry(1, 2, "a")]));
  await settle();
  assert.equal(first.state, "waiting");
  assert.equal(journal.isDiskFull, true);
  const second = outcomeOf(append(journal, [entry(1, 3, "b")]));
  const vote = outcomeOf(journal.setHardState(2, { term: 5, vote: 1, commit: 1 }));
  await settle();
  assert.equal(second.state, "failed");
  assert.ok(hasReason(second.error, "DISK_FULL"));
  assert.equal(vote.state, "waiting");
  await clock.advance(2000);
  assert.equal(first.state, "done");
  assert.equal(vote.state, "done");
  assert.equal(journal.isDiskFull, false);
  assert.equal(journal.usedBytes, usedBytes + 2 * 4096);
  await append(journal, [entry(1, 3, "c")]);
  assert.deepEqual(await entriesOf(journal, 1), ["2/1 a", "3/1 c"]);
  const again = await openJournal(fs.reopen());
  assert.deepEqual(await entriesOf(again.journal, 1), ["2/1 a", "3/1 c"]);
});

test("closing while a flush finds no room leaves its outcome unknown", async () => {
  const { fs, journal, failures } = await opened();
  fs.failNext({ op: "write", path: /wal/, times: 1000 }, "ENOSPC");
  const first = outcomeOf(append(journal, [entry(1, 2, "a")]));
  const vote = outcomeOf(journal.setHardState(2, { term: 5, vote: 1, commit: 1 }));
  await settle();
  const late = outcomeOf(journal.setHardState(2, { term: 6, vote: 1, commit: 1 }));
  await journal.close();
  for (const { error } of [first, vote]) {
    assert.ok(hasReason(error, "DISK_FAILED"), String(error));
    assert.equal(error.metadata["outcome"], "unknown");
  }
  assert.ok(hasReason(late.error, "DISK_FULL"));
  assert.deepEqual(failures, []);
  await openJournal(fs.reopen());
});

test("a full disk does not keep a node from starting, reading and voting", async () => {
  const { fs, journal } = await opened();
  fs.setCapacity(fs.usedBytes);
  await fill(journal);
  const content = await contentOf(journal);
  const next = fs.reopen();
  const again = await openJournal(next);
  assert.deepEqual(await contentOf(again.journal), content);
  await again.journal.setHardState(2, { term: 9, vote: 1, commit: 1 });
  assert.equal(again.journal.replica(2)?.term, 9);
});

// Goal: a disk that is full for a while loses nothing, wherever that hits.
// Method: let the n-th operation of each kind find no space, for every n that a workload reaches.
const KINDS: readonly SimOperation[] = ["write", "open", "rename"];

async function fullAt(seed: number, op: SimOperation, after: number): Promise<boolean> {
  const random = makeRandom(seed);
  const fs = new SimFileSystem(random);
  const { journal, clock, failures } = await openJournal(fs, { fileBytes: 32 * 1024, seed });
  const workload = new CrashWorkload(random);
  let count = 0;
  fs.onStep((_, kind) => {
    if (kind === op) count += 1;
  });
  fs.failNext({ op, after, times: 2 }, "ENOSPC");
  for (let step = 0; step < 120; step += 1) {
    await finish(workload.step(journal), clock);
    if (journal.isDiskFull) await clock.advance(2000);
  }
  await finish(journal.idle(), clock);
  assert.deepEqual(failures, []);
  if (random() < 0.5) fs.crash();
  const again = await openJournal(fs.reopen(), { fileBytes: 32 * 1024, seed: seed + 1 });
  await workload.check(again.journal, `seed ${seed}, ${op} ${after}`, () => true);
  return count > after;
}

for (const seed of seedsFromEnv(2)) {
  for (const op of KINDS) {
    test(`nothing is lost when a ${op} finds no space, whichever it is (seed ${seed})`, async () => {
      let after = 0;
      while (await fullAt(seed, op, after)) after += 1;
      assert.ok(after > 0, `${op} was never reached`);
    });
  }
}
