import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../../src/cluster/node.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import { Client } from "./client.ts";
import type { Life } from "./harness.ts";
import { liveThrough, tryToStart } from "./lives.ts";
import { TopicModel, World } from "./world.ts";

const LIVES = 5;
const CLIENTS = 5;

// Goal: what was acknowledged stays, once and in order, whatever the node was doing when the power went: flush,
// apply, rotation, checkpoint, trim, retention, creation or deletion of a topic, recovery itself. Method: several
// clients on a simulated disk that keeps any subset of unsynced writes; the machine stops at a random step; an
// oracle compares what is there afterwards with what the clients were told. Replay one: SEED=17 node --test FILE
for (const seed of seedsFromEnv(200)) {
  test(`what clients were told holds after crashes (seed ${seed})`, async () => {
    await runLives(seed);
  });
}

// The same by exhaustion: one short run that does a bit of everything, stopped at each of its steps. By a power cut;
// or by the end of the process, then some more work, then a power cut: what the second process found was perhaps only
// in memory.
for (const first of ["a power cut", "the end of the process"] as const) {
  test(`what clients were told holds wherever ${first} stops a run of everything`, async () => {
    const steps = await stopEverywhere(first === "a power cut");
    assert.ok(steps > 200, `only ${steps} steps`);
  });
}

async function stopEverywhere(isPowerCut: boolean): Promise<number> {
  for (let stop = 1; ; stop += 1) {
    const random = makeRandom(stop);
    const world = new World();
    world.topics.set("default", new TopicModel("default", 1, {}));
    const client = new Client("c", world, makeRandom(11));
    const fs = new SimFileSystem(random);
    fs.onStep((step) => {
      if (step === stop) throw new SimCrash();
    });
    const { life } = await tryToStart(fs, { seed: stop });
    if (life !== undefined) {
      await liveThrough(life, async () => {
        await client.run(life, 45);
        await life.node.close();
      });
    }
    if (!fs.isStopped) return stop;
    if (isPowerCut) fs.crash();
    try {
      const next = await verifiedStart(world, fs.reopen(), stop + 1);
      if (isPowerCut) continue;
      await liveThrough(next, () => client.run(next, 6));
      next.fs.crash(stop % 2 === 0 ? 0 : undefined);
      await verifiedStart(world, next.fs.reopen(), stop + 2);
    } catch (cause) {
      throw new Error(`stopped at step ${stop}: ${cause}`, { cause });
    }
  }
}

async function verifiedStart(world: World, fs: SimFileSystem, seed: number): Promise<Life> {
  const { life, error } = await tryToStart(fs, { seed });
  if (life === undefined) throw error;
  await world.verify(life.node, fs);
  return life;
}

// With `--sync none` the end of the process loses nothing. A power cut may, but never so that a start is refused
// or a batch is torn.
for (const seed of seedsFromEnv(30)) {
  test(`with --sync none what is there is whole (seed ${seed})`, async () => {
    const random = makeRandom(seed * 104_729);
    let fs = new SimFileSystem(random);
    let world = new World();
    for (let number = 1; number <= LIVES; number += 1) {
      const { life, error } = await tryToStart(fs, { seed: number, settings: { sync: "none" } });
      if (life === undefined) throw error;
      if (world.topics.size === 0) learn(world, life.node);
      const clients = [1, 2, 3].map((name) => new Client(`${number}.${name}`, world, random));
      stopSomewhere(fs, random, true);
      await liveThrough(life, async () => {
        await world.verify(life.node, fs);
        await Promise.all(clients.map((client) => client.run(life, 20)));
        if (random() < 0.3) await life.node.close();
      });
      if (random() < 0.5) {
        fs.crash();
        // What was acknowledged may be gone: what is left is looked at as if for the first time.
        world = new World(world.batchNumber);
        world.mayForgetCreation = true;
      }
      fs = fs.reopen();
    }
  });
}

function learn(world: World, node: Node): void {
  for (const { name, id, settings } of node.topics.list({ limit: 100 }).topics) {
    const model = new TopicModel(name, id, settings);
    model.isForeign = true;
    model.tokenAsked = Number.POSITIVE_INFINITY;
    world.topics.set(name, model);
  }
}

test("a run is a function of its seed", async () => {
  for (const seed of [3, 4]) assert.deepEqual(await runLives(seed), await runLives(seed));
});

async function runLives(seed: number): Promise<unknown> {
  const random = makeRandom(seed * 7919);
  const world = new World();
  world.topics.set("default", new TopicModel("default", 1, {}));
  const clients = Array.from({ length: CLIENTS }, (_, at) => new Client(`c${at}`, world, random));
  let fs = new SimFileSystem(random);
  let wasStarted = false;
  for (let number = 1; number < LIVES; number += 1) {
    stopSomewhere(fs, random, wasStarted);
    const settings = { writeDelayMs: random() < 0.5 ? 0 : 5 };
    const { life, error } = await tryToStart(fs, { seed: seed * 100 + number, settings });
    if (life !== undefined) {
      wasStarted = true;
      await liveThrough(life, async () => {
        await world.verify(life.node, fs);
        await Promise.all(clients.map((client) => client.run(life, integerFrom(random, 5, 40))));
        if (random() < 0.5) await life.node.close();
      });
      if (!fs.isStopped) assert.deepEqual(life.failures, []);
    } else if (!fs.isStopped) throw error;
    // Not every death is a power cut; after the others all that was written is there.
    if (random() < 0.6) fs.crash();
    fs = fs.reopen();
  }
  const { life, error } = await tryToStart(fs, { seed: seed * 100 });
  if (life === undefined) throw error;
  await world.verify(life.node, fs);
  return fs.dump();
}

/** Early steps are the start itself. */
function stopSomewhere(fs: SimFileSystem, random: () => number, wasStarted: boolean): void {
  const last = random() < 0.3 ? 60 : wasStarted ? 1500 : 700;
  const stop = integerFrom(random, 1, last);
  fs.onStep((step) => {
    if (step === stop) throw new SimCrash();
  });
}
