import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "../rpc/rounds.ts";
import { type Contest, sayFailed } from "./contest.ts";
import type { Generator } from "./generator.ts";
import type { PeerProcess } from "./peer-process.ts";
import { COUNTED_IN_FLIGHT } from "./workloads.ts";

const SYNC_CALLS = ["fsync", "fdatasync", "msync", "sync_file_range"];
/** They sync when the file was opened so. */
const WRITE_CALLS = ["write", "writev", "pwrite64", "pwritev", "pwritev2"];
/** O_DSYNC in `flags` of /proc/PID/fdinfo; O_SYNC has it too. */
const DSYNC_FLAG = 0o10000;
const ATTACH_MS = 500;
const SECONDS = 1;

/**
 * Whether each really syncs before it answers: appends that were answered, and calls of
 * the process that sync, as strace sees them (which slows all). A peer that answers more
 * appends for each sync than are in flight has not waited for it.
 */
export async function countSyncs(contest: Contest, generator: Generator): Promise<void> {
  for (const inflight of COUNTED_IN_FLIGHT) {
    for (const process of contest.processes) {
      try {
        await countOf(process, generator, inflight);
      } catch (error) {
        sayFailed("syncs", process.peer, `${inflight} in flight: ${error}`);
      }
    }
  }
}

async function countOf(
  process: PeerProcess,
  generator: Generator,
  inflight: number,
): Promise<void> {
  const trace = new SyncTrace(process);
  await sleep(ATTACH_MS);
  const flags = { size: 100, inflight, dur: `${SECONDS}s`, warm: "0s" };
  const run = await generator.run(process, flags).finally(() => trace.end());
  const syncs = await trace.end();
  const answers = Math.round((run["recordsPerSecond"] ?? 0) * SECONDS);
  say({
    what: `${inflight} in flight`,
    phase: "syncs",
    title: process.peer.title,
    setting: process.peer[process.setting],
    answers,
    syncs,
    answersPerSync: Number((answers / syncs).toPrecision(3)),
  });
}

/** Counts calls that sync, from its creation to {@link end}. */
class SyncTrace {
  readonly #pid: number;
  readonly #strace: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #writesByFile = new Map<string, number>();
  #syncs = 0;
  #rest = "";

  constructor({ pid }: PeerProcess) {
    this.#pid = pid;
    const calls = [...SYNC_CALLS, ...WRITE_CALLS].join(",");
    this.#strace = spawn("strace", ["-f", "-s", "0", "-e", `trace=${calls}`, "-p", `${pid}`], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#ended = new Promise((done) => this.#strace.once("close", done));
    // A strace that is not there ends at once, and has counted nothing.
    this.#strace.once("error", () => {});
    this.#strace.stderr?.on("data", (chunk: Buffer) => this.#take(chunk.toString()));
  }

  /** @returns the calls that synced */
  async end(): Promise<number> {
    const files = syncedFilesOf(this.#pid);
    this.#strace.kill("SIGINT");
    await this.#ended;
    const writes = files.reduce((sum, file) => sum + (this.#writesByFile.get(file) ?? 0), 0);
    return this.#syncs + writes;
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      // The second part of a call that another thread's interrupted is `<... name resumed>`.
      const [, call = "", file = ""] = /(\w+)\((\w+)/.exec(line) ?? [];
      if (SYNC_CALLS.includes(call)) this.#syncs += 1;
      else if (WRITE_CALLS.includes(call)) {
        this.#writesByFile.set(file, (this.#writesByFile.get(file) ?? 0) + 1);
      }
    }
  }
}

/** Descriptors of files of which each write is a sync. */
function syncedFilesOf(pid: number): readonly string[] {
  const dir = `/proc/${pid}/fdinfo`;
  return readdirSync(dir).filter((file) => {
    const flags = /^flags:\s+(\d+)/m.exec(textOf(`${dir}/${file}`))?.[1] ?? "0";
    return (Number.parseInt(flags, 8) & DSYNC_FLAG) !== 0;
  });
}

/** Empty for a file that has been closed since. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
