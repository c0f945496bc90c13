import { type ChildProcess, spawn } from "node:child_process";
import { cpuSecondsOf, type Server } from "./servers.ts";
import type { Ghz } from "./tools.ts";

/** A run lasts what it is told to; whatever takes longer is ended. */
const RUN_MS_MAX = 6 * 60_000;

/** Figures of a run, by name; all that are of interest in the table. */
export type Sample = Readonly<Record<string, number>>;

/** What is read of the generator's line. */
interface ClientResult {
  readonly callsPerSecond?: number;
  readonly recordsPerSecond?: number;
  readonly mbPerSecond?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly lost?: number;
  readonly clientCpuSeconds: number;
}

/**
 * One run of the load generator. Adds what the server used of the processors, as
 * `serverCpuUs` for each call or, with `per: "record"`, `serverCpuNs` for each record:
 * it says more than a rate on a machine that is not quiet.
 *
 * @throws when any call failed
 */
export async function runClient(
  client: string,
  server: Server,
  options: {
    readonly workload: string;
    readonly flags: Readonly<Record<string, string | number>>;
    readonly per: "call" | "record";
  },
): Promise<Sample> {
  const flags = Object.entries(options.flags).map(([name, value]) => `-${name}=${value}`);
  const before = cpuSecondsOf(server.pid);
  const began = performance.now();
  const text = await run(client, [options.workload, "-addr", server.address, ...flags]);
  const wallSeconds = (performance.now() - began) / 1000;
  const used = cpuSecondsOf(server.pid) - before;
  const result = JSON.parse(text) as ClientResult;
  // The warm-up is load too, so the share of the processors is taken over the whole run.
  const share = used / wallSeconds;
  const { callsPerSecond = 0, recordsPerSecond = 0, mbPerSecond, p50Ms, p99Ms, lost } = result;
  return {
    ...(options.per === "call"
      ? { callsPerSecond, serverCpuUs: (share * 1e6) / callsPerSecond }
      : { recordsPerSecond, serverCpuNs: (share * 1e9) / recordsPerSecond }),
    ...(mbPerSecond === undefined ? {} : { mbPerSecond }),
    ...(p50Ms === undefined ? {} : { p50Ms }),
    ...(p99Ms === undefined ? {} : { p99Ms }),
    ...(lost === undefined ? {} : { lost }),
    clientCpuShare: result.clientCpuSeconds / wallSeconds,
    serverCpuShare: share,
  };
}

interface GhzReport {
  readonly rps: number;
  readonly count: number;
  readonly statusCodeDistribution?: Readonly<Record<string, number>>;
  readonly latencyDistribution?: readonly {
    readonly percentage: number;
    readonly latency: number;
  }[];
}

/**
 * Unary Produce of one record, as `ghz -c 50 --connections 4` loads it.
 *
 * @throws when a call failed, but for those that were under way at the end
 */
export async function runGhz(
  ghz: Ghz,
  server: Server,
  options: { readonly seconds: number; readonly recordBytes: number },
): Promise<Sample> {
  const value = Buffer.alloc(options.recordBytes, 7).toString("base64");
  const args = [
    ...["--insecure", "--protoset", ghz.descriptors, "--call", "proglog.v1.LogService.Produce"],
    ...["-c", "50", "--connections", "4"],
    ...["-z", `${options.seconds}s`, "--duration-stop", "wait", "-O", "json"],
    ...["-d", JSON.stringify({ topic: "default", records: [{ value }] }), server.address],
  ];
  const before = cpuSecondsOf(server.pid);
  const report = JSON.parse(await run(ghz.path, args)) as GhzReport;
  const used = cpuSecondsOf(server.pid) - before;
  const ok = report.statusCodeDistribution?.["OK"] ?? 0;
  if (ok < report.count * 0.99 || ok === 0) {
    throw new Error(`Cannot use a run: ${JSON.stringify(report.statusCodeDistribution)}`);
  }
  const latencyMs = (percentage: number): number =>
    (report.latencyDistribution?.find((l) => l.percentage === percentage)?.latency ?? 0) / 1e6;
  return {
    callsPerSecond: report.rps,
    serverCpuUs: (used * 1e6) / report.count,
    p50Ms: latencyMs(50),
    p99Ms: latencyMs(99),
  };
}

/** A generator that holds its tails open until {@link HeldTails.close}. */
export interface HeldTails {
  readonly close: () => Promise<void>;
}

/** Resolves when all tails are open and have their first message. */
export function holdTails(
  client: string,
  server: Server,
  options: { readonly tails: number; readonly connections: number },
): Promise<HeldTails> {
  const flags = ["-subs", `${options.tails}`, "-conns", `${options.connections}`];
  const child = spawn(client, ["hold", "-addr", server.address, ...flags], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<void>((done) => child.once("exit", () => done()));
  const close = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  return new Promise((done, refuse) => {
    child.once("error", refuse);
    void ended.then(() => refuse(new Error("Cannot hold tails: the generator ended")));
    child.stdout.on("data", (chunk: Buffer) => {
      if (chunk.toString().includes("ready")) done({ close });
    });
  });
}

function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  return collect(child, `${program} ${args.join(" ").slice(0, 300)}`);
}

function collect(child: ChildProcess, name: string): Promise<string> {
  return new Promise((done, refuse) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), RUN_MS_MAX);
    let output = "";
    let errors = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-2_000);
    });
    child.once("error", refuse);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) done(output);
      else
        refuse(new Error(`${name} ended with ${code ?? signal}: ${output.slice(-500)}${errors}`));
    });
  });
}
