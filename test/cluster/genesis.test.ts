import assert from "node:assert/strict";
import { test } from "node:test";
import { writeNodeFile } from "../../src/storage/node-file.ts";
import { makeRandom } from "../support/prng.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { readAll } from "./harness.ts";
import { Several } from "./several.ts";

const SEEDS = ["a:7420", "b:7420", "c:7420"];
const TOGETHER = { join: SEEDS, bootstrapExpect: 3 };

test("Three servers that start together found one cluster", async () => {
  const cluster = new Several();
  const opening = ["a", "b", "c"].map((name) => cluster.begin(name, TOGETHER));
  await cluster.run(Promise.all(opening));
  await cluster.until(() => cluster.isReplicated("default") && cluster.isReplicated("_cluster"));
  const ids = new Set(cluster.running().map(({ node }) => node.cluster.clusterId));
  assert.equal(ids.size, 1);
  await cluster.append("default", "one");
});

test("Two of three wait, and a server that stops while it waits begins again", async () => {
  const cluster = new Several();
  const first = [cluster.begin("a", TOGETHER), cluster.begin("b", TOGETHER)];
  for (const opening of first) opening.catch(() => {});
  await cluster.clock.advance(10_000);
  assert.equal(cluster.running().length, 0);
  cluster.cutPower("b");
  const rest = [cluster.begin("b", TOGETHER), cluster.begin("c", TOGETHER)];
  await cluster.run(Promise.all([first[0], ...rest]));
  await cluster.until(() => cluster.isReplicated("default"));
  assert.equal(new Set(cluster.running().map(({ node }) => node.cluster.clusterId)).size, 1);
});

test("A server that returns with another address is found again", async () => {
  const cluster = await Several.three();
  await cluster.create("events");
  const { id } = cluster.server("c");
  await cluster.stop("c");
  await cluster.append("events", "one");
  const node = await cluster.start("c", { address: "elsewhere:9", join: [] });
  await cluster.until(() => node.topics.topic("events").status().nextOffset === 1);
  const member = () =>
    cluster
      .node("a")
      .cluster.members()
      .find(({ nodeId }) => nodeId === id);
  await cluster.until(() => member()?.address === "elsewhere:9");
});

for (let seed = 1; seed <= 6; seed += 1) {
  test(`Two servers that exchange their addresses are found by the third (seed ${seed})`, async () => {
    const cluster = await Several.three(seed);
    const join = ["a:7420", "b:7420", "c:7420"];
    cluster.kill("a");
    cluster.kill("b");
    await cluster.clock.advance(seed * 300);
    cluster.begin("a", { address: "b:7420", join }).catch(() => {});
    await cluster.clock.advance((seed % 3) * 100);
    cluster.begin("b", { address: "a:7420", join }).catch(() => {});
    await cluster.until(() => cluster.running().length === 3);
    await cluster.clock.advance(5_000);
    await cluster.append("default", "one");
    cluster.kill("c");
    await cluster.append("default", "two");
  });
}

test("All servers that return with other addresses find each other by what they are told", async () => {
  const cluster = await Several.three();
  await cluster.append("default", "one");
  for (const name of ["a", "b", "c"]) await cluster.stop(name);
  const join = ["a:1", "b:1", "c:1"];
  const opening = ["a", "b", "c"].map((name) =>
    cluster.begin(name, { address: `${name}:1`, join }),
  );
  await cluster.run(Promise.all(opening));
  await cluster.append("default", "two");
});

test("A server with data of another cluster is refused", async () => {
  const cluster = new Several();
  const { cluster: view } = await cluster.start("a");
  const { identity } = await cluster.start("x", { join: [] });
  const port = cluster.server("x").life?.port;
  assert(port !== undefined);
  const request = { ...identity, address: "x:7420", zone: "", version: "", featureLevel: 1 };
  const joining = cluster.run(port.peers.join("a:7420", request));
  await assert.rejects(joining, { reason: "CLUSTER_FOREIGN" });
  assert.equal(view.members().length, 1);
});

test("Another server with the id of a member is refused", async () => {
  const cluster = await Several.three();
  const twin = cluster.server("twin");
  const identity = { ...cluster.node("b").identity, clusterId: "", folderNonce: "00ff" };
  await writeNodeFile(twin.fs, identity);
  const starting = cluster.start("twin");
  await assert.rejects(starting, { reason: "SERVER_ID_TAKEN" });
  assert.equal(cluster.node("a").cluster.members().length, 3);
});

test("A voter whose journal is gone does not start", async () => {
  const cluster = await Several.three();
  await cluster.stop("b");
  const server = cluster.server("b");
  const files = [...server.fs.dump()].filter(([path]) => !path.startsWith("journal/"));
  server.fs = SimFileSystem.fromDump(makeRandom(9), new Map(files));
  await assert.rejects(cluster.start("b"), { reason: "JOURNAL_CORRUPT" });
});

test("A server whose folder was wiped returns as a new one and loses nothing", async () => {
  const cluster = await Several.three();
  await cluster.append("default", "one");
  const { id } = cluster.server("b");
  await cluster.stop("b");
  cluster.server("b").fs = new SimFileSystem(makeRandom(9));
  const node = await cluster.start("b");
  assert.notEqual(node.identity.nodeId, id);
  await cluster.append("default", "two");
  await cluster.clock.advance(4_000);
  const leader = await cluster.leads("_cluster");
  await cluster.run(leader.node.cluster.removeServer(id, true, {}));
  await cluster.until(() => cluster.isReplicated("default") && cluster.isReplicated("_cluster"));
  await cluster.until(() => node.topics.topic("default").status().nextOffset === 2);
  assert.deepEqual(await cluster.run(readAll(node, "default")), ["one", "two"]);
});
