import assert from "node:assert/strict";
import { test } from "node:test";
import { NODE_METRICS, nodeMetrics } from "../../src/cluster/node-metrics.ts";
import { Several } from "./several.ts";

/** What one server says, by name and labels. */
function readings(cluster: Several, name: string): Map<string, number> {
  const read = nodeMetrics(() => cluster.server(name).opened).read();
  return new Map(
    read.map((reading) => {
      assert.ok(Object.hasOwn(NODE_METRICS, reading.name), reading.name);
      const labels = Object.values(reading.labels ?? {});
      return [[reading.name, ...labels].join(" "), reading.value];
    }),
  );
}

test("a server that is not open says nothing", () => {
  assert.deepEqual(nodeMetrics(() => undefined).read(), []);
});

test("metrics show who is up, who is drained, and what is led where", async () => {
  const cluster = await Several.three();
  await cluster.create("events");
  await cluster.until(() => cluster.isReplicated("events"));
  await cluster.clock.advance(20_000);
  const ids = new Map(["a", "b", "c"].map((name) => [name, cluster.server(name).id]));
  let led = 0;
  for (const name of ids.keys()) {
    const found = readings(cluster, name);
    assert.equal(found.get("proglog_cluster_members active"), 3);
    assert.equal(found.get("proglog_cluster_members draining"), 0);
    for (const id of ids.values()) assert.equal(found.get(`proglog_cluster_member_up ${id}`), 1);
    assert.equal(found.get("proglog_cluster_has_leader"), 1);
    assert.equal(found.get("proglog_cluster_topics"), 2);
    assert.equal(found.get("proglog_cluster_topics_leaderless"), 0);
    assert.equal(found.get("proglog_cluster_topics_under_replicated"), 0);
    assert.equal(found.get("proglog_raft_groups_awake"), 0, "all rest");
    assert.equal(found.get("proglog_disk_full"), 0);
    led += found.get("proglog_cluster_topics_led") ?? Number.NaN;
  }
  assert.equal(led, 2);
  cluster.kill("c");
  await cluster.clock.advance(10_000);
  const found = readings(cluster, "a");
  assert.equal(found.get(`proglog_cluster_member_up ${ids.get("c")}`), 0);
  assert.equal(found.get(`proglog_cluster_member_up ${ids.get("b")}`), 1);
  assert.equal(found.get("proglog_cluster_members active"), 3, "nobody is removed for being down");
  assert.equal(found.get("proglog_cluster_topics_under_replicated"), 2);
  const { node } = await cluster.leads("_cluster");
  const drained = ids.get("b") ?? "";
  await cluster.run(node.cluster.updateServer(drained, { state: "draining" }, {}));
  await cluster.until(() => readings(cluster, "a").get("proglog_cluster_members draining") === 1);
});

test("without a majority nobody leads, and the metrics say so", async () => {
  const cluster = await Several.three();
  cluster.kill("b");
  cluster.kill("c");
  await cluster.append("default", "nobody acknowledges it").catch(() => {});
  await cluster.clock.advance(20_000);
  const found = readings(cluster, "a");
  assert.equal(found.get("proglog_cluster_has_leader"), 0);
  assert.equal(found.get("proglog_cluster_topics_leaderless"), 1);
});
