import assert from "node:assert/strict";
import { test } from "node:test";
import { seedsFromEnv } from "../support/prng.ts";
import { describeScenario, scenarioOf } from "./scenario.ts";
import { runSeed } from "./sim.ts";

/** About a minute on one core. `npm run sim` runs as many as one likes. */
const SEEDS = 25;

// Goal: no acknowledged record is lost, repeated, moved or changed, and clients are told the truth, whatever happens
// to machines, disks, links, clocks and the cluster's members, in any order; and when it ends, all works again.
// Method: whole servers on simulated machines, on one thread; clients and operators at any of them; faults from a
// seed; then checks of every replica, of what each Raft core was told, and of all answers (see ending.ts,
// group-views.ts, porcupine/). Replay one: npm run sim -- --seed 17
for (const seed of seedsFromEnv(SEEDS)) {
  test(`what clients are told holds, and all is well in the end (seed ${seed}: ${describeScenario(scenarioOf(seed))})`, async () => {
    const { violations, summary } = await runSeed(seed);
    assert.deepEqual(violations, []);
    assert.ok((summary["ok"] ?? 0) > 0, "nothing was done at all");
  });
}
