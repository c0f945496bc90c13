import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Sample } from "../rpc/load.ts";
import { cpuSecondsOf } from "../rpc/servers.ts";

/** The generator bounds itself; what takes longer is ended. */
const RUN_MS_MAX = 3 * 60_000;
const BUILD_MS_MAX = 10 * 60_000;
/** Load before the counted time, by mode: appends, tails. */
const WARM_SECONDS: Readonly<Record<string, number>> = { append: 0.4, e2e: 0.5 };
/** Of the appends of an open loop. */
const RATE_PART_MIN = 0.8;
/** `cutime` and `cstime` of /proc/self/stat count in hundredths of a second on Linux. */
const TICKS_PER_SECOND = 100;

/** What is read of the generator's line. */
interface Line {
  readonly n: number;
  readonly secs: number;
  readonly rate: number;
  readonly mbps: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly lost?: number;
  readonly errors: number;
  readonly err?: string;
}

/** Whom the generator loads: one process or more. */
export interface LoadTarget {
  readonly pids: readonly number[];
  /** Flags of the generator that say whom to load. */
  readonly flags: readonly string[];
}

export type Flags = Readonly<Record<string, string | number>>;

/** The kit's load generator: one program for all peers. */
export class Generator {
  readonly #path: string;
  readonly #running = new Set<ChildProcess>();

  private constructor(path: string) {
    this.#path = path;
  }

  /** Builds it from the kit's `client/` with our target beside the others. Needs Go. */
  static build(kit: string): Generator {
    const sources = join(kit, "client");
    const path = resolve("dist/tools/peerbench");
    mkdirSync("dist/tools", { recursive: true });
    const overlay = `${path}-overlay.json`;
    const ours = {
      [join(sources, "proglog.go")]: resolve("bench/peers/proglog_target.go"),
      [join(sources, "wire/wire.go")]: resolve("bench/rpc/client/wire/wire.go"),
    };
    writeFileSync(overlay, JSON.stringify({ Replace: ours }));
    execFileSync("go", ["build", "-overlay", overlay, "-o", path, "."], {
      cwd: sources,
      stdio: ["ignore", "inherit", "inherit"],
      timeout: BUILD_MS_MAX,
      env: { ...process.env, GOFLAGS: "-buildvcs=false", CGO_ENABLED: "0" },
    });
    return new Generator(path);
  }

  /**
   * One run against a peer. Adds the processors that generator and peer kept busy, and
   * the peer's processor time for each record.
   *
   * @throws when a call failed, or not all records came
   */
  async run(peer: LoadTarget, flags: Flags): Promise<Sample> {
    const peerBefore = cpuSecondsOfAll(peer.pids);
    const ownBefore = cpuSecondsOfChildren();
    const line = JSON.parse(await outputOf(this.start(peer, flags))) as Line;
    const peerSeconds = cpuSecondsOfAll(peer.pids) - peerBefore;
    const ownSeconds = cpuSecondsOfChildren() - ownBefore;
    check(line, flags);
    const loaded = line.secs + (WARM_SECONDS[flags["mode"] ?? "append"] ?? 0);
    return {
      recordsPerSecond: line.rate,
      mbPerSecond: line.mbps,
      p50Ms: line.p50_ms,
      p99Ms: line.p99_ms,
      ...(line.lost === undefined ? {} : { lost: line.lost }),
      peerCpuUs: (peerSeconds * 1e6) / (line.rate * loaded),
      generatorCpuUs: (ownSeconds * 1e6) / (line.rate * loaded),
      peerCores: peerSeconds / loaded,
      generatorCores: ownSeconds / loaded,
    };
  }

  /** A run that goes on beside others. Ends by itself, or by `kill`. */
  start(peer: LoadTarget, flags: Flags): ChildProcess {
    const given = Object.entries(flags).flatMap(([name, value]) => [`-${name}`, `${value}`]);
    const child = spawn(this.#path, [...peer.flags, ...given], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#running.add(child);
    child.once("exit", () => this.#running.delete(child));
    return child;
  }

  /** Ends the runs that still go on. */
  async end(): Promise<void> {
    for (const child of this.#running) child.kill("SIGKILL");
  }
}

/** All that a run printed, also when it is ended for taking too long. */
export async function outputOf(child: ChildProcess, msMax = RUN_MS_MAX): Promise<string> {
  const timer = setTimeout(() => child.kill("SIGKILL"), msMax);
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  await new Promise((done) => child.once("close", done));
  clearTimeout(timer);
  if (output === "") throw new Error("Cannot use a run: it was ended, or printed nothing");
  return output;
}

function check(line: Line, flags: Flags): void {
  if (line.errors > 0 || line.err !== undefined) {
    throw new Error(`Cannot use a run: ${line.errors} calls failed, such as "${line.err}"`);
  }
  if (line.n === 0) throw new Error("Cannot use a run: no call was answered");
  if (flags["mode"] === "e2e") checkRate(line, flags);
  if (flags["mode"] !== "scan") return;
  const recordBytes = (line.mbps * 1e6) / line.rate;
  const isWhole = line.n >= Number(flags["n"]);
  if (!isWhole || Math.abs(recordBytes / Number(flags["size"]) - 1) > 0.01) {
    throw new Error(`Cannot use a run: ${line.n} records of ${recordBytes} B were read`);
  }
}

/** A generator that had no processor in time has not loaded the peer as it was to. */
function checkRate({ n, secs, lost = 0 }: Line, flags: Flags): void {
  const appended = (n + lost) / Number(flags["subs"]);
  const wanted = Number(flags["rate"]) * secs;
  if (appended < wanted * RATE_PART_MIN) {
    throw new Error(`Cannot use a run: ${appended} of ${wanted} appends were made in time`);
  }
}

export function cpuSecondsOfAll(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
}

/** Processor time of all children that have ended. Linux only; elsewhere NaN. */
function cpuSecondsOfChildren(): number {
  try {
    const text = readFileSync("/proc/self/stat", "utf8");
    // The name, in brackets, may hold anything; field 3 follows it.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}
