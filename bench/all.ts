/**
 * Runs every benchmark, one after the other, on the runtimes that it is for, each bounded:
 * about a quarter of an hour in all. More repetitions: the commands in docs/benchmarks.md.
 *
 *   node bench/all.ts [rpc]     all, or only the files whose path has the word
 */
import { spawnSync } from "node:child_process";

const RUNS: readonly (readonly string[])[] = [
  ["bun", "bench/journal.ts"],
  ["node", "bench/journal.ts"],
  ["bun", "bench/topic-log.ts"],
  ["node", "bench/topic-log.ts"],
  ["node", "bench/data-size.ts"],
  ["node", "bench/rpc/unary.ts", "--rounds", "3", "--seconds", "1"],
  ["node", "bench/rpc/batches.ts", "--rounds", "3", "--seconds", "1"],
  ["node", "bench/rpc/produce-stream.ts", "--rounds", "3", "--seconds", "1"],
  ["node", "bench/rpc/catch-up.ts", "--rounds", "3"],
  ["node", "bench/rpc/tails.ts", "--rounds", "1"],
  ["node", "bench/rpc/idle.ts", "--rounds", "3"],
];
/** Whatever a benchmark does, it is ended after so long. */
const MINUTES_MAX = 15;

const word = process.argv[2] ?? "";
for (const [command = "", ...args] of RUNS.filter((run) => run.join(" ").includes(word))) {
  process.stdout.write(`# ${command} ${args.join(" ")}\n`);
  const { status } = spawnSync(command, args, { stdio: "inherit", timeout: MINUTES_MAX * 60_000 });
  if (status !== 0) process.exit(status ?? 1);
}
