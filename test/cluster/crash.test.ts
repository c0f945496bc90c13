import assert from "node:assert/strict";
import { test } from "node:test";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import { Client } from "./client.ts";
import { type Life, startNode } from "./harness.ts";
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
  for (let number = 1; number <= LIVES; number += 1) {
    const isLast = number === LIVES;
    if (!isLast) stopSomewhere(fs, random, wasStarted);
    const life = await tryToStart(fs, seed * 100 + number);
    if (life !== undefined) {
      await live(life, world, clients, random);
      wasStarted = true;
    } else assert.ok(fs.isStopped, "the node did not start");
    if (isLast) return fs.dump();
    // Half of the deaths are power cuts; after the others all that was written is there.
    if (random() < 0.6) fs.crash();
    fs = fs.reopen();
  }
  return undefined;
}

/** Early steps are the start itself. */
function stopSomewhere(fs: SimFileSystem, random: () => number, wasStarted: boolean): void {
  const last = random() < 0.3 ? 60 : wasStarted ? 1500 : 700;
  const stop = integerFrom(random, 1, last);
  fs.onStep((step) => {
    if (step === stop) throw new SimCrash();
  });
}

async function tryToStart(fs: SimFileSystem, seed: number): Promise<Life | undefined> {
  const starting = startNode({ fs, seed });
  let life: Life | undefined;
  let failure: unknown;
  void starting.then(
    (started) => {
      life = started;
    },
    (error) => {
      failure = error;
    },
  );
  await settle();
  if (life === undefined && !fs.isStopped) throw failure ?? new Error("The start hangs");
  return life;
}

async function live(
  life: Life,
  world: World,
  clients: readonly Client[],
  random: () => number,
): Promise<void> {
  const problems: unknown[] = [];
  let isDone = false;
  const work = async () => {
    await world.verify(life.node, life.fs);
    await Promise.all(clients.map((client) => client.run(life, integerFrom(random, 5, 40))));
    if (random() < 0.5) await life.node.close();
  };
  void work().then(
    () => {
      isDone = true;
    },
    (error) => problems.push(error),
  );
  for (let steps = 0; !isDone && steps < 400; steps += 1) {
    if (life.fs.isStopped || problems.length > 0) break;
    await life.clock.advance(500);
  }
  await settle();
  // Once the machine has stopped, anything may fail but what the clients' asserts say.
  for (const problem of problems) {
    if (!life.fs.isStopped || isAssertion(problem)) throw problem;
  }
  if (!life.fs.isStopped) {
    assert.ok(isDone, "the clients hang");
    assert.deepEqual(life.failures, []);
  }
}

function isAssertion(problem: unknown): boolean {
  return problem instanceof Error && problem.name === "AssertionError";
}
