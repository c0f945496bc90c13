/**
 * proglog beside other systems that keep a log: one node each, on this machine, loaded
 * by one generator, round by round.
 *
 *   node bench/peers/run.ts --kit DIR [--rounds 3] [--seconds 2.5]
 *       [--phases synced,tails,catch-up,restart] [--peers proglog,nats,redis,...]
 *       [--scale 1]     of the data of catch-up and restart
 *
 * The kit has `bin/peerbench`, built with `bench/peers/proglog_target.go` beside its other
 * targets, `bin/nats-server`, `bin/etcd`, `bin/umadb` and `kafka/lib/*.jar`; redis-server
 * and java are in the PATH. docs/benchmarks.md says how to make it. Needs `npm run build`.
 *
 * - synced: appends, on disk before the answer. tails: from append to delivery.
 * - catch-up: a million records read from the start. restart: about 2 GB, kill -9 under
 *   load, and the time from the start of the process to the first read and write.
 *
 * Prints JSON lines, medians of the rounds; `toProglog` is the peer's rate by ours, for
 * tails its p50 by ours.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Bench, withBench } from "../rpc/bench-folder.ts";
import type { Sample } from "../rpc/load.ts";
import { compare, type Entrant, say } from "../rpc/rounds.ts";
import { printBanner } from "../support/banner.ts";
import { runGenerator } from "./generator.ts";
import { PeerProcess } from "./peer-process.ts";
import { PEERS, type Peer, type Setting } from "./peers.ts";
import { measureRestarts } from "./restart.ts";

/** Flags of the generator; calls in flight are those of each connection. */
type Workload = Readonly<Record<string, string | number>>;

const SYNCED: Readonly<Record<string, Workload>> = {
  "one in flight, 100 B": { size: 100 },
  "one in flight, 1 KiB": { size: 1024 },
  "64 in flight, one connection, 100 B": { size: 100, inflight: 64 },
  "64 in flight, one connection, 1 KiB": { size: 1024, inflight: 64 },
  "64 connections, one each, 100 B": { size: 100, conns: 64 },
  "batches of 100, one in flight, 100 B": { size: 100, batch: 100 },
  "batches of 100, one in flight, 1 KiB": { size: 1024, batch: 100 },
  "batches of 100, 4 connections, 4 in flight each, 100 B": {
    ...{ size: 100, batch: 100 },
    ...{ conns: 4, inflight: 4 },
  },
};

const TAILS: Readonly<Record<string, Workload>> = {
  "1 tail, 200 appends/s": { size: 100, subs: 1, rate: 200, mode: "e2e" },
  "100 tails, 50 appends/s": { size: 100, subs: 100, rate: 50, mode: "e2e" },
};

const CATCH_UP = [
  { size: 100, records: 1_000_000 },
  { size: 1024, records: 200_000 },
];

const { values } = parseArgs({
  options: {
    kit: { type: "string", default: process.env["PEERS"] ?? "" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2.5" },
    phases: { type: "string", default: "synced,tails,catch-up,restart" },
    scale: { type: "string", default: "1" },
    peers: { type: "string", default: PEERS.map(({ name }) => name).join(",") },
  },
});
const kit = resolve(values.kit);
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const peers = PEERS.filter(({ name }) => values.peers.split(",").includes(name));
const scale = Number(values.scale);
const generator = resolve(kit, "bin/peerbench");
/** Streams change nothing for those who read. */
const readable = peers.filter(({ name }) => name !== "proglog-stream");

async function startAll(
  bench: Bench,
  which: readonly Peer[],
  options: { readonly phase: string; readonly setting: Setting },
): Promise<readonly PeerProcess[]> {
  const { phase, setting } = options;
  const processes: PeerProcess[] = [];
  for (const peer of which) {
    const dir = bench.folder(`${phase}-${peer.name}`);
    const process = await PeerProcess.start(peer, { kit, dir, setting });
    bench.onEnd(() => process.stop());
    processes.push(process);
  }
  return processes;
}

async function compareAll(
  processes: readonly PeerProcess[],
  what: string,
  options: { readonly rate: string; readonly load: (process: PeerProcess) => Promise<Sample> },
): Promise<void> {
  const { rate, load } = options;
  const entrants: Entrant[] = processes.map((process) => ({
    name: process.peer.name,
    fields: { setting: process.peer[process.setting] },
    // One peer that fails must not cost the figures of all: its row is empty, and says why.
    run: () =>
      load(process).catch((error: unknown) => {
        say({ what: "failed", name: process.peer.name, why: `${what}: ${error}` });
        return { [rate]: Number.NaN };
      }),
    ...(process.peer.name === "proglog" ? {} : { ratios: { toProglog: "proglog" } }),
  }));
  await compare(entrants, { what, rounds, rate });
}

async function runSynced(bench: Bench, workloads: typeof SYNCED, phase: string): Promise<void> {
  const which = phase === "tails" ? readable : peers;
  const processes = await startAll(bench, which, { phase, setting: "synced" });
  const warm = { size: 100, inflight: 16, dur: "3s" };
  for (const process of processes) await runGenerator(generator, process, warm);
  for (const [what, workload] of Object.entries(workloads)) {
    await compareAll(processes, what, {
      rate: phase === "tails" ? "p50Ms" : "recordsPerSecond",
      load: (process) => runGenerator(generator, process, { ...workload, dur: `${seconds}s` }),
    });
  }
  for (const process of processes) await process.stop();
}

async function runCatchUp(bench: Bench): Promise<void> {
  for (const { size, records: all } of CATCH_UP) {
    const records = Math.floor(all * scale);
    const phase = `catch-up-${size}`;
    const processes = await startAll(bench, readable, { phase, setting: "relaxed" });
    for (const process of processes) {
      const fill = { mode: "fill", n: records, size, batch: process.peer.fillBatch, inflight: 4 };
      say({
        what: "filled",
        name: process.peer.name,
        ...(await runGenerator(generator, process, fill)),
      });
    }
    await compareAll(processes, `catch-up, ${size} B`, {
      rate: "recordsPerSecond",
      load: (process) => runGenerator(generator, process, { mode: "scan", n: records, size }),
    });
    for (const process of processes) await process.stop();
  }
}

await withBench("peers", async (bench) => {
  printBanner({ disk: bench.dir, sync: "always, by each peer's own setting" });
  const phases: Readonly<Record<string, () => Promise<void>>> = {
    synced: () => runSynced(bench, SYNCED, "synced"),
    tails: () => runSynced(bench, TAILS, "tails"),
    "catch-up": () => runCatchUp(bench),
    restart: () => measureRestarts(bench, { peers: readable, kit, generator, rounds, scale }),
  };
  for (const phase of values.phases.split(",")) {
    const body = phases[phase];
    if (body === undefined) throw new Error(`No such phase: ${phase}`);
    await body();
  }
});
