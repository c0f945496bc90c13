import assert from "node:assert/strict";
import { test } from "node:test";
import { MUTANTS } from "./mutants.ts";
import type { Scenario } from "./scenario.ts";
import { runSeed } from "./sim.ts";

test("a run is a function of its seed", async () => {
  for (const seed of [1, 2]) {
    const { digest, summary } = await runSeed(seed);
    const again = await runSeed(seed);
    assert.deepEqual(again.summary, summary);
    assert.equal(again.digest, digest);
  }
  assert.notEqual((await runSeed(3)).digest, (await runSeed(1)).digest);
});

/** Short, and of what mutants do wrong most. */
const HARSH: Partial<Scenario> = {
  machines: 3,
  spares: 0,
  topics: 1,
  clients: 4,
  chaosMs: 15_000,
  pauseMsMax: 2_000,
  faults: ["crash", "isolate", "isolate", "one-way", "all-crash"],
  changes: [],
};

const SEEDS_MAX = 12;

// A check that cannot fail is a defect: servers that break a rule must be found out.
for (const [name, mutate] of Object.entries(MUTANTS)) {
  test(`a server that ${name} is found`, async () => {
    for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
      const { violations } = await runSeed(seed, { mutate, scenario: HARSH });
      if (violations.length > 0) return;
    }
    assert.fail(`${SEEDS_MAX} seeds have found nothing`);
  });
}
