import { setTimeout as pause } from "node:timers/promises";
import { integerFrom } from "../support/prng.ts";
import type { ClusterNetwork } from "./cluster-network.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { type ClusterProcesses, until } from "./cluster-processes.ts";

export interface FaultContext {
  readonly cluster: ClusterProcesses;
  readonly random: () => number;
  /** Faults last so many times as long as they do by themselves. */
  readonly scale: number;
  /** What is done, for the history. */
  readonly note: (what: string) => void;
}

/** One thing that goes wrong. When it resolves, all is as before: every server runs and reaches the others. */
export interface Fault {
  readonly name: string;
  /** What the cluster must have been started with. */
  readonly needs?: "network" | "clocks" | "disks";
  readonly run: (context: FaultContext) => Promise<void>;
}

/** Faults of a process, a network, a disk or a clock; those of membership are in `faults-membership.ts`. */
export const FAULTS: readonly Fault[] = [
  {
    name: "kill -9 of the leader",
    run: async (context) => killAndRestart(context, [await leaderOf(context)]),
  },
  {
    name: "kill -9 of a follower",
    run: async (context) => killAndRestart(context, [await context.cluster.followerOf()]),
  },
  { name: "kill -9 of all", run: (context) => killAndRestart(context, context.cluster.nodes) },
  { name: "kill -9 of one after the other", run: killInTurn },
  {
    name: "the leader stands still",
    run: async (context) => standStill(context, await leaderOf(context)),
  },
  {
    name: "a follower stands still",
    run: async (context) => standStill(context, await context.cluster.followerOf()),
  },
  { name: "rolling restart", run: rollingRestart },
  {
    name: "the leader is cut off",
    needs: "network",
    run: async (context) => cutOff(context, await leaderOf(context)),
  },
  {
    name: "a follower is cut off",
    needs: "network",
    run: async (context) => cutOff(context, await context.cluster.followerOf()),
  },
  { name: "all are cut from each other", needs: "network", run: cutAll },
  {
    name: "the leader is not heard",
    needs: "network",
    run: (context) => cutOneWay(context, "from"),
  },
  {
    name: "the leader does not hear",
    needs: "network",
    run: (context) => cutOneWay(context, "to"),
  },
  { name: "a link between two is cut", needs: "network", run: cutBetweenTwo },
  { name: "cut off and killed", needs: "network", run: cutOffAndKill },
  { name: "the leader's cable is out", needs: "network", run: pullCable },
  {
    name: "the leader's disk is full",
    needs: "disks",
    run: async (context) => fill(context, [await leaderOf(context)]),
  },
  {
    name: "a follower's disk is full",
    needs: "disks",
    run: async (context) => fill(context, [await context.cluster.followerOf()]),
  },
  {
    name: "all disks are full",
    needs: "disks",
    run: (context) => fill(context, context.cluster.nodes),
  },
  { name: "clocks jump", needs: "clocks", run: jumpClocks },
];

/** Faults of process and network are as long as this, in ms. */
const FAULT_MS_MIN = 500;
const FAULT_MS_MAX = 8_000;
const STAND_STILL_MS_MAX = 20_000;
const FULL_MS_MAX = 6_000;
const CLOCK_SECONDS_MAX = 2 * 86_400;

export async function faultPause(
  { random, scale }: FaultContext,
  msMax = FAULT_MS_MAX,
  msMin = FAULT_MS_MIN,
): Promise<void> {
  await pause(integerFrom(random, msMin, msMax) * scale);
}

/** Of one of the topics: each may have another leader. */
export function leaderOf({ cluster, random }: FaultContext): Promise<ClusterNode> {
  return cluster.leaderOf(random() < 0.5 ? "default" : "orders");
}

async function killAndRestart(
  context: FaultContext,
  victims: readonly ClusterNode[],
): Promise<void> {
  const { cluster, note } = context;
  note(`kill ${namesOf(victims)}`);
  await Promise.all(victims.map((node) => node.kill()));
  await faultPause(context, FAULT_MS_MAX, 0);
  note(`start ${namesOf(victims)}`);
  await Promise.all(victims.map((node) => cluster.restart(node)));
}

/** Each is killed before it is known whether the one before has caught up. */
async function killInTurn(context: FaultContext): Promise<void> {
  for (const node of context.cluster.nodes) {
    await killAndRestart(context, [node]);
    await faultPause(context, 1_000, 0);
  }
}

async function standStill(context: FaultContext, node: ClusterNode): Promise<void> {
  context.note(`stand still ${node.name}`);
  node.standStill();
  try {
    await faultPause(context, STAND_STILL_MS_MAX, 1_000);
  } finally {
    context.note(`go on ${node.name}`);
    node.goOn();
  }
}

async function rollingRestart(context: FaultContext): Promise<void> {
  const { cluster, note } = context;
  for (const node of cluster.nodes) {
    note(`stop ${node.name}`);
    const code = await node.stop();
    if (code !== 0) throw new Error(`${node.name} ended with ${code} when it was asked to stop`);
    note(`start ${node.name}`);
    await cluster.restart(node);
    await cluster.whenSettled();
  }
}

