import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason, ProglogError } from "../../src/base/errors.ts";
import { integerFrom, makeRandom } from "../support/prng.ts";
import type { SimOperation } from "../support/sim-faults.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { Client } from "./client.ts";
import { texts } from "./harness.ts";
import { liveThrough, tryToStart } from "./lives.ts";
import { TopicModel, World } from "./world.ts";

/** What the node does to change the disk. */
const CHANGES = ["write", "open", "truncate", "rename", "remove", "removeDir", "makeDir"] as const;
const SYNCS = ["sync", "syncDir"] as const;

interface Place {
  readonly op: SimOperation;
  /** Number of the operation of that kind, from 1. */
  readonly at: number;
  readonly seed: number;
}

/** Runs clients on a disk that fails once, at the operation `at` of that kind; then compares. */
async function runWithFault({ op, at, seed }: Place, code: string): Promise<boolean> {
  const random = makeRandom(at * 31 + op.length + seed * 1_000);
  const world = new World();
  world.topics.set("default", new TopicModel("default", 1, {}));
  const clients = [0, 1, 2].map((number) => new Client(`c${number}`, world, random));
  let fs = new SimFileSystem(random);
  let hits = 0;
  fs.onStep((_, what) => {
    if (what === op) hits += 1;
  });
  fs.failNext({ op, after: at - 1 }, code);
  const started = await tryToStart(fs, { seed: at });
  const isTransient = code === "ENOSPC" && !SYNCS.some((sync) => sync === op);
  if (started.life === undefined) {
    const { error } = started;
    const isFull = code === "ENOSPC" && hasReason(error, "DISK_FULL");
    assert.ok(isFull || hasReason(error, "DISK_FAILED"), `the start says ${error}`);
  } else {
    const { life } = started;
    life.isFaulty = true;
    let lastAck = 0;
    await liveThrough(life, async () => {
      await Promise.all(clients.map((client) => client.run(life, 30)));
      if (life.failures.length > 0) {
        const late = life.node.topics.topic("default").produce({ records: texts("late") });
        await assert.rejects(late, ProglogError);
      }
      await life.node.close();
      lastAck += 1;
    });
    assert.equal(lastAck, 1);
    if (isTransient) assert.deepEqual(life.failures, [], "a full disk ended the node");
    else if (hits >= at) assert.ok(life.failures.length <= 1);
  }
  fs.clearFaults();
  if (random() < 0.7) fs.crash(random() < 0.5 ? 0 : undefined);
  fs = fs.reopen();
  const { life, error } = await tryToStart(fs, { seed: at + 1000 });
  if (life === undefined) throw error;
  await world.verify(life.node, fs);
  await liveThrough(life, async () => {
    await Promise.all(clients.map((client) => client.run(life, integerFrom(random, 5, 10))));
    await life.node.close();
  });
  return hits >= at;
}

/** Every operation of a kind, up to a bound; at least so many must be reached. */
async function runAll(ops: readonly SimOperation[], code: string): Promise<void> {
  for (const op of ops) {
    let at = 1;
    while (at <= 90 && (await isReached(op, at, code))) at += at < 25 ? 1 : 5;
    assert.ok(at > 1, `no ${op} was ever done`);
  }
}

/** Some runs do less of a kind than others. */
async function isReached(op: SimOperation, at: number, code: string): Promise<boolean> {
  for (const seed of [0, 1, 2, 3, 4, 5]) {
    try {
      if (await runWithFault({ op, at, seed }, code)) return true;
    } catch (cause) {
      throw new Error(`${code} at ${op} ${at} with seed ${seed}: ${cause}`, { cause });
    }
  }
  return false;
}

// Goal: a disk that fails ends the node, without a word that is not true; a full one does not. Method: let each
// single operation of a run fail in turn, and compare what is there afterwards with what clients were told.
test("no space at any change of the disk: refused or delayed, never wrong, and the node lives", async () => {
  await runAll(
    CHANGES.filter((op) => op !== "remove" && op !== "removeDir"),
    "ENOSPC",
  );
});

test("an I/O error at any change of the disk: the node ends or goes on, and what it said holds", async () => {
  await runAll(CHANGES, "EIO");
});

test("an error at any sync, also one about space: the node ends, and what it said holds", async () => {
  await runAll(SYNCS, "EIO");
  await runAll(SYNCS, "ENOSPC");
});
