import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

const TOOLS_DIR = resolve("dist/tools");
const GHZ = "github.com/bojand/ghz/cmd/ghz@v0.93.0";
const BUILD_MS_MAX = 10 * 60_000;

/** Path of the load generator, built from `bench/rpc/client` as it is now. Needs Go. */
export function buildClient(): string {
  const path = join(TOOLS_DIR, "proglog-bench");
  runGo(["build", "-o", path, "."], resolve("bench/rpc/client"));
  return path;
}

export interface Ghz {
  readonly path: string;
  /** The API as a descriptor set: ghz cannot parse `optional` in proto3 files. */
  readonly descriptors: string;
}

/** Installs ghz when it is not there. Needs Go. */
export function installGhz(): Ghz {
  const path = join(TOOLS_DIR, "ghz");
  if (!existsSync(path)) runGo(["install", GHZ], ".");
  const descriptors = join(TOOLS_DIR, "proglog.binpb");
  execFileSync("node_modules/.bin/buf", ["build", "-o", descriptors]);
  return { path, descriptors };
}

function runGo(args: readonly string[], cwd: string): void {
  mkdirSync(TOOLS_DIR, { recursive: true });
  execFileSync("go", args, {
    cwd,
    stdio: ["ignore", "inherit", "inherit"],
    timeout: BUILD_MS_MAX,
    env: { ...process.env, GOBIN: TOOLS_DIR, GOFLAGS: "-buildvcs=false", CGO_ENABLED: "0" },
  });
}
