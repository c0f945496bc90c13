import { type ChildProcess, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import type { Sample } from "../rpc/load.ts";
import type { PeerProcess } from "./peer-process.ts";

/** The generator bounds itself; what takes longer is ended. */
const RUN_MS_MAX = 6 * 60_000;

/** What is read of the generator's line. */
interface Line {
  readonly rate: number;
  readonly mbps: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly lost?: number;
  readonly errors: number;
  readonly err?: string;
}

export type Flags = Readonly<Record<string, string | number>>;

/** One run against a peer. @throws when nothing came of it */
export async function runGenerator(
  generator: string,
  process: PeerProcess,
  flags: Flags,
): Promise<Sample> {
  const { stdout } = await promisify(execFile)(generator, argumentsOf(process, flags), {
    timeout: RUN_MS_MAX,
  });
  const line = JSON.parse(stdout) as Line;
  if (line.errors > 0 || line.err !== undefined) {
    throw new Error(`Cannot use a run of ${process.peer.name}: ${stdout}`);
  }
  return {
    recordsPerSecond: line.rate,
    mbPerSecond: line.mbps,
    p50Ms: line.p50_ms,
    p99Ms: line.p99_ms,
    ...(line.lost === undefined ? {} : { lost: line.lost }),
  };
}

/** A run that goes on beside others. Ends by itself, or by `kill`. */
export function startGenerator(
  generator: string,
  process: PeerProcess,
  flags: Flags,
): ChildProcess {
  return spawn(generator, argumentsOf(process, flags), { stdio: ["ignore", "pipe", "ignore"] });
}

function argumentsOf(process: PeerProcess, flags: Flags): readonly string[] {
  const given = Object.entries(flags).flatMap(([name, value]) => [`-${name}`, `${value}`]);
  return [...process.flags, ...given];
}
