import assert from "node:assert/strict";
import { test } from "node:test";
import { readAll } from "./harness.ts";
import { Several } from "./several.ts";

async function three(seed = 1): Promise<Several> {
  const cluster = await Several.three(seed);
  await cluster.create("events");
  await cluster.append("events", "one", "two");
  return cluster;
}

test("A replica moves to another server, and the old one is removed", async () => {
  const cluster = await three();
  await cluster.start("d");
  const { node } = await cluster.leads("_cluster");
  const [source, target] = [cluster.server("b").id, cluster.server("d").id];
  const move = { topic: "events", sourceNodeId: source, targetNodeId: target };
  await cluster.run(node.cluster.moveReplica(move, {}));
  await cluster.until(() => cluster.files("b", "events").length === 0);
  await cluster.until(() => cluster.isReplicated("events"));
  assert(cluster.replicas("events").some((replica) => replica.startsWith("d ")));
  assert.deepEqual(await cluster.run(readAll(cluster.node("d"), "events")), ["one", "two"]);
});

test("The leader's own replica moves: the leadership goes first", async () => {
  const cluster = await three();
  await cluster.start("d");
  const leader = await cluster.leads("events");
  const { node } = await cluster.leads("_cluster");
  const target = cluster.server("d").id;
  const move = { topic: "events", sourceNodeId: leader.id, targetNodeId: target };
  await cluster.run(node.cluster.moveReplica(move, {}));
  await cluster.until(() => cluster.files(leader.name, "events").length === 0);
  assert.notEqual((await cluster.leads("events")).name, leader.name);
  await cluster.append("events", "three");
});

test("A leadership is handed to the server that is named", async () => {
  const cluster = await three();
  for (const topic of ["events", "_cluster"]) {
    const leader = await cluster.leads(topic);
    const target = cluster.running().find(({ name }) => name !== leader.name);
    const { cluster: view } = leader.node;
    const place = await cluster.run(view.transferLeadership(topic, target?.id ?? "", {}));
    assert.equal(place.nodeId, target?.id);
    assert.equal((await cluster.leads(topic)).name, target?.name);
  }
});

test("A server that is about to stop hands over what it leads, and what others give it meanwhile", async () => {
  const cluster = await three();
  const leaving = await cluster.leads("events");
  await cluster.run(leaving.node.handOver());
  const next = await cluster.leads("events");
  assert.notEqual(next.name, leaving.name);
  // They do not know that it leaves.
  await cluster.run(next.node.cluster.transferLeadership("events", leaving.id, {}).catch(() => {}));
  await cluster.until(() => {
    const leader = cluster.leader("events");
    return leader !== undefined && leader.name !== leaving.name;
  });
  await cluster.append("events", "three");
});

test("A replication factor that changes changes the replicas", async () => {
  const cluster = await three();
  const update = async (replicationFactor: number) => {
    const { node } = await cluster.leads("events");
    await cluster.run(node.topics.update("events", { replicationFactor }, []));
  };
  await update(1);
  await cluster.until(() => cluster.isReplicated("events", 1));
  await cluster.append("events", "three");
  await update(3);
  await cluster.until(() => cluster.isReplicated("events", 3));
  for (const { node } of cluster.running()) {
    assert.deepEqual(await cluster.run(readAll(node, "events")), ["one", "two", "three"]);
  }
});

for (const end of ["kill", "cutPower", "stop"] as const) {
  test(`A topic that is deleted while a server is down is removed there later (${end})`, async () => {
    const cluster = await three();
    const id = cluster.topicId("events");
    await cluster[end]("c");
    const { node } = await cluster.leads("_cluster");
    await cluster.run(node.topics.delete("events"));
    await cluster.create("events");
    await cluster.start("c");
    const isGone = () =>
      [...cluster.server("c").fs.dump().keys()].every((path) => !path.startsWith(`topics/${id}`));
    await cluster.until(isGone);
    await cluster.append("events", "new");
    const { topics } = cluster.node("c");
    await cluster.until(() => topics.topic("events").status().nextOffset === 1);
    assert.deepEqual(cluster.server("c").failures, []);
  });

  test(`A replica that was made by a command which the next start does not know is no damage (${end})`, async () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const cluster = await Several.three(seed);
      const others = ["a", "b", "c"].filter((name) => name !== cluster.leader("_cluster")?.name);
      const [name = "", other = ""] = others;
      await cluster.create("events");
      await cluster[end](name);
      // Nobody tells it what was committed.
      cluster.network.partition([[name], ["a", "b", "c"].filter((at) => at !== name)]);
      cluster.begin(name).catch(() => {});
      await cluster.clock.advance(3_000);
      assert.deepEqual(cluster.server(name).failures, []);
      cluster.network.heal();
      await cluster.until(() => cluster.running().length === 3);
      await cluster.append("events", "one");
      const { topics } = cluster.node(name);
      await cluster.until(() => cluster.serves(name, "events"));
      await cluster.until(() => topics.topic("events").status().nextOffset === 1);
      assert.notEqual(other, "");
    }
  });
}
