/**
 * Runs the official Connect conformance suite against this server's listener and call
 * server, by both paths and on both runtimes, and ends with "N passed, N failed".
 *
 *   npm run conformance
 *   npm run conformance -- --runtime bun --path lean
 *   npm run conformance -- --path lean --run 'Timeouts/**' --trace
 *
 *   --runtime node|bun   only this runtime; may be repeated
 *   --path library|lean  only this path; may be repeated
 *   --run PATTERN        only these cases; may be repeated
 *   --trace              show the HTTP traffic of cases that fail
 *   --smoke              only a part of the cases, for every change
 *   --optional           no failure without Go: says that it was skipped
 *
 * Needs Go and its module proxy, once: the runner and the suite's protos come from there.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { PROTOS_FILE, SUITE_DIR, SUITE_MODULE, SUITE_VERSION } from "../test/conformance/suite.ts";

const RUNNER = join(SUITE_DIR, "connectconformance");
const SERVER = "test/conformance/server.ts";
const CONFIG = "test/conformance/config.yaml";
const KNOWN_FAILING = "test/conformance/known-failing.txt";

const RUNTIMES = ["node", "bun"] as const;
const PATHS = ["library", "lean"] as const;

/** A whole run that has fewer cases did not run what it was to run. */
const CASES_MIN = 5_000;

/** Calls that the lean path has to take of a run, in short or not: those in binary, sent as they are. */
const LEAN_CALLS_MIN = 800;

/** What a run in short leaves out: a variation of what stays. TLS stays, with one encoding. */
const SMOKE_SKIPS = [
  "**/Compression:COMPRESSION_BR/**",
  "**/Codec:CODEC_JSON/*/TLS:true/**",
  "**/Compression:COMPRESSION_GZIP/TLS:true/**",
];

const { values: options } = parseArgs({
  options: {
    runtime: { type: "string", multiple: true },
    path: { type: "string", multiple: true },
    run: { type: "string", multiple: true },
    trace: { type: "boolean" },
    smoke: { type: "boolean" },
    optional: { type: "boolean" },
  },
});

interface Count {
  readonly passed: number;
  readonly failed: number;
}

/** Runs the suite once, shows what failed, and counts. */
async function runSuite(runtime: string, path: string): Promise<Count> {
  const countDir = join(SUITE_DIR, `counts-${runtime}-${path}`);
  rmSync(countDir, { recursive: true, force: true });
  mkdirSync(countDir, { recursive: true });
  const began = performance.now();
  const { output, code } = await runRunner(runtime, path, countDir);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const count = countCases(output);
  const calls = sumCounts(countDir);
  const faults = faultsOf(path, count, calls);
  if (code !== 0 && count.failed === 0) faults.push(`the runner ended with status ${code}`);
  if (count.failed > 0 || faults.length > 0) process.stdout.write(`${output}\n`);
  for (const fault of faults) process.stdout.write(`${runtime} ${path}: ${fault}\n`);
  process.stdout.write(
    `${runtime} ${path}: ${count.passed} passed, ${count.failed} failed (${seconds} s; ` +
      `${calls.lean} calls by the lean path, ${calls.library} by the library)\n`,
  );
  return { passed: count.passed, failed: count.failed + faults.length };
}

function runRunner(
  runtime: string,
  path: string,
  countDir: string,
): Promise<{ output: string; code: number | null }> {
  const only = (options.run ?? []).flatMap((pattern) => ["--run", pattern]);
  const skips = options.smoke ? SMOKE_SKIPS.flatMap((pattern) => ["--skip", pattern]) : [];
  const args = [
    ...["--mode", "server", "--conf", CONFIG, "--known-failing", `@${KNOWN_FAILING}`],
    ...(options.trace ? ["--trace"] : []),
    ...only,
    ...skips,
    ...["--", runtime, SERVER, path, countDir],
  ];
  return new Promise((resolve) => {
    const child = spawn(RUNNER, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error) => take(Buffer.from(error.message)));
    child.on("close", (code) => resolve({ output, code }));
  });
}

/** The runner's own closing line; without it nothing has passed. */
function countCases(output: string): Count {
  const [, passed, failed] = /^(\d+) passed, (\d+) failed/m.exec(output) ?? [];
  if (passed === undefined || failed === undefined) return { passed: 0, failed: 1 };
  return { passed: Number(passed), failed: Number(failed) };
}

/** How many calls of a run came by which path, as its servers counted. */
function sumCounts(dir: string): Record<"library" | "lean", number> {
  const sum = { library: 0, lean: 0 };
  for (const name of readdirSync(dir)) {
    const counts = JSON.parse(readFileSync(join(dir, name), "utf8")) as typeof sum;
    sum.library += counts.library;
    sum.lean += counts.lean;
  }
  return sum;
}

/** What makes a run worthless though no case failed. */
function faultsOf(path: string, count: Count, calls: Record<"library" | "lean", number>): string[] {
  const faults: string[] = [];
  const isWhole = options.run === undefined && options.smoke !== true;
  const cases = count.passed + count.failed;
  if (isWhole && cases < CASES_MIN)
    faults.push(`only ${cases} cases, at least ${CASES_MIN} wanted`);
  if (calls.library + calls.lean === 0) faults.push("no call reached the service");
  if (path === "library" && calls.lean > 0) faults.push("calls came by the lean path");
  if (path === "lean" && options.run === undefined && calls.lean < LEAN_CALLS_MIN) {
    faults.push(
      `only ${calls.lean} calls came by the lean path, at least ${LEAN_CALLS_MIN} should`,
    );
  }
  return faults;
}

/**
 * Gets the runner and the protos, once.
 * @returns false when there is no Go
 * @throws when there is, and it fails
 */
function prepare(): boolean {
  if (existsSync(RUNNER) && existsSync(PROTOS_FILE)) return true;
  if (spawnSync("go", ["version"]).status !== 0) return false;
  mkdirSync(SUITE_DIR, { recursive: true });
  const env = { ...process.env, GOBIN: resolve(SUITE_DIR), GOFLAGS: "" };
  const go = (...args: string[]) =>
    execFileSync("go", args, { stdio: ["ignore", "pipe", "inherit"], env }).toString();
  go("install", `${SUITE_MODULE}/cmd/connectconformance@${SUITE_VERSION}`);
  const found = go("mod", "download", "-json", `${SUITE_MODULE}@${SUITE_VERSION}`);
  const { Dir } = JSON.parse(found) as { Dir: string };
  execFileSync("buf", ["build", join(Dir, "proto"), "-o", PROTOS_FILE], { stdio: "inherit" });
  return true;
}

/** Those of `all` that were asked for. */
function choose<T extends string>(all: readonly T[], wanted: readonly string[] = all): T[] {
  const unknown = wanted.filter((name) => !all.some((one) => one === name));
  if (unknown.length > 0) {
    process.stderr.write(`No such choice: ${unknown.join(", ")}; there are ${all.join(", ")}\n`);
    process.exit(2);
  }
  return all.filter((one) => wanted.includes(one));
}

const runtimes = choose(RUNTIMES, options.runtime);
const paths = choose(PATHS, options.path);
const isHere = prepare();
if (!isHere) process.stdout.write("skipped: needs Go and its module proxy\n");
const total = { passed: 0, failed: isHere || options.optional ? 0 : 1 };
for (const runtime of isHere ? runtimes : []) {
  for (const path of paths) {
    const count = await runSuite(runtime, path);
    total.passed += count.passed;
    total.failed += count.failed;
  }
}
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
