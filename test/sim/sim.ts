import type { Logger } from "../../src/base/log.ts";
import { seededCore } from "../support/raft-core.ts";
import { openNode } from "./node-server.ts";
import { checkLinearizable, withoutGo } from "./porcupine.ts";
import { type Scenario, scenarioOf } from "./scenario.ts";
import type { ServerParts } from "./server.ts";
import { type RunResult, simulate } from "./simulation.ts";

/** Of Porcupine, for each topic. */
const CHECK_SECONDS_MAX = 20;

export interface SeedOptions {
  /** Parts of the seed's scenario to be set otherwise. */
  readonly scenario?: Partial<Scenario>;
  readonly mutate?: ((parts: ServerParts) => ServerParts) | undefined;
  readonly tracePath?: string;
  readonly logger?: (machine: string) => Logger;
}

export interface SeedResult extends RunResult {
  readonly scenario: Scenario;
  /** What could not be judged, for people; undefined when all was. */
  readonly unjudged: string | undefined;
}

/** Runs what a seed stands for, and judges it by all checks. */
export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const { scenario: changes, ...rest } = options;
  const scenario = { ...scenarioOf(seed), ...changes };
  const result = await simulate({
    scenario,
    openServer: openNode,
    core: seededCore(seed),
    ...rest,
  });
  return { ...result, scenario, ...judge(result) };
}

function judge(result: RunResult): Pick<SeedResult, "violations" | "unjudged"> {
  const { violations, history } = result;
  const nothing = { violations, unjudged: undefined };
  // What was found says more than that clients noticed.
  if (violations.length > 0) return nothing;
  const lack = withoutGo();
  if (lack !== false) return { violations, unjudged: `linearizability: ${lack}` };
  const { verdict, text } = checkLinearizable(history, CHECK_SECONDS_MAX);
  if (verdict === "violation") return { ...nothing, violations: [text] };
  return verdict === "ok" ? nothing : { violations, unjudged: text };
}
