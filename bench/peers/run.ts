/**
 * proglog beside other systems that keep a log: one node each, on this machine, loaded
 * by one generator, round by round.
 *
 *   node bench/peers/run.ts --kit DIR [--rounds 3] [--seconds 2] > peers.jsonl
 *       [--phases synced,tails,catch-up,restart] [--peers proglog,nats,redis,...]
 *       [--scale 1]     of the data of catch-up and restart
 *       [--minutes 25]  a phase that would end later, by plan, is left out
 *   node bench/table.ts < peers.jsonl         [--into docs/benchmarks.md]
 *
 * The kit has the generator's sources in `client/`, beside which `bench/peers/proglog_target.go`
 * is built (needs Go), `bin/nats-server`, `bin/etcd`, `bin/umadb`, `bin/s2` and
 * `kafka/lib/*.jar`; redis-server, java and strace are in the PATH. docs/benchmarks.md says how
 * to make it. Needs `npm run build`. A peer that is not there, or fails, is named and left out.
 *
 * - synced: whether each really syncs (strace); then appends, on disk before the answer.
 * - tails: from append to delivery. catch-up: a million records read from the start.
 * - restart: about 2 GB, kill -9 under load, and the time from the start of the process to
 *   the first read and write.
 *
 * Prints JSON lines, medians of the rounds; `toProglog` is the peer's rate by ours, for
 * tails its p50 by ours. `peerCores` and `generatorCores` are the processors that each of
 * the two kept busy: where the generator has most of a busy machine, it is what was measured.
 */
import { statfsSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Bench, withBench } from "../rpc/bench-folder.ts";
import { say } from "../rpc/rounds.ts";
import { cpuSecondsOf } from "../rpc/servers.ts";
import { printBanner } from "../support/banner.ts";
import { Contest, type Contestants, flushDisk } from "./contest.ts";
import { Generator } from "./generator.ts";
import type { PeerProcess } from "./peer-process.ts";
import { PEERS } from "./peers.ts";
import { measureRestarts } from "./restart.ts";
import { countSyncs } from "./syncs.ts";
import { CATCH_UP, SYNCED, scaled, TAIL_WARM_UP, TAILS, WARM_UP } from "./workloads.ts";

/** What a phase may write before it frees it. */
const FREE_BYTES_MIN = 20e9;
const IDLE_MS = 2_000;

