/**
 * Three servers of proglog beside three of JetStream (R3) and three of etcd, on this machine: a
 * majority has synced before every answer. One generator, round by round.
 *
 *   node bench/cluster/run.ts --kit DIR [--rounds 3] [--seconds 2] [--kills 20] > cluster.jsonl
 *       [--phases quorum,fail-over,idle-topics,new-server] [--systems proglog,nats,etcd]
 *       [--gb 1]      of the log that a new server copies
 *   node bench/table.ts < cluster.jsonl      [--into docs/benchmarks.md --mark cluster]
 *
 * The kit is that of bench/peers/run.ts. Needs `npm run build` and Go.
 *
 * - quorum: appends. proglog-stream sends them through one ProduceStream a connection, -follower
 *   through a server that does not lead.
 * - fail-over: 100 appends/s whatever the answers do, kill -9 of the leader, and the longest time
 *   without an answer; default settings of each.
 * - idle-topics: processor time of the three servers of proglog when nobody calls them.
 * - new-server: a second server joins one that holds so much, until it has it all.
 *
 * Prints JSON lines, medians of the rounds; `toProglog` is a system's rate by ours.
 */
import { statfsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Generator } from "../peers/generator.ts";
import { type Bench, withBench } from "../rpc/bench-folder.ts";
import { say } from "../rpc/rounds.ts";
import { printBanner } from "../support/banner.ts";
import { measureFailOver } from "./fail-over.ts";
import { measureIdleTopics } from "./idle-topics.ts";
import { measureNewServer } from "./new-server.ts";
import { measureQuorum } from "./quorum.ts";
import { SYSTEMS, type System } from "./systems.ts";

/** What a run has for all its phases. */
export interface ClusterBench {
  readonly bench: Bench;
  readonly kit: string;
  readonly generator: Generator;
  readonly systems: readonly System[];
  readonly rounds: number;
  /** Length of one run. */
  readonly seconds: number;
  readonly kills: number;
  readonly gb: number;
}

const FREE_BYTES_MIN = 10e9;

const PHASES: Readonly<Record<string, (cluster: ClusterBench) => Promise<void>>> = {
  quorum: measureQuorum,
  "fail-over": measureFailOver,
  "idle-topics": measureIdleTopics,
  "new-server": measureNewServer,
};

const { values } = parseArgs({
  options: {
    kit: { type: "string", default: process.env["PEERS"] ?? "" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    kills: { type: "string", default: "20" },
    gb: { type: "string", default: "1" },
    phases: { type: "string", default: Object.keys(PHASES).join(",") },
    systems: { type: "string", default: SYSTEMS.map(({ name }) => name).join(",") },
  },
});

await withBench("cluster", async (bench) => {
  const phases = values.phases.split(",").map((name) => {
    const run = PHASES[name];
    if (run === undefined) throw new Error(`No such phase: ${name}`);
    return { name, run };
  });
  printBanner({ disk: bench.dir, sync: "always, on a majority, by each system's own setting" });
  const { bavail, bsize } = statfsSync(bench.dir);
  if (bavail * bsize < FREE_BYTES_MIN) throw new Error("Cannot run: 10 GB of disk are wanted");
  const kit = resolve(values.kit);
  const generator = Generator.build(kit);
  bench.onEnd(() => generator.end());
  const cluster: ClusterBench = {
    ...{ bench, kit, generator },
    systems: SYSTEMS.filter(({ name }) => values.systems.split(",").includes(name)),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    kills: Number(values.kills),
    gb: Number(values.gb),
  };
  for (const { name, run } of phases) {
    const began = performance.now();
    await run(cluster);
    const minutes = (performance.now() - began) / 60_000;
    say({ what: "took", phase: name, minutes: Number(minutes.toPrecision(2)) });
  }
});
