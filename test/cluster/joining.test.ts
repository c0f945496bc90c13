import assert from "node:assert/strict";
import { test } from "node:test";
import { readAll } from "./harness.ts";
import { Several } from "./several.ts";

test("A second and a third server join: all topics come to have three voters", async () => {
  const cluster = new Several();
  await cluster.start("a");
  await cluster.append("default", "one");
  await cluster.start("b");
  await cluster.start("c");
  await cluster.until(() => cluster.isReplicated("default") && cluster.isReplicated("_cluster"));
  await cluster.append("default", "two");
  for (const name of ["a", "b", "c"]) {
    const node = cluster.node(name);
    await cluster.until(() => node.topics.topic("default").status().nextOffset === 2);
    assert.deepEqual(await cluster.run(readAll(node, "default")), ["one", "two"]);
  }
});

test("A new topic has a leader at once, not after an election time-out", async () => {
  const cluster = await Several.three();
  for (const topic of ["red", "green", "blue", "black"]) {
    const beganMs = cluster.clock.monotonicMs();
    await cluster.create(topic);
    await cluster.append(topic, "one");
    assert(cluster.clock.monotonicMs() - beganMs < 300);
  }
  const leaders = ["red", "green", "blue"].map((topic) => cluster.leader(topic)?.name);
  assert.equal(new Set(leaders).size, 3, `one each, and not ${leaders}`);
});

test("A server that waits can be added by the address that it has", async () => {
  const cluster = new Several();
  const { cluster: view } = await cluster.start("a");
  const waiting = [
    cluster.begin("b", { join: ["nowhere:1"] }),
    cluster.begin("c", { join: ["c:7420", "nowhere:1", "nowhere:2"], bootstrapExpect: 3 }),
  ];
  await cluster.clock.advance(5_000);
  assert.equal(view.members().length, 1);
  for (const address of ["b:7420", "c:7420"]) {
    const added = await cluster.run(view.addServer(address, {}));
    assert.equal(added.address, address);
  }
  await cluster.run(Promise.all(waiting));
  await cluster.until(() => cluster.isReplicated("default"));
  const again = cluster.run(view.addServer("b:7420", {}));
  await assert.rejects(again, { reason: "SERVER_EXISTS" });
  const nobody = cluster.run(view.addServer("nobody:1", {}));
  await assert.rejects(nobody, { reason: "SERVER_UNREACHABLE" });
});

test("A server of another cluster is not added, and does not come", async () => {
  const cluster = new Several();
  const { cluster: view } = await cluster.start("a");
  await cluster.start("x", { join: [] });
  await assert.rejects(cluster.run(view.addServer("x:7420", {})), { reason: "CLUSTER_FOREIGN" });
  cluster.kill("x");
  const joining = await cluster.start("x", { join: ["a:7420"] });
  await cluster.clock.advance(5_000);
  assert.equal(view.members().length, 1);
  assert.notEqual(joining.cluster.clusterId, view.clusterId);
});

test("A server that is not reached where it says it is does not become a member", async () => {
  const cluster = await Several.three();
  const leader = await cluster.leads("_cluster");
  const [asker, other] = cluster.running().filter(({ name }) => name !== leader.name);
  const port = cluster.network.port(asker?.name ?? "");
  assert.ok(port !== undefined && other !== undefined);
  const request = {
    ...{ nodeId: "0123456789abcdef", zone: "", version: "", featureLevel: 1, clusterId: "" },
    folderNonce: "00",
  };
  const join = (address: string) =>
    cluster.run(port.peers.join(leader.address, { ...request, address }, { timeoutMs: 20_000 }));
  await assert.rejects(join("nowhere:1"), { reason: "SERVER_UNREACHABLE" });
  await assert.rejects(join(other.address), { reason: "FIELD_INVALID" });
  assert.equal(leader.node.cluster.members().length, 3);
});
