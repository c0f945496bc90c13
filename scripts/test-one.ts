/** Runs the test files given, on Bun and then on Node: `npm run test:one -- test/storage/frame.test.ts`. */
import { spawnSync } from "node:child_process";

const files = process.argv.slice(2);
if (files.length === 0) {
  process.stderr.write("Name at least one test file, such as test/storage/frame.test.ts\n");
  process.exit(2);
}
const here = files.map((file) =>
  file.startsWith("/") || file.startsWith("-") ? file : `./${file}`,
);
const runs: readonly (readonly [string, readonly string[]])[] = [
  ["bun", ["test", ...here]],
  ["node", ["--test", ...files]],
];
for (const [command, args] of runs) {
  process.stdout.write(`== ${command}\n`);
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
