import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { KIB, MIB } from "../../src/base/units.ts";
import type { Node } from "../../src/cluster/node.ts";
import { SimCrash } from "../support/sim-file-system.ts";
import { GOOD_LINK } from "../support/sim-network.ts";
import { readAll, texts } from "./harness.ts";
import { Several } from "./several.ts";

const BATCHES = 60;
const BATCH_RECORDS = 10;
const COUNT = BATCHES * BATCH_RECORDS;

/** As large as that, so that the journal lets entries go that a replica lacks which is down. */
function recordOf(number: number): string {
  return `${number}`.padEnd(400, ".");
}

function records(from: number, end: number): string[] {
  return Array.from({ length: end - from }, (_, at) => recordOf(from + at));
}

/** Three servers, of which "c" is down and lacks all of a topic that is no longer in the others' journals. */
async function behind(seed = 1): Promise<Several> {
  const cluster = await Several.three(seed);
  await cluster.create("events");
  cluster.kill("c");
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const first = batch * BATCH_RECORDS;
    const { node } = await cluster.leads("events");
    const topic = node.topics.topic("events");
    await cluster.run(topic.produce({ records: texts(...records(first, first + BATCH_RECORDS)) }));
  }
  return cluster;
}

function hasAll(node: Node): boolean {
  try {
    return node.topics.topic("events").status().nextOffset === COUNT;
  } catch {
    return false;
  }
}

function snapshotsTaken(cluster: Several): number {
  return cluster.server("c").lines.filter((line) => line.includes("takes a snapshot")).length;
}

test("A replica that lacks what the journal no longer has copies the records", async () => {
  const cluster = await behind();
  const before = snapshotsTaken(cluster);
  const node = await cluster.start("c");
  await cluster.until(() => hasAll(node));
  assert(snapshotsTaken(cluster) > before, "else this tests nothing");
  assert.deepEqual(await cluster.run(readAll(node, "events")), records(0, COUNT));
  await cluster.append("events", "after");
  await cluster.until(() => node.topics.topic("events").status().nextOffset === COUNT + 1);
});

test("A replica whose records were all trimmed meanwhile begins where the others do", async () => {
  const cluster = await behind();
  const { node: leader } = await cluster.leads("events");
  await cluster.run(leader.topics.topic("events").trim(500));
  const node = await cluster.start("c");
  await cluster.until(() => hasAll(node));
  assert.equal(node.topics.topic("events").status().firstOffset, 500);
  assert.deepEqual(await cluster.run(readAll(node, "events")), records(500, COUNT));
});

for (const [when, path, steps] of [
  ["the first records", /^write topics\/2\/.*\.log$/, 1],
  ["some records", /^write topics\/2\/.*\.log$/, 20],
  ["many records", /^write topics\/2\/.*\.log$/, 55],
  ["the sync of the records", /^sync topics\/2\/.*\.log$/, 30],
  ["the pending checkpoint", /^rename topics\/2\/checkpoint\.pending\.tmp$/, 1],
  ["the checkpoint", /^rename topics\/2\/checkpoint\.pending$/, 1],
] as const) {
  for (const cut of ["cutPower", "kill"] as const) {
    test(`A copy goes on after a ${cut === "kill" ? "crash" : "power cut"} at ${when}`, async () => {
      const cluster = await behind(steps);
      const server = cluster.server("c");
      let left = steps as number;
      let isReached = false;
      server.fs.onStep((_step, op, at) => {
        if (!path.test(`${op} ${at}`)) return;
        left -= 1;
        if (left > 0) return;
        isReached = true;
        throw new SimCrash();
      });
      cluster.begin("c").catch(() => {});
      await cluster.until(() => isReached);
      cluster[cut]("c");
      const node = await cluster.start("c");
      await cluster.until(() => hasAll(node));
      assert.deepEqual(await cluster.run(readAll(node, "events")), records(0, COUNT));
    });
  }
}

test("A replica catches up with who goes on to append, although checkpoints are written meanwhile", async () => {
  const settings = { checkpointBytes: 16 * KIB, journalBytesMax: 2 * MIB };
  const cluster = await Several.three(1, { settings });
  await cluster.create("events");
  cluster.kill("c");
  let count = 0;
  const append = async (text: string) => {
    const { node: leader } = await cluster.leads("events");
    const topic = leader.topics.topic("events");
    try {
      await cluster.run(topic.produce({ records: texts(text) }));
      count += 1;
    } catch (error) {
      // The leadership goes back to the server that returns.
      if (!hasReason(error, "NOT_LEADER")) throw error;
    }
  };
  // Many entries, and more bytes of them than journals may keep.
  while (count < 4_500) await append("");
  while (count < 5_000) await append(recordOf(count).repeat(10));
  for (const other of ["a", "b"]) {
    cluster.network.setLink(other, "c", { ...GOOD_LINK, latencyMsMin: 2, latencyMsMax: 3 });
  }
  const before = snapshotsTaken(cluster);
  const node = await cluster.start("c", { settings });
  await cluster.until(() => cluster.serves("c", "events"));
  while (node.topics.topic("events").status().nextOffset < count - 20) {
    assert(count < 8_000, "it does not catch up with who goes on to append");
    await append(recordOf(count).repeat(10));
  }
  assert(snapshotsTaken(cluster) > before, "else this tests nothing");
});

test("A new server gets everything while records go on to come", async () => {
  const cluster = await behind();
  await cluster.start("c");
  const node = await cluster.start("d");
  const { id } = cluster.server("a");
  const { node: leader } = await cluster.leads("_cluster");
  const target = cluster.server("d").id;
  const move = { topic: "events", sourceNodeId: id, targetNodeId: target };
  await cluster.run(leader.cluster.moveReplica(move, {}));
  let appended = 0;
  const isMoved = () => cluster.replicas("events").every((replica) => !replica.startsWith("a "));
  while (!isMoved() || appended < 30) {
    await cluster.append("events", recordOf(COUNT + appended));
    appended += 1;
  }
  const end = COUNT + appended;
  await cluster.until(() => node.topics.topic("events").status().nextOffset === end);
  assert.deepEqual(await cluster.run(readAll(node, "events")), records(0, end));
  await cluster.until(() => cluster.files("a", "events").length === 0);
});
