/**
 * Three servers as processes, each in a network namespace, on a small disk and with a clock of its
 * own, under steady load, while one thing after the other goes wrong. As root on Linux; what is
 * not possible on this machine is named and left out. Needs `npm run build`.
 *
 *   npm run faults -- [--minutes 5] [--seed N] [--only WORD,WORD] [--without WORD,WORD]
 *       [--servers 3] [--pace 5] [--list] [--keep]
 *
 * Every fault comes once before any comes again. `--only "cut off,kill"` takes those whose names
 * have one of the words; `--pace` is the pause of a producer between two batches, in ms. Ends with 0 when nothing that was acknowledged is lost, changed,
 * duplicated or out of order; else with 1, and the folder of the run has the history of all
 * answers, the servers' logs and data.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ALL_FAULTS, runFaults, whyNot } from "../test/e2e/faults-run.ts";

const MINUTES_MAX = 24 * 60;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
    only: { type: "string", default: "" },
    without: { type: "string", default: "" },
    servers: { type: "string", default: "3" },
    pace: { type: "string", default: "5" },
    list: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});
const say = (line: string): void => {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
};
const minutes = Number(values.minutes);
const seed = Number(values.seed);
const paceMs = Number(values.pace);
const size = Number(values.servers);
const areNumbers = [minutes, seed, paceMs, size].every(
  (value) => value >= 0 && Number.isFinite(value),
);
if (!areNumbers || minutes > MINUTES_MAX) {
  process.stderr.write(`--minutes is at most ${MINUTES_MAX}, --seed and --pace are numbers\n`);
  process.exit(2);
}
mkdirSync("dist/e2e", { recursive: true });
const dir = mkdtempSync(join(resolve("dist/e2e"), `faults-${seed}-`));
const words = (text: string): string[] => text.split(",").filter((word) => word !== "");
const named = ALL_FAULTS.filter(
  ({ name }) =>
    (values.only === "" || words(values.only).some((word) => name.includes(word))) &&
    !words(values.without).some((word) => name.includes(word)),
);
const possible = named.filter((fault) => {
  const why = whyNot(fault, dir);
  if (why !== undefined) say(`left out: ${fault.name}: ${why}`);
  return why === undefined;
});
if (values.list || possible.length === 0) {
  for (const { name } of possible) process.stdout.write(`${name}\n`);
  rmSync(dir, { recursive: true, force: true });
  process.exit(possible.length === 0 ? 2 : 0);
}
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => interrupted.abort(new Error(`ended by ${name}`)));
}
say(`seed ${seed}, ${minutes} minutes, ${possible.length} kinds of faults, in ${dir}`);
try {
  const run = await runFaults({
    ...{
      dir,
      size,
      seed,
      paceMs,
      say,
      faults: possible,
      isOnceEach: false,
      signal: interrupted.signal,
    },
    endsAtMs: performance.now() + minutes * 60_000,
  });
  for (const [name, gaps] of run.gapsMs) {
    say(
      `${name}: ${gaps.length} times, longest gaps ${[...gaps].sort((a, b) => a - b).join(", ")} ms`,
    );
  }
  const { acknowledged, unknown, refused, lost, duplicated, reordered } = run.tally;
  say(
    `${run.faults} faults; records: ${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused`,
  );
  say(
    `${lost} lost, ${duplicated} duplicated, ${reordered} reordered, ${run.violations.length} violations`,
  );
  if (run.violations.length > 0) throw new Error(run.violations.join("\n"));
  if (!values.keep) rmSync(dir, { recursive: true, force: true });
} catch (error) {
  const text = `seed ${seed}\n${error instanceof Error ? error.stack : error}\n`;
  writeFileSync(join(dir, "failure.txt"), text);
  process.stderr.write(`${text}Everything is in ${dir}\n`);
  process.exit(1);
}
process.exit(0);
