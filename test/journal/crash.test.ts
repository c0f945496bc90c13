import assert from "node:assert/strict";
import { test } from "node:test";
import type { Journal } from "../../src/journal/journal.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import type { Operation } from "./crash-model.ts";
import { CrashWorkload } from "./crash-workload.ts";
import { openJournal } from "./journal-harness.ts";

// Goal: what was acknowledged is there, once, in its order, and nothing that was not asked for is.
// Method: call the journal at random on a simulated disk, stop it at a random step (also while it
// recovers), lose any of what was not synced, recover, compare with every state that may have
// survived, and go on from there, several times.
// Replay one run: SEED=17 node --test test/journal/crash.test.ts

const FILE_BYTES = 32 * 1024;
const LIVES = 5;
const STEPS_MAX = 500;

type Sync = "always" | "none";

/** Opens the journal, also when the machine stops while it does, up to some times. */
async function openAnyhow(
  disk: SimFileSystem,
  random: () => number,
  options: { sync: Sync; seed: number },
): Promise<{ fs: SimFileSystem; journal: Journal }> {
  let fs = disk;
  for (let attempt = 0; ; attempt += 1) {
    const stopAt = attempt < 3 && random() < 0.4 ? integerFrom(random, 1, 40) : Infinity;
    fs.onStep((step) => {
      if (step === stopAt) throw new SimCrash();
    });
    try {
      const { seed, sync } = options;
      const { journal } = await openJournal(fs, { fileBytes: FILE_BYTES, seed, sync });
      fs.onStep(undefined);
      // Opened, but what it does in the background has come to that step.
      if (fs.isStopped) throw new SimCrash();
      return { fs, journal };
    } catch (error) {
      if (!fs.isStopped) throw error;
    }
    if (random() < 0.7) fs.crash();
    fs = fs.reopen();
  }
}

async function live(
  workload: CrashWorkload,
  { fs, journal }: { fs: SimFileSystem; journal: Journal },
  random: () => number,
): Promise<void> {
  const stopAt = fs.steps + integerFrom(random, 1, STEPS_MAX);
  fs.onStep((step) => {
    if (step >= stopAt) throw new SimCrash();
  });
  try {
    while (!fs.isStopped) {
      if (random() < 0.004) await journal.close();
      await workload.step(journal);
    }
  } catch {
    // Closed, or stopped: what matters is what is left.
  }
  await journal.idle();
}

async function run(seed: number, sync: Sync): Promise<void> {
  const random = makeRandom(seed);
  const workload = new CrashWorkload(random);
  let fs = new SimFileSystem(random);
  for (let life = 0; life <= LIVES; life += 1) {
    const wasCut = life > 0 && random() < 0.7;
    if (wasCut) fs.crash();
    if (life > 0) fs = fs.reopen();
    const opened = await openAnyhow(fs, random, { sync, seed: seed * 100 + life });
    fs = opened.fs;
    // Without syncs a power cut may take what a kill may not.
    const isSynced = (operation: Operation) => {
      if (sync === "always" || life === 0) return true;
      return operation.do === "raft" ? operation.isSynced : true;
    };
    await workload.check(opened.journal, `seed ${seed}, life ${life}`, isSynced);
    if (life < LIVES) await live(workload, opened, random);
  }
}

for (const seed of seedsFromEnv(200)) {
  test(`what was acknowledged survives crashes (seed ${seed})`, () => run(seed, "always"));
}

for (const seed of seedsFromEnv(60)) {
  test(`with sync none, replicas and votes survive crashes (seed ${seed})`, () =>
    run(seed, "none"));
}

test("a crash test whose disk forgets synced data would fail", async () => {
  let failures = 0;
  for (let seed = 1; seed <= 100; seed += 1) {
    const random = makeRandom(seed);
    const workload = new CrashWorkload(random);
    const fs = new SimFileSystem(random);
    const opened = await openAnyhow(fs, () => 1, { sync: "none", seed });
    await live(workload, opened, random);
    fs.crash(0);
    const again = await openAnyhow(fs.reopen(), () => 1, { sync: "none", seed: seed + 1 });
    // Judged as if appends had been synced, which they were not.
    await workload
      .check(again.journal, "", () => true)
      .catch(() => {
        failures += 1;
      });
  }
  assert.ok(failures > 3, `${failures} of 100 runs were caught`);
});
