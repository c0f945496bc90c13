import { integerFrom } from "../support/prng.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { until } from "./cluster-processes.ts";
import { expectRefusal, type Fault, type FaultContext, faultPause, leaderOf } from "./faults.ts";

const REMOVED_MS_MAX = 300_000;

/** Faults and changes that make or end members of the cluster. Servers that stay keep their ports. */
export const MEMBERSHIP_FAULTS: readonly Fault[] = [
  { name: "journal and topics are gone", run: loseData },
  { name: "a folder is gone", run: loseFolder },
  { name: "add one, drain one, remove one", run: replaceOne },
  { name: "leaders move", run: moveLeaders },
  {
    name: "replaced under kills",
    run: (context) => whileKilling(context, () => replaceOne(context)),
  },
  {
    name: "leaders move under kills",
    run: (context) => whileKilling(context, () => moveLeaders(context)),
  },
];

/** What a voter has promised is gone: it must not come back under its id. */
async function loseData(context: FaultContext): Promise<void> {
  const { cluster, note } = context;
  const node = someOf(context);
  note(`hide journal and topics of ${node.name}`);
  await node.kill();
  const putBack = cluster.hide(node, ["journal", "topics"]);
  try {
    await expectRefusal(context, node);
  } finally {
    putBack();
  }
  await cluster.restart(node);
}

/** It comes back as another server; the one it was is removed by the operator. */
async function loseFolder(context: FaultContext): Promise<void> {
  const { cluster, note } = context;
  const node = await leaderOf(context);
  const lostId = node.id;
  note(`wipe ${node.name}`);
  await node.kill();
  await cluster.startEmpty(node);
  if (node.id === lostId) throw new Error(`${node.name} came back as the one that it was`);
  await faultPause(context, 3_000);
  note(`remove what ${node.name} was`);
  await untilDone(context, ["cluster", "remove", lostId, "--force", "--yes"]);
}

async function replaceOne(context: FaultContext): Promise<void> {
  const { cluster, note } = context;
  const leaving = someOf(context);
  const added = await cluster.add();
  note(`added ${added.name}`);
  await faultPause(context, 3_000);
  note(`drain ${leaving.name}`);
  const { id } = leaving;
  await untilDone(context, ["cluster", "drain", id]);
  note(`remove ${leaving.name}`);
  // Refused as long as there is something on it.
  await untilDone(context, ["cluster", "remove", id, "--yes"]);
  await cluster.forget(leaving);
  note(`${leaving.name} is gone`);
}

/** Meanwhile one server after the other is killed and started again, whatever it is about to do. */
async function whileKilling(context: FaultContext, change: () => Promise<void>): Promise<void> {
  const { cluster, note } = context;
  let isOver = false;
  const kill = async (): Promise<void> => {
    while (!isOver) {
      const node = someOf(context);
      // Whoever adds a server waits until it is ready.
      if (!isListening(node)) {
        await faultPause(context, 100);
        continue;
      }
      note(`kill ${node.name}`);
      await node.kill();
      await faultPause(context, 500, 0);
      if (!cluster.nodes.includes(node)) continue;
      note(`start ${node.name}`);
      // One that is being removed may be told so.
      await cluster.restart(node).catch((error: unknown) => {
        if (cluster.nodes.includes(node)) throw error;
      });
      await faultPause(context, 3_000, 1_000);
    }
  };
  const killing = kill();
  try {
    await Promise.race([change(), killing]);
  } finally {
    isOver = true;
  }
  await killing;
}

async function moveLeaders(context: FaultContext): Promise<void> {
  const { cluster, note } = context;
  for (const topic of ["default", "orders", "expecting", "_cluster"]) {
    note(`move the leader of ${topic}`);
    await untilDone(context, ["cluster", "transfer", topic]);
    await faultPause(context, 500, 0);
  }
  await cluster.whenSettled();
}

/** Tries a command until it succeeds. */
async function untilDone({ cluster, note }: FaultContext, words: readonly string[]) {
  let last = "";
  await until(words.join(" "), REMOVED_MS_MAX, async () => {
    const { code, text } = await cluster.command(...words);
    if (code !== 0 && text !== last) note(`${words.join(" ")}: ${text.trim().slice(0, 300)}`);
    last = text;
    return code === 0 ? true : undefined;
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${last.slice(0, 1_000)}`);
  });
}

function isListening(node: ClusterNode): boolean {
  return /^listening on /m.test(node.log);
}

function someOf({ cluster, random }: FaultContext): ClusterNode {
  const node = cluster.nodes[integerFrom(random, 0, cluster.nodes.length - 1)];
  if (node === undefined) throw new Error("The cluster has no servers");
  return node;
}