/** From the other servers; clients reach it still, and must not be told what is not so. */
function cutOff(context: FaultContext, node: ClusterNode): Promise<void> {
  return whileCut(context, `${node.name} off`, (network) => {
    network.part([node.name], namesOfOthers(context, node));
  });
}

function cutAll(context: FaultContext): Promise<void> {
  return whileCut(context, "all", (network) => {
    const names = context.cluster.nodes.map(({ name }) => name);
    network.part(names, names);
  });
}

async function cutOneWay(context: FaultContext, direction: "from" | "to"): Promise<void> {
  const leader = await leaderOf(context);
  await whileCut(context, `${direction} ${leader.name}`, (network) => {
    for (const other of namesOfOthers(context, leader)) {
      if (direction === "from") network.cut(leader.name, other);
      else network.cut(other, leader.name);
    }
  });
}

/** Both reach the others: the cluster must neither stop nor swap leaders without end. */
async function cutBetweenTwo(context: FaultContext): Promise<void> {
  const leader = await leaderOf(context);
  const follower = await context.cluster.followerOf();
  await whileCut(context, `between ${leader.name} and ${follower.name}`, (network) => {
    network.part([leader.name], [follower.name]);
  });
}

/** Who is cut off is killed and comes back, still cut off; then those who went on without it are killed. */
async function cutOffAndKill(context: FaultContext): Promise<void> {
  const leader = await leaderOf(context);
  const others = context.cluster.nodes.filter((node) => node !== leader);
  await whileCut(
    context,
    `${leader.name} off`,
    (network) => {
      network.part([leader.name], namesOfOthers(context, leader));
    },
    async () => {
      await faultPause(context, 4_000);
      await killAndRestart(context, [leader]);
      await faultPause(context, 2_000);
      await killAndRestart(context, others);
    },
  );
}

async function pullCable(context: FaultContext): Promise<void> {
  const leader = await leaderOf(context);
  const network = networkOf(context);
  context.note(`pull the cable of ${leader.name}`);
  network.setLink(leader.name, "down");
  try {
    await faultPause(context);
  } finally {
    context.note(`put in the cable of ${leader.name}`);
    network.setLink(leader.name, "up");
  }
}

async function whileCut(
  context: FaultContext,
  what: string,
  cut: (network: ClusterNetwork) => void,
  meanwhile: () => Promise<void> = () => faultPause(context),
): Promise<void> {
  const network = networkOf(context);
  context.note(`cut ${what}`);
  try {
    cut(network);
    await meanwhile();
  } finally {
    context.note("heal");
    network.heal();
  }
}

/** Full for a while: the servers must live through it, and go on by themselves. */
async function fill(context: FaultContext, nodes: readonly ClusterNode[]): Promise<void> {
  const disks = nodes.map((node) => context.cluster.disks.get(node));
  context.note(`fill the disks of ${namesOf(nodes)}`);
  try {
    for (const disk of disks) disk?.fill();
    await faultPause(context, FULL_MS_MAX);
  } finally {
    context.note(`empty the disks of ${namesOf(nodes)}`);
    for (const disk of disks) disk?.empty();
  }
  const dead = nodes.find(({ isRunning }) => !isRunning);
  if (dead !== undefined) throw new Error(`${dead.name} ended because its disk was full`);
}

async function jumpClocks(context: FaultContext): Promise<void> {
  const { cluster, random, note } = context;
  for (const node of cluster.nodes) {
    const seconds = integerFrom(random, -CLOCK_SECONDS_MAX, CLOCK_SECONDS_MAX);
    note(`set the clock of ${node.name} to ${seconds} s`);
    cluster.clocks.get(node)?.shift(seconds);
    await faultPause(context, 2_000);
  }
  note("set the clocks right");
  for (const clock of cluster.clocks.values()) clock.shift(0);
}

/** Ends with an error, and says why, when it starts with this data. */
export async function expectRefusal({ cluster, note }: FaultContext, node: ClusterNode) {
  cluster.launch(node);
  const code = await until("a refusal to start", 20_000, async () =>
    node.isRunning ? undefined : node.exitCode,
  ).catch(async (error: unknown) => {
    await node.kill();
    throw new Error(`${node.name} runs, though its journal and topics are gone: ${error}`);
  });
  note(`${node.name} refuses to start: ${code}`);
  if (code === 0) throw new Error(`${node.name} ended with 0, though its journal is gone`);
}

function networkOf({ cluster }: FaultContext): ClusterNetwork {
  if (cluster.network === undefined) throw new Error("This cluster has no network of its own");
  return cluster.network;
}

function namesOf(nodes: readonly ClusterNode[]): string {
  return nodes.map(({ name }) => name).join(" ");
}

function namesOfOthers({ cluster }: FaultContext, node: ClusterNode): string[] {
  return cluster.nodes.filter((other) => other !== node).map(({ name }) => name);
}
