import { readFileSync, statfsSync } from "node:fs";
import { cpus, loadavg, platform, release, totalmem } from "node:os";
import { basename, relative, resolve } from "node:path";

/** What a benchmark was run on; figures without it say nothing. */
export interface BannerOptions {
  /** A folder or file on the disk that is measured. */
  readonly disk: string;
  /** What is synced before an answer, such as `always`. */
  readonly sync: string;
  /** Runtimes of the servers that are measured, when they are other processes; default: this one. */
  readonly runtimes?: readonly string[];
}

/** `f_type` of file systems in memory (statfs(2)): a sync costs nothing there, so nothing is measured. */
const MEMORY_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
]);

/**
 * Prints machine, runtime, disk, sync mode and command as one line of JSON. Exits with 1
 * when `disk` is memory.
 */
export function printBanner({ disk, sync, runtimes }: BannerOptions): void {
  refuseMemory(disk);
  const mount = mountOf(resolve(disk));
  const fields = {
    what: "machine",
    cpu: `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}`,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    runtime: runtimes ?? runtimeName(),
    disk: mount,
    sync,
    command: commandLine(),
    load: loadavg()[0]?.toFixed(2),
    time: new Date().toISOString(),
  };
  process.stdout.write(`${JSON.stringify(fields)}\n`);
}

function runtimeName(): string {
  const bun = process.versions["bun"];
  return bun === undefined ? `node ${process.versions.node}` : `bun ${bun}`;
}

function commandLine(): string {
  const [runtime = "", script = "", ...args] = process.argv;
  return [basename(runtime), relative("", script), ...args].join(" ");
}

function refuseMemory(disk: string): void {
  const name = MEMORY_FILE_SYSTEMS.get(statfsSync(disk).type);
  if (name === undefined) return;
  process.stderr.write(`Cannot measure syncs in ${disk}: it is ${name}, a real disk is needed\n`);
  process.exit(1);
}

/** Device, kind and options of the mount that `path` is on; Linux only. */
function mountOf(path: string): string {
  let best: readonly string[] = [];
  try {
    for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
      const fields = line.split(" ");
      const point = fields[1] ?? "";
      const isAbove = path === point || path.startsWith(point === "/" ? "/" : `${point}/`);
      if (isAbove && point.length >= (best[1]?.length ?? 0)) best = fields;
    }
  } catch {
    return "unknown";
  }
  return best.length === 0 ? "unknown" : `${best[0]} ${best[2]} ${best[3]}`;
}
