import assert from "node:assert/strict";
import { test } from "node:test";
import { readAll } from "./harness.ts";
import { Several } from "./several.ts";

const FOUR = ["a", "b", "c", "d"];

async function four(): Promise<Several> {
  const cluster = await Several.three();
  await cluster.start("d");
  await cluster.create("events");
  await cluster.append("events", "one");
  return cluster;
}

/** Drains a server of which `_cluster` is led elsewhere, until it holds nothing. */
async function drain(cluster: Several, name: string): Promise<string> {
  const { id } = cluster.server(name);
  const { node } = await cluster.leads("_cluster");
  await cluster.run(node.cluster.updateServer(id, { state: "draining" }, {}));
  const holds = () => node.cluster.replicas({ nodeId: id }).filter(({ topic }) => topic[0] !== "_");
  await cluster.until(() => holds().length === 0);
  return id;
}

async function remove(cluster: Several, id: string, force = false): Promise<void> {
  await cluster.until(() => cluster.leader("_cluster") !== undefined);
  const { node } = await cluster.leads("_cluster");
  await cluster.run(node.cluster.removeServer(id, force, {}));
}

test("A drained server holds nothing, is removed, and ends with what to do", async () => {
  const cluster = await four();
  const name = cluster.leader("events")?.name ?? "";
  const id = await drain(cluster, name);
  await cluster.until(() => cluster.leader("_cluster")?.name !== name);
  await remove(cluster, id);
  const server = cluster.server(name);
  await cluster.until(() => server.failures.length > 0);
  assert.match(String(server.failures[0]), /was removed from cluster.*empty data folder/);
  const before = server.fs.dump().size;
  cluster.kill(name);
  assert(before > 0, "its data stays");
  const again = cluster.start(name);
  await assert.rejects(again, { reason: "SERVER_REMOVED" });
  await cluster.append("events", "two");
  for (const { node, name: other } of cluster.running()) {
    assert(FOUR.includes(other));
    await cluster.until(() => node.topics.topic("events").status().nextOffset === 2);
    assert.deepEqual(await cluster.run(readAll(node, "events")), ["one", "two"]);
  }
});

test("A server that holds replicas is not removed, unless it is forced", async () => {
  const cluster = await four();
  const name = cluster.running().find(({ name: at }) => {
    const holds = cluster.replicas("events").some((replica) => replica.startsWith(`${at} `));
    return holds && cluster.leader("_cluster")?.name !== at;
  })?.name;
  const { id } = cluster.server(name ?? "");
  await assert.rejects(remove(cluster, id), { reason: "SERVER_HAS_REPLICAS" });
  await remove(cluster, id, true);
  await cluster.until(() => cluster.server(name ?? "").failures.length > 0);
  cluster.kill(name ?? "");
  await cluster.until(() => cluster.isReplicated("events"));
  await cluster.append("events", "two");
});

test("A server that was removed while it was down is told so when it returns", async () => {
  const cluster = await four();
  const { id } = cluster.server("d");
  cluster.kill("d");
  await cluster.clock.advance(5_000);
  await remove(cluster, id, true);
  cluster.begin("d").catch(() => {});
  const server = cluster.server("d");
  await cluster.until(() => server.failures.length > 0);
  assert.match(String(server.failures[0]), /was removed from cluster/);
});

for (const name of FOUR) {
  test(`A server that was removed while it was cut off is told so later (${name})`, async () => {
    const cluster = await four();
    const { id } = cluster.server(name);
    const others = FOUR.filter((other) => other !== name);
    cluster.network.partition([[name], others]);
    await cluster.clock.advance(20_000);
    await remove(cluster, id, true);
    await cluster.clock.advance(20_000);
    cluster.network.heal();
    await cluster.until(() => cluster.server(name).failures.length > 0);
    assert.match(String(cluster.server(name).failures[0]), /was removed from cluster/);
  });
}

test("Topics at rest get another leader when theirs is removed by force", async () => {
  const cluster = await four();
  const first = await cluster.leads("_cluster");
  const name = FOUR.find((other) => {
    const holds = cluster.replicas("events").some((replica) => replica.startsWith(`${other} `));
    return other !== first.name && holds;
  });
  const { id } = cluster.server(name ?? "");
  await cluster.run(
    (await cluster.leads("events")).node.cluster.transferLeadership("events", id, {}),
  );
  await cluster.clock.advance(9_000);
  assert.equal(cluster.leader("events")?.name, name);
  await remove(cluster, id, true);
  const others = cluster.running().filter((server) => server.name !== name);
  const leads = () =>
    others.some(({ node }) => node.cluster.routeTopic("events", "leader").kind === "here");
  await cluster.until(leads, 10_000);
  cluster.kill(name ?? "");
  await cluster.append("events", "two");
});

test("Removals that come at once are judged one after the other", async () => {
  const cluster = await Several.three();
  const { node, name } = await cluster.leads("_cluster");
  const others = cluster.running().filter((server) => server.name !== name);
  const removing = others.map(({ id }) => node.cluster.removeServer(id, true, {}));
  const results = await cluster.run(Promise.allSettled(removing));
  const refused = results.flatMap((result) => (result.status === "rejected" ? [result] : []));
  assert.deepEqual(
    refused.map(({ reason }) => reason.reason),
    ["QUORUM_AT_RISK"],
  );
  await cluster.clock.advance(5_000);
  await cluster.append("default", "goes on");
});

test("Two servers of a topic are not removed before it has let the first one go", async () => {
  const cluster = await Several.three();
  for (const name of ["d", "e"]) await cluster.start(name);
  await cluster.create("events");
  await cluster.append("events", "one");
  const holders = ["a", "b", "c", "d", "e"].filter((name) =>
    cluster.replicas("events").some((replica) => replica.startsWith(`${name} `)),
  );
  const away = ["a", "b", "c"].find((name) => !holders.includes(name));
  if (away !== undefined && cluster.leader("_cluster")?.name !== away) {
    const { id } = cluster.server(away);
    const { node } = await cluster.leads("_cluster");
    await cluster.run(node.cluster.transferLeadership("_cluster", id, {})).catch(() => {});
  }
  const { node, name } = await cluster.leads("_cluster");
  const leaving = holders.filter((holder) => holder !== name).slice(0, 2);
  const ids = leaving.map((holder) => cluster.server(holder).id);
  await cluster.run(node.cluster.removeServer(ids[0] ?? "", true, {}));
  const second = await cluster.run(
    Promise.allSettled([node.cluster.removeServer(ids[1] ?? "", true, {})]),
  );
  if (second[0]?.status === "rejected") assert.equal(second[0].reason.reason, "QUORUM_AT_RISK");
  await cluster.clock.advance(3_000);
  await cluster.append("events", "two");
});

test("A removal that would leave no majority is refused, also with force", async () => {
  const cluster = await Several.three();
  await cluster.create("events");
  cluster.kill("c");
  await cluster.clock.advance(10_000);
  const { node, name } = await cluster.leads("_cluster");
  const other = cluster.running().find((server) => server.name !== name);
  const removing = cluster.run(node.cluster.removeServer(other?.id ?? "", true, {}));
  await assert.rejects(removing, { reason: "QUORUM_AT_RISK" });
});
