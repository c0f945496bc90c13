import { setTimeout as sleep } from "node:timers/promises";
import { outputOf } from "../peers/generator.ts";
import { median, say } from "../rpc/rounds.ts";
import { sayFailed } from "./quorum.ts";
import type { ClusterBench } from "./run.ts";
import { RunningCluster } from "./running-cluster.ts";

/** Appends a second, each sent when its time has come. */
const LOAD = { mode: "avail", rate: 100, conns: 4, size: 100, timeout: "5s" };
const SECONDS_BEFORE = 1.5;
const SECONDS_AFTER = 10;
/** Until the one that was killed has caught up, and may be voted for. */
const SETTLE_MS = 2_500;

/** What is read of the generator's line. */
interface Line {
  readonly n: number;
  readonly gap_ms?: number;
  readonly errors: number;
  readonly err?: string;
}

/** Each system in turn is killed once a round. */
export async function measureFailOver(all: ClusterBench): Promise<void> {
  const { bench, kit, systems, kills } = all;
  const gaps = new Map<RunningCluster, number[]>();
  for (const system of systems) {
    try {
      const dir = bench.folder(`fail-over-${system.name}`);
      const cluster = await RunningCluster.start(system, { kit, dir });
      bench.onEnd(() => cluster.stop());
      await cluster.warmUp(all.generator, { size: 100, inflight: 4, dur: "1s" });
      gaps.set(cluster, []);
    } catch (error) {
      sayFailed("fail-over", system.title, error);
    }
  }
  for (let kill = 0; kill < kills; kill += 1) {
    for (const [cluster, found] of gaps) {
      try {
        found.push(await killOnce(all, cluster));
      } catch (error) {
        sayFailed("fail-over", cluster.system.title, error);
      }
    }
  }
  for (const [cluster, found] of gaps) {
    const { name, title, setting } = cluster.system;
    const sorted = [...found].sort((left, right) => left - right);
    say({
      ...{ what: `${kills} kills`, phase: "fail-over", name, title, setting },
      kills: found.length,
      gapMs: median(found),
      gapMsMax: sorted.at(-1) ?? Number.NaN,
      gaps: sorted.join(" "),
    });
    await cluster.discard();
  }
}

/** @returns the longest time without an answer, in ms */
async function killOnce(all: ClusterBench, cluster: RunningCluster): Promise<number> {
  const leader = await cluster.leader();
  const target = cluster.targetFrom(leader);
  const dur = `${SECONDS_BEFORE + SECONDS_AFTER}s`;
  const load = all.generator.start(target, { ...LOAD, dur });
  const said = outputOf(load);
  await sleep(SECONDS_BEFORE * 1000);
  const member = cluster.members[leader];
  if (member === undefined) throw new Error("No such server");
  await member.kill();
  const line = JSON.parse(await said) as Line;
  member.launch();
  await sleep(SETTLE_MS);
  if (line.n === 0) throw new Error(`No append was answered: ${line.err}`);
  return Math.round(line.gap_ms ?? Number.NaN);
}
