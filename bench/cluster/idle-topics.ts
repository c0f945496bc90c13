import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { TopicService } from "../../src/gen/proglog/v1/topic_service_pb.ts";
import { cpuSecondsOfAll } from "../peers/generator.ts";
import { say } from "../rpc/rounds.ts";
import { rssBytesOf } from "../rpc/servers.ts";
import type { ClusterBench } from "./run.ts";
import { RunningCluster } from "./running-cluster.ts";
import { proglogAddress, SYSTEMS } from "./systems.ts";

/** Topics beside `default`. */
const TOPICS = [0, 999];
const AT_ONCE = 16;
/** Groups that nobody writes to fall asleep meanwhile. */
const SETTLE_MS = 15_000;
const MEASURED_MS = 20_000;

/** What topics cost that nobody writes to: three servers in all, a part of one processor. */
export async function measureIdleTopics({ bench, kit }: ClusterBench): Promise<void> {
  const system = SYSTEMS.find(({ name }) => name === "proglog");
  if (system === undefined) return;
  const cluster = await RunningCluster.start(system, { kit, dir: bench.folder("idle-topics") });
  bench.onEnd(() => cluster.stop());
  let made = 0;
  for (const topics of TOPICS) {
    const began = performance.now();
    await createTopics(made, topics);
    const createSeconds = (performance.now() - began) / 1000;
    made = topics;
    await sleep(SETTLE_MS);
    const before = cpuSecondsOfAll(cluster.pids);
    await sleep(MEASURED_MS);
    const cores = ((cpuSecondsOfAll(cluster.pids) - before) * 1000) / MEASURED_MS;
    const rssMb = cluster.pids.reduce((sum, pid) => sum + rssBytesOf(pid) / 1e6, 0);
    say({
      ...{ what: `${topics + 1} topics`, phase: "idle-topics", title: system.title },
      percentOfCore: Number((cores * 100).toPrecision(3)),
      rssMb: Math.round(rssMb),
      createSeconds: Number(createSeconds.toPrecision(3)),
    });
  }
  await cluster.discard();
}

async function createTopics(from: number, to: number): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://${proglogAddress(0)}` });
  const topics = createClient(TopicService, transport);
  let next = from;
  const create = async (): Promise<void> => {
    while (next < to) {
      next += 1;
      await topics.createTopic({ topic: `idle-${next}` }, { timeoutMs: 30_000 });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, create));
}
