import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export type Runtime = "bun" | "node";
export const RUNTIMES: readonly Runtime[] = ["bun", "node"];

const READY_MS_MAX = 20_000;
/** A server that does not end when asked is killed after so long. */
const STOP_MS_MAX = 15_000;
/** `utime` and `stime` of /proc/PID/stat count in hundredths of a second on Linux. */
const TICKS_PER_SECOND = 100;

/** A process that listens and is measured. */
export interface Server {
  readonly address: string;
  readonly pid: number;
  /** From its start until it said that it listens. */
  readonly readyMs: number;
  /** Asks it to end, and kills it when it does not. */
  readonly stop: () => Promise<void>;
}

/** The server of this checkout, from its sources. Flags are those of `proglog serve`. */
export function startProglog(
  runtime: Runtime,
  dir: string,
  flags: readonly string[] = [],
): Promise<Server> {
  return startServer([binOf(runtime), "src/main.ts", ...serveArguments(dir), ...flags]);
}

/** The executable that `npm run build` makes. */
export function startExecutable(dir: string): Promise<Server> {
  return startServer([resolve("dist/proglog"), ...serveArguments(dir)]);
}

/** `bench/rpc/bare-server.ts`: fixed answers. Options are its own. */
export function startBare(
  runtime: Runtime,
  dir: string,
  options: readonly string[] = [],
): Promise<Server> {
  mkdirSync(dir, { recursive: true });
  return startServer([binOf(runtime), "bench/rpc/bare-server.ts", dir, ...options]);
}

/** grpc-go in memory; nothing is stored. @param client path of the load generator */
export function startGrpcGo(client: string): Promise<Server> {
  return startServer([client, "serve"]);
}

function serveArguments(dir: string): readonly string[] {
  return ["serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--log-level", "warn"];
}

/** The very binary, not whatever PATH has: versions are pinned in package.json. */
function binOf(runtime: Runtime): string {
  return join("node_modules/.bin", runtime);
}

function startServer(command: readonly string[]): Promise<Server> {
  const [program = "", ...args] = command;
  const began = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  return new Promise((done, refuse) => {
    let said = "";
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      refuse(new Error(`Cannot start ${command.join(" ")}: not ready in time: ${said}`));
    }, READY_MS_MAX);
    child.once("error", refuse);
    child.once("exit", (code) => {
      clearTimeout(timer);
      refuse(new Error(`Cannot start ${command.join(" ")}: it ended with ${code}: ${said}`));
    });
    child.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-20_000);
      const address = /listening on (127\.0\.0\.1:\d+)/.exec(said)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      const readyMs = performance.now() - began;
      done({ address, pid: child.pid ?? -1, readyMs, stop: () => stop(child) });
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((done) => child.once("exit", () => done()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  await ended;
  clearTimeout(timer);
}

/** Processor time that a process has used, all threads. Linux only; elsewhere NaN. */
export function cpuSecondsOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in brackets, may hold anything; field 3 follows it.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

/** Memory of a process that is in RAM, in bytes. Linux only; elsewhere NaN. */
export function rssBytesOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  } catch {
    return Number.NaN;
  }
}
