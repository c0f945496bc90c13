import type { Flags } from "../peers/generator.ts";
import type { Sample } from "../rpc/load.ts";
import { compare, say } from "../rpc/rounds.ts";
import type { ClusterBench } from "./run.ts";
import { RunningCluster } from "./running-cluster.ts";
import { SIZE } from "./systems.ts";

const WORKLOADS: Readonly<Record<string, Flags>> = {
  "one in flight, 100 B": { size: 100 },
  "64 in flight, one connection, 100 B": { size: 100, inflight: 64 },
  "64 in flight, one connection, 1 KiB": { size: 1024, inflight: 64 },
  "64 connections, one each, 100 B": { size: 100, conns: 64 },
  "batches of 100, one in flight, 100 B": { size: 100, batch: 100 },
  "batches of 100, 8 in flight, 100 B": { size: 100, batch: 100, inflight: 8 },
  "batches of 100, 8 in flight, 1 KiB": { size: 1024, batch: 100, inflight: 8 },
};
const WARM_UP: Flags = { size: 100, inflight: 16, dur: "3s" };

/** A way to load a cluster. */
interface Way {
  readonly name: string;
  readonly title: string;
  readonly cluster: RunningCluster;
  /** Of the generator's target. */
  readonly options: string;
  /** How many places from the leader the server is that is called. */
  readonly fromLeader: number;
}

/** All clusters run at once, and are loaded in turn. */
export async function measureQuorum(all: ClusterBench): Promise<void> {
  const { bench, kit, generator, systems, rounds, seconds } = all;
  const clusters: RunningCluster[] = [];
  for (const system of systems) {
    try {
      const cluster = await RunningCluster.start(system, { kit, dir: bench.folder(system.name) });
      bench.onEnd(() => cluster.stop());
      await cluster.warmUp(generator, WARM_UP);
      clusters.push(cluster);
    } catch (error) {
      sayFailed("quorum", system.title, error);
    }
  }
  const ways = clusters.flatMap(waysOf);
  for (const [what, flags] of Object.entries(WORKLOADS)) {
    const load = async ({ cluster, fromLeader, options, title }: Way): Promise<Sample> => {
      try {
        const first = ((await cluster.leader()) + fromLeader) % SIZE;
        const target = cluster.targetFrom(first, options);
        return await generator.run(target, { ...flags, dur: `${seconds}s` });
      } catch (error) {
        sayFailed("quorum", title, `${what}: ${error}`);
        return {};
      }
    };
    const entrants = ways.map((way) => ({
      name: way.name,
      fields: { phase: "quorum", title: way.title, setting: way.cluster.system.setting },
      run: () => load(way),
      ...(way.name === "proglog" ? {} : { ratios: { toProglog: "proglog" } }),
    }));
    await compare(entrants, { what, rounds, rate: "recordsPerSecond" });
  }
  for (const cluster of clusters) await cluster.discard();
}

function waysOf(cluster: RunningCluster): readonly Way[] {
  const { name, title } = cluster.system;
  const plain: Way = { name, title, cluster, options: "", fromLeader: 0 };
  if (name !== "proglog") return [plain];
  const stream = {
    ...plain,
    name: "proglog-stream",
    title: "proglog-stream",
    options: "mode=stream",
  };
  const follower = {
    ...stream,
    name: "proglog-follower",
    title: "proglog-follower",
    fromLeader: 1,
  };
  return [plain, stream, follower];
}

export function sayFailed(phase: string, title: string, error: unknown): void {
  say({ what: "failed", phase, title, why: `${error}`.slice(0, 500) });
}
