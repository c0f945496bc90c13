import { integerFrom, makeRandom } from "../support/prng.ts";

/** Everything that can go wrong or be changed in a run. */
export const FAULTS = [
  "crash",
  "crash-in-write",
  "kill",
  "restart",
  "partition",
  "isolate",
  "one-way",
  "lossy",
  "slow-link",
  "slow-disk",
  "disk-error",
  "disk-full",
  "wall-clock",
  "all-crash",
] as const;
export type Fault = (typeof FAULTS)[number];

export const CHANGES = [
  "transfer",
  "move",
  "grow",
  "shrink",
  "rebalance",
  "create-topic",
  "delete-topic",
] as const;
export type Change = (typeof CHANGES)[number];

/** What a seed stands for. */
export interface Scenario {
  readonly seed: number;
  readonly machines: number;
  /** Machines that may join later. */
  readonly spares: number;
  /** The first machines found the cluster together; else the first one does, and the others join. */
  readonly isFoundedTogether: boolean;
  readonly topics: number;
  readonly clients: number;
  /** How long things go wrong, simulated. */
  readonly chaosMs: number;
  readonly faults: readonly Fault[];
  readonly changes: readonly Change[];
  /** Between two faults, at most. */
  readonly pauseMsMax: number;
  /** Between two changes, at most. */
  readonly changeMsMax: number;
}

/**
 * Faults are chosen for a whole run, each or not: with all of them in each run some combinations, and calm between
 * them, would hardly be seen.
 */
export function scenarioOf(seed: number): Scenario {
  const random = makeRandom(seed * 7919 + 13);
  const faultiness = 0.25 + random() * 0.6;
  const faults = FAULTS.filter(() => random() < faultiness);
  const changes = random() < 0.25 ? [] : CHANGES.filter(() => random() < 0.6);
  return {
    seed,
    machines: random() < 0.7 ? 3 : 5,
    spares: integerFrom(random, 0, 2),
    isFoundedTogether: random() < 0.3,
    topics: integerFrom(random, 1, 4),
    clients: integerFrom(random, 2, 5),
    chaosMs: integerFrom(random, 15_000, 45_000),
    faults: faults.length === 0 ? ["crash"] : faults,
    changes,
    pauseMsMax: integerFrom(random, 600, 6_000),
    changeMsMax: integerFrom(random, 2_000, 10_000),
  };
}

export function describeScenario(scenario: Scenario): string {
  const { machines, spares, topics, clients, chaosMs, faults, changes } = scenario;
  return (
    `${machines} machines (${spares} spare), ${topics} topics, ${clients} clients, ${chaosMs / 1000} s of ` +
    `${faults.join(", ")}${changes.length === 0 ? "" : `; meanwhile ${changes.join(", ")}`}`
  );
}
