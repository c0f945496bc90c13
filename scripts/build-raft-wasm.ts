/**
 * Builds `src/raft/wasm/raft.wasm` out of the Go sources beside it and writes `BUILD_INFO.txt`.
 * The result is in the repository: only who changes the sources or upgrades needs Go.
 *
 *   npm run build:raft
 *   npm run build:raft -- --check   builds elsewhere and compares bytes; ends with "N passed, N failed"
 *
 * The bytes depend on the version of Go, so the check is skipped, and says so, where it is another.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SOURCES = "src/raft/wasm";
const MODULE = join(SOURCES, "raft.wasm");
const BUILD_INFO = join(SOURCES, "BUILD_INFO.txt");

/** Without paths, revisions and symbols: the same sources give the same bytes in every folder. */
const BUILD = ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-buildmode=c-shared"];

const ENV = {
  ...process.env,
  ...{ GOOS: "wasip1", GOARCH: "wasm", GOWASM: "", GOFLAGS: "-mod=readonly", GOWORK: "off" },
  ...{ GOEXPERIMENT: "", GOTOOLCHAIN: "local", CGO_ENABLED: "0" },
};

function go(...args: string[]): string {
  return execFileSync("go", args, { cwd: SOURCES, env: ENV, encoding: "utf8" }).trim();
}

/** @returns undefined when there is no Go */
function goVersion(): string | undefined {
  const { status, stdout } = spawnSync("go", ["env", "GOVERSION"], { env: ENV, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

/** What the bytes are a function of, and what they are. */
function buildInfo(version: string, bytes: Uint8Array): string {
  const modules = go("list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", ".");
  const versions = [...new Set(modules.split("\n"))].filter((line) => / v/.test(line)).sort();
  return [
    "Made by scripts/build-raft-wasm.ts; not edited.",
    "",
    `go ${version.replace(/^go/, "")}`,
    ...versions,
    `sha256 ${createHash("sha256").update(bytes).digest("hex")}`,
    `bytes ${bytes.length}`,
    "",
  ].join("\n");
}

function whyNotComparable(version: string | undefined, wanted: string): string | undefined {
  if (version === undefined) return "there is no Go";
  if (version !== wanted) return `this is ${version}, not ${wanted}`;
  const listed = spawnSync("go", ["list", "-deps", "."], { cwd: SOURCES, env: ENV });
  return listed.status === 0 ? undefined : "Go cannot get the modules";
}

function check(version: string | undefined): void {
  const wanted = readFileSync(BUILD_INFO, "utf8");
  const bytes = readFileSync(MODULE);
  const hash = createHash("sha256").update(bytes).digest("hex");
  const faults: string[] = [];
  if (!wanted.includes(`sha256 ${hash}\n`)) faults.push(`${MODULE} is not what ${BUILD_INFO} says`);
  const wantedGo = /^go (\S+)$/m.exec(wanted)?.[1];
  const hindrance = whyNotComparable(version, `go${wantedGo}`);
  if (version !== undefined && hindrance === undefined) {
    const dir = mkdtempSync(join(tmpdir(), "proglog-raft-"));
    try {
      const built = join(dir, "raft.wasm");
      go(...BUILD, "-o", built, ".");
      if (!readFileSync(built).equals(bytes)) {
        faults.push(`${MODULE} is not what its sources give: run "npm run build:raft"`);
      } else if (buildInfo(version, bytes) !== wanted) {
        faults.push(`${BUILD_INFO} is old: run "npm run build:raft"`);
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  } else {
    process.stdout.write(`skipped: the build was not compared, for ${hindrance}\n`);
  }
  for (const fault of faults) process.stdout.write(`${fault}\n`);
  process.stdout.write(`${faults.length === 0 ? 1 : 0} passed, ${faults.length} failed\n`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

const version = goVersion();
if (process.argv.includes("--check")) {
  check(version);
} else if (version === undefined) {
  process.stderr.write("Cannot build the Raft core: there is no Go\n");
  process.exitCode = 1;
} else {
  go(...BUILD, "-o", "raft.wasm", ".");
  const info = buildInfo(version, readFileSync(MODULE));
  writeFileSync(BUILD_INFO, info);
  process.stdout.write(info);
}