const { values } = parseArgs({
  options: {
    kit: { type: "string", default: process.env["PEERS"] ?? "" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    phases: { type: "string", default: "synced,tails,catch-up,restart" },
    scale: { type: "string", default: "1" },
    minutes: { type: "string", default: "25" },
    peers: { type: "string", default: PEERS.map(({ name }) => name).join(",") },
  },
});

interface Phase {
  readonly run: (contestants: Contestants) => Promise<void>;
  /** Seconds that it takes, about: as many for each peer, and those of its runs. */
  readonly plan: (contestants: Contestants) => number;
  /** ProduceStream changes nothing for those who read. */
  readonly hasStreams?: boolean;
}

const PHASES: Readonly<Record<string, Phase>> = {
  synced: {
    run: runSynced,
    plan: ({ peers, rounds, seconds }) =>
      peers.length * (11 + Object.keys(SYNCED).length * rounds * (seconds + 0.7)),
    hasStreams: true,
  },
  tails: {
    run: runTails,
    plan: ({ peers, rounds, seconds }) =>
      peers.length * (11 + Object.keys(TAILS).length * rounds * (seconds + 1.4)),
  },
  "catch-up": {
    run: runCatchUp,
    plan: ({ peers, rounds, scale }) => peers.length * (7 + scale * (9 + 2 * rounds)),
  },
  restart: {
    run: measureRestarts,
    plan: ({ peers, rounds, scale }) => peers.length * (4 + scale * 15 + rounds * 5),
  },
};

async function runSynced(contestants: Contestants): Promise<void> {
  const { generator, seconds } = contestants;
  const contest = await Contest.begin(contestants, { phase: "synced", setting: "synced" });
  await contest.prepare("warm-up", (process) => generator.run(process, WARM_UP));
  await sayIdle(contest);
  await countSyncs(contest, generator);
  for (const [what, flags] of Object.entries(SYNCED)) {
    await contest.row(what, {
      rate: "recordsPerSecond",
      load: (process) => generator.run(process, { ...flags, dur: `${seconds}s` }),
    });
  }
  await contest.end();
}

/** All peers run at once: what those cost that nobody calls is in everybody's figures. */
async function sayIdle(contest: Contest): Promise<void> {
  const before = contest.processes.map((process) => ({ process, cpu: cpuSecondsOf(process.pid) }));
  await sleep(IDLE_MS);
  for (const { process, cpu } of before) {
    const cores = ((cpuSecondsOf(process.pid) - cpu) * 1000) / IDLE_MS;
    say({ what: "idle", phase: "idle", title: process.peer.title, cores: rounded(cores) });
  }
}

async function runTails(contestants: Contestants): Promise<void> {
  const { generator, seconds } = contestants;
  const contest = await Contest.begin(contestants, { phase: "tails", setting: "synced" });
  await contest.prepare("warm-up", async (process) => {
    await generator.run(process, WARM_UP);
    await generator.run(process, TAIL_WARM_UP);
  });
  for (const [what, flags] of Object.entries(TAILS)) {
    await contest.row(what, {
      rate: "p50Ms",
      load: (process) => generator.run(process, { ...flags, dur: `${seconds}s` }),
    });
  }
  await contest.end();
}

async function runCatchUp(contestants: Contestants): Promise<void> {
  const { generator, scale } = contestants;
  for (const { what, size, records } of CATCH_UP) {
    const n = scaled(records, scale);
    const contest = await Contest.begin(contestants, { phase: "catch-up", setting: "relaxed" });
    await contest.prepare("fill", async (process) => {
      const { fillBatch: batch, fillInFlight: inflight, title } = process.peer;
      const filled = await generator.run(process, { mode: "fill", n, size, batch, inflight });
      const recordsPerSecond = Math.round(filled["recordsPerSecond"] ?? 0);
      say({ what: "filled", title, records: n, size, recordsPerSecond });
    });
    flushDisk(contestants);
    const scan = (process: PeerProcess) => generator.run(process, { mode: "scan", n, size });
    await contest.prepare("warm-up", scan);
    await contest.row(what, { rate: "recordsPerSecond", load: scan });
    await contest.end();
  }
}

function contestantsOf(bench: Bench, generator: Generator): Contestants {
  return {
    bench,
    generator,
    kit: resolve(values.kit),
    peers: PEERS.filter(({ name }) => values.peers.split(",").includes(name)),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    scale: Number(values.scale),
  };
}

function forPhase(all: Contestants, { hasStreams = false }: Phase): Contestants {
  const peers = all.peers.filter(({ name }) => hasStreams || name !== "proglog-stream");
  return { ...all, peers };
}

async function runPhase(name: string, phase: Phase, contestants: Contestants): Promise<void> {
  const { bavail, bsize } = statfsSync(contestants.bench.dir);
  if (bavail * bsize < FREE_BYTES_MIN) {
    throw new Error(
      `Cannot run ${name}: ${bavail * bsize} bytes are free, ${FREE_BYTES_MIN} wanted`,
    );
  }
  const began = performance.now();
  await phase.run(contestants);
  say({ what: "took", phase: name, minutes: minutes((performance.now() - began) / 1000) });
}

function minutes(seconds: number): number {
  return rounded(seconds / 60);
}

function rounded(value: number): number {
  return Number(value.toPrecision(2));
}

await withBench("peers", async (bench) => {
  const phases = values.phases.split(",").map((name) => {
    const phase = PHASES[name];
    if (phase === undefined) throw new Error(`No such phase: ${name}`);
    return { name, phase };
  });
  printBanner({ disk: bench.dir, sync: "always, by each peer's own setting" });
  const contestants = contestantsOf(bench, Generator.build(resolve(values.kit)));
  bench.onEnd(() => contestants.generator.end());
  const planned = phases.map(({ name, phase }) => {
    const own = forPhase(contestants, phase);
    const seconds = phase.plan(own);
    say({ what: "planned", phase: name, minutes: minutes(seconds) });
    return { name, phase, seconds, contestants: own };
  });
  const endsAt = performance.now() + Number(values.minutes) * 60_000;
  for (const { name, phase, seconds, contestants } of planned) {
    if (performance.now() + seconds * 1000 > endsAt) {
      say({ what: "failed", phase: name, title: "all", why: "no time was left for it" });
      continue;
    }
    await runPhase(name, phase, contestants);
  }
});
