import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { makeRandom, seedsFromEnv } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import type { SimOperation } from "../support/sim-faults.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { CrashWorkload } from "./crash-workload.ts";
import {
  append,
  appendTelling,
  contentOf,
  entry,
  newReplica,
  openJournal,
  openWithReplicas,
  outcomeOf,
} from "./journal-harness.ts";

const FILE_BYTES = 32 * 1024;

const opened = (diskSeed = 1) => openWithReplicas(1, { diskSeed, fileBytes: FILE_BYTES });

test("a failed write is never repeated: its appends may be there or not, later ones are not", async () => {
  const { fs, journal, failures } = await opened();
  fs.failNext({ op: "write", path: /wal/ }, "EIO");
  let writes = 0;
  fs.onStep((_, op) => {
    if (op === "write" || op === "sync") writes += 1;
  });
  const lost = [append(journal, [entry(1, 2, "a")]), append(journal, [entry(1, 3, "b")])];
  const outcomes = lost.map(outcomeOf);
  await Promise.resolve();
  await Promise.resolve();
  // The flush is on its way by now.
  const waiting = outcomeOf(append(journal, [entry(1, 4, "c")]));
  const vote = outcomeOf(journal.setHardState(1, { term: 2, vote: 1, commit: 1 }));
  await settle();
  for (const { error } of outcomes) {
    assert.ok(hasReason(error, "DISK_FAILED"), String(error));
    assert.equal(error.metadata["outcome"], "unknown");
  }
  for (const { error } of [waiting, vote]) {
    assert.ok(hasReason(error, "DISK_FAILED"), String(error));
    assert.equal(error.metadata["outcome"], "none");
  }
  assert.equal(failures.length, 1);
  assert.ok(hasReason(failures[0], "DISK_FAILED"));
  const late = outcomeOf(append(journal, [entry(1, 2, "again")]));
  await settle();
  assert.ok(hasReason(late.error, "DISK_FAILED"));
  assert.equal(late.error.metadata["outcome"], "none");
  assert.equal(writes, 1);
  await journal.idle();
  await journal.close();
  assert.equal(failures.length, 1);
});

test("a failed sync of room made ahead stops the journal too", async () => {
  const { fs, journal, failures } = await opened();
  fs.failNext({ op: "sync" }, "EIO");
  const outcomes = [];
  for (let index = 2; index < 40; index += 1) {
    outcomes.push(outcomeOf(append(journal, [entry(1, index, "x")])));
    await settle();
  }
  assert.equal(failures.length, 1);
  assert.ok(outcomes.some(({ state }) => state === "failed"));
  assert.ok(outcomes.every(({ state }) => state !== "waiting"));
});

test("a sync that finds no space is as fatal as any other failed sync", async () => {
  const { fs, journal, failures } = await opened();
  fs.failNext({ op: "sync" }, "ENOSPC");
  for (let index = 2; index < 40 && failures.length === 0; index += 1) {
    await append(journal, [entry(1, index, "x")]).catch(() => {});
  }
  assert.ok(hasReason(failures[0], "DISK_FAILED"));
});

test("an error that is no disk's is passed on as it is", async () => {
  const { journal, failures } = await opened();
  appendTelling(journal, entry(1, 2, "a"), () => {
    throw new TypeError("A defect in the owner");
  });
  await settle();
  assert.ok(failures[0] instanceof TypeError);
});

test("a read error while opening says so, and opening again finds everything", async () => {
  const { fs, journal } = await opened();
  for (let index = 2; index < 30; index += 1) await append(journal, [entry(1, index, "x")]);
  await journal.idle();
  const content = await contentOf(journal);
  for (const op of ["list", "open", "size", "read", "write", "sync", "syncDir"] as const) {
    for (let after = 0; after < 12; after += 1) {
      const next = SimFileSystem.fromDump(makeRandom(after), fs.dump());
      next.failNext({ op, after }, "EIO");
      try {
        await openJournal(next, { fileBytes: FILE_BYTES });
      } catch (error) {
        assert.ok(hasReason(error, "DISK_FAILED"), `${op} ${after}: ${error}`);
      }
      const again = await openJournal(next.reopen(), { fileBytes: FILE_BYTES });
      assert.deepEqual(await contentOf(again.journal), content, `${op} ${after}`);
    }
  }
});

test("a clean stop ends whatever fails in it, tells the owner once, and loses nothing", async () => {
  let hits = 0;
  for (const op of ["open", "write", "sync", "rename", "syncDir", "remove"] as const) {
    for (let after = 0; after < 8; after += 1) {
      const fs = new SimFileSystem(makeRandom(after));
      const { journal, failures } = await openJournal(fs, { fileBytes: 2 ** 20 });
      await journal.addReplica(newReplica(1));
      for (let index = 2; index < 17; index += 1) {
        await append(journal, [entry(1, index, "x".repeat(100_000))]);
      }
      journal.setCheckpoint(1, 16, 1);
      await journal.idle();
      fs.failNext({ op, after }, "EIO");
      await journal.close();
      hits += failures.length;
      assert.ok(failures.length <= 1, `${op} ${after}`);
      fs.crash();
      const again = await openJournal(fs.reopen(), { fileBytes: 2 ** 20 });
      assert.equal(again.journal.lastIndex(1), 16, `${op} ${after}`);
    }
  }
  assert.ok(hits >= 6, `${hits} failures were hit`);
});

// Goal: whatever fails, wherever, nothing acknowledged is lost and nothing more is acknowledged.
// Method: fail the n-th operation of each kind for every n that a random workload reaches.
const KINDS: readonly SimOperation[] = ["write", "sync", "open", "rename", "syncDir", "remove"];

async function failAt(seed: number, op: SimOperation, after: number): Promise<boolean> {
  const random = makeRandom(seed);
  const fs = new SimFileSystem(random);
  const { journal, failures } = await openJournal(fs, { fileBytes: FILE_BYTES, seed });
  const workload = new CrashWorkload(random);
  fs.failNext({ op, after }, "EIO");
  for (let count = 0; count < 150 && failures.length === 0; count += 1) {
    await workload.step(journal).catch(() => {});
  }
  await journal.idle();
  const isHit = failures.length > 0;
  assert.ok(failures.length <= 1);
  if (random() < 0.5) fs.crash();
  const again = await openJournal(fs.reopen(), { fileBytes: FILE_BYTES, seed: seed + 1 });
  await workload.check(again.journal, `seed ${seed}, ${op} ${after}`, () => true);
  return isHit;
}

for (const seed of seedsFromEnv(2)) {
  for (const op of KINDS) {
    test(`nothing acknowledged is lost by a failed ${op}, whichever it is (seed ${seed})`, async () => {
      let hits = 0;
      for (let after = 0; ; after += 1) {
        if (!(await failAt(seed, op, after))) break;
        hits += 1;
      }
      assert.ok(hits > 0 || op === "remove", `${op} was never reached`);
    });
  }
}
