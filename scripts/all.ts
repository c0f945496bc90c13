/**
 * Runs every check of the project, in the order in which a fault is cheapest to
 * find, and ends with "N passed, N failed". A step that cannot be counted (lint,
 * types, freshness, a build) counts as one.
 *
 *   node scripts/all.ts             all steps
 *   node scripts/all.ts lint bun    only the steps named
 */
import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Reads the runner's own closing lines; without it the exit code is the only word. */
  readonly count?: (output: string) => Count | undefined;
  readonly minutesMax: number;
}

const OUTPUT_DIR = "dist/test-output";

/** Unit suites of every folder but those that need a process, a network tool or the executable. */
const SLOW_FOLDERS = new Set([
  "e2e",
  "clients",
  "conformance",
  "support",
  "suites",
  "sim",
  "runtime",
]);
const UNIT = readdirSync("test", { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !SLOW_FOLDERS.has(entry.name))
  .map((entry) => entry.name);

const STEPS: readonly Step[] = [
  { name: "lint", command: ["biome", "check", "."], minutesMax: 2 },
  { name: "proto", command: ["buf", "lint"], minutesMax: 2 },
  { name: "proto-format", command: ["buf", "format", "-d", "--exit-code"], minutesMax: 2 },
  { name: "types", command: ["tsc", "-p", "."], minutesMax: 3 },
  { name: "generated", command: ["node", "scripts/generate.ts", "--check"], minutesMax: 3 },
  { name: "docs", command: ["node", "scripts/docs.ts", "--check"], minutesMax: 2 },
  {
    name: "raft",
    command: ["node", "scripts/build-raft-wasm.ts", "--check"],
    count: countOptional("raft"),
    minutesMax: 5,
  },
  { name: "build", command: ["node", "scripts/build.ts"], minutesMax: 3 },
  {
    name: "node",
    command: ["node", "--test", "--test-reporter=spec", ...unitGlobs()],
    count: countNode,
    minutesMax: 20,
  },
  {
    name: "bun",
    command: [
      "bun",
      "test",
      "--timeout=120000",
      ...UNIT.map((name) => `./test/${name}/`),
      "./test/architecture.test.ts",
    ],
    count: countBun,
    minutesMax: 20,
  },
  {
    name: "e2e",
    command: [
      "node",
      "--test",
      "--test-reporter=spec",
      "--test-concurrency=1",
      "test/e2e/**/*.test.ts",
    ],
    count: countNode,
    minutesMax: 20,
  },
  {
    name: "clients",
    command: [
      "node",
      "--test",
      "--test-reporter=spec",
      "--test-concurrency=1",
      "test/clients/*.test.ts",
    ],
    count: countNode,
    minutesMax: 15,
  },
  {
    name: "conformance",
    command: ["node", "scripts/conformance.ts", "--smoke", "--optional"],
    count: countOptional("conformance"),
    minutesMax: 10,
  },
  {
    name: "sim",
    command: [
      "node",
      "--test",
      "--test-reporter=spec",
      "--test-concurrency=1",
      "test/sim/*.test.ts",
    ],
    count: countNode,
    minutesMax: 10,
  },
  {
    name: "runtime",
    command: [
      "node",
      "--test",
      "--test-reporter=spec",
      "--test-concurrency=1",
      "test/runtime/**/*.test.ts",
    ],
    count: countNode,
    minutesMax: 10,
  },
];

function unitGlobs(): string[] {
  return [...UNIT.map((name) => `test/${name}/**/*.test.ts`), "test/*.test.ts"];
}

/** Lines such as "ℹ pass 12" of node's spec reporter. */
function countNode(output: string): Count | undefined {
  const value = (word: string): number | undefined => {
    const found = [...output.matchAll(new RegExp(`^. ${word} (\\d+)\\s*$`, "gm"))].at(-1)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const passed = value("pass");
  const failed = value("fail");
  if (passed === undefined || failed === undefined) return undefined;
  return { passed, failed: failed + (value("cancelled") ?? 0), skipped: value("skipped") ?? 0 };
}

/** Lines such as " 12 pass" of bun's runner. */
function countBun(output: string): Count | undefined {
  const value = (word: string): number | undefined => {
    const found = [...output.matchAll(new RegExp(`^\\s*(\\d+) ${word}\\s*$`, "gm"))].at(-1)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const passed = value("pass");
  const failed = value("fail");
  if (passed === undefined || failed === undefined) return undefined;
  return { passed, failed: failed + (value("errors?") ?? 0), skipped: value("skip") ?? 0 };
}

/** The closing line of scripts that need Go and say "skipped: why" where there is none. */
function countOptional(step: string): (output: string) => Count | undefined {
  return (output) => {
    const reason = /^skipped: .*$/m.exec(output)?.[0];
    if (reason !== undefined) process.stdout.write(`${step}: ${reason}\n`);
    const [, passed, failed] = [...output.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1) ?? [];
    if (passed === undefined || failed === undefined) return undefined;
    return {
      passed: Number(passed),
      failed: Number(failed),
      skipped: reason === undefined ? 0 : 1,
    };
  };
}

function run(step: Step): Promise<Count> {
  const file = join(OUTPUT_DIR, `${step.name}.txt`);
  writeFileSync(file, "");
  const [command = "", ...args] = step.command;
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    const timer = setTimeout(() => {
      output += `\nstopped after ${step.minutesMax} minutes\n`;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, step.minutesMax * 60_000);
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
      appendFileSync(file, chunk);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error) => {
      output += `\n${error.message}\n`;
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      const plain = output.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g"), "");
      const count = step.count?.(plain) ?? { passed: code === 0 ? 1 : 0, failed: 0, skipped: 0 };
      // A runner that ended badly without naming a failure must not pass.
      if (code !== 0 && count.failed === 0) count.failed = 1;
      // Neither must one that found nothing to run.
      if (count.passed + count.failed + count.skipped === 0) count.failed = 1;
      if (count.failed > 0) process.stdout.write(`${output.slice(-20_000)}\n`);
      resolve(count);
    });
  });
}

mkdirSync(OUTPUT_DIR, { recursive: true });
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !STEPS.some((step) => step.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `No such step: ${unknown.join(", ")}; there are ${STEPS.map((s) => s.name).join(", ")}\n`,
  );
  process.exit(2);
}
const total: Count = { passed: 0, failed: 0, skipped: 0 };
for (const step of STEPS) {
  if (wanted.length > 0 && !wanted.includes(step.name)) continue;
  const began = performance.now();
  const count = await run(step);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  process.stdout.write(
    `${step.name}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped (${seconds} s)\n`,
  );
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
}
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
