/**
 * Simulates whole clusters from seeds: machines that crash, disks and links that fail, clients that write down what
 * they are told, and checks of all of it. A run is a function of its seed, the sources and the runtime: Node and Bun
 * give different ones.
 *
 *   npm run sim -- --seed 17
 *   npm run sim -- --seed 17 --trace /tmp/17.txt --log
 *   npm run sim -- --seeds 200
 *   npm run sim -- --minutes 30
 *
 *   --seed N      the first seed; default: one that nobody had before
 *   --seeds K     so many, one after the other; default 1
 *   --minutes M   as many as begin within that time
 *   --trace FILE  everything that happens in the (last) run, one line each
 *   --log         what the servers log
 *   --mutant NAME breaks a rule (test/sim/mutants.ts), by a part of its name: to see that it is found
 */
import { parseArgs } from "node:util";
import type { LogFields, Logger } from "../src/base/log.ts";
import { MUTANTS } from "../test/sim/mutants.ts";
import { describeScenario } from "../test/sim/scenario.ts";
import { runSeed, type SeedOptions, type SeedResult } from "../test/sim/sim.ts";

const VIOLATIONS_SHOWN = 10;

const { values: options } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    minutes: { type: "string" },
    trace: { type: "string" },
    log: { type: "boolean" },
    mutant: { type: "string" },
  },
});

function integer(text: string, flag: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`Cannot read "${text}" as --${flag}: write a whole number\n`);
  process.exit(2);
}

function mutantOf(part: string): SeedOptions["mutate"] {
  const found = Object.entries(MUTANTS).find(([name]) => name.includes(part))?.[1];
  if (found !== undefined) return found;
  process.stderr.write(`No such mutant: there are\n  ${Object.keys(MUTANTS).join("\n  ")}\n`);
  process.exit(2);
}

function loggerOf(machine: string): Logger {
  const say = (level: string) => (message: string, fields?: LogFields, cause?: unknown) => {
    const more = fields === undefined ? "" : ` ${JSON.stringify(fields)}`;
    process.stdout.write(`  ${machine} ${level} ${message}${more}${cause ? ` ${cause}` : ""}\n`);
  };
  return { debug: () => {}, info: say("info"), warn: say("warn"), error: say("error") };
}

function show(result: SeedResult, seconds: string): void {
  const { scenario, violations, summary, digest, unjudged } = result;
  const verdict = violations.length === 0 ? "ok" : "FAILED";
  const counts = Object.entries(summary).map(([name, count]) => `${name} ${count}`);
  process.stdout.write(
    `seed ${scenario.seed}: ${verdict} (${seconds} s, ${digest.slice(0, 12)}; ${counts.join(", ")})\n`,
  );
  if (unjudged !== undefined) process.stdout.write(`  not judged: ${unjudged}\n`);
  if (violations.length === 0) return;
  process.stdout.write(`  ${describeScenario(scenario)}\n`);
  for (const text of violations.slice(0, VIOLATIONS_SHOWN)) process.stdout.write(`  ${text}\n`);
  const more = violations.length - VIOLATIONS_SHOWN;
  if (more > 0) process.stdout.write(`  ... and ${more} more\n`);
}

const first =
  options.seed === undefined ? Date.now() % 1_000_000_000 : integer(options.seed, "seed");
const count = integer(options.seeds ?? (options.minutes === undefined ? "1" : "1000000"), "seeds");
const endMs = performance.now() + integer(options.minutes ?? "1000000", "minutes") * 60_000;
const run: SeedOptions = {
  ...(options.trace === undefined ? {} : { tracePath: options.trace }),
  ...(options.log === true ? { logger: loggerOf } : {}),
  ...(options.mutant === undefined ? {} : { mutate: mutantOf(options.mutant) }),
};
let passed = 0;
let failed = 0;
for (let seed = first; seed < first + count && performance.now() < endMs; seed += 1) {
  const began = performance.now();
  const result = await runSeed(seed, run);
  show(result, ((performance.now() - began) / 1000).toFixed(1));
  if (result.violations.length === 0) passed += 1;
  else failed += 1;
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
