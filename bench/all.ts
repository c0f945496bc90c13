/** Runs every benchmark, one after the other, on the runtimes that it is for. Minutes, not seconds. */
import { spawnSync } from "node:child_process";

const RUNS: readonly (readonly string[])[] = [
  ["bun", "bench/journal.ts"],
  ["node", "bench/journal.ts"],
  ["bun", "bench/topic-log.ts"],
  ["node", "bench/topic-log.ts"],
  ["node", "bench/data-size.ts", ...process.argv.slice(2)],
];

for (const [command = "", ...args] of RUNS) {
  process.stdout.write(`# ${command} ${args.join(" ")}\n`);
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
