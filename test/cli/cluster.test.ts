import assert from "node:assert/strict";
import { afterEach, type TestContext, test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import type { ReplicaInfo } from "../../src/cluster/cluster-view.ts";
import { startServer } from "../rpc/servers.ts";
import { memberAt } from "../support/fake-cluster.ts";
import { CliProcess, killLeftovers } from "./support/run-cli.ts";
import { runHere } from "./support/run-here.ts";

// Goal: what people are told of a cluster, and what is asked of it. Method: the commands against
// the real API over a cluster that a test makes up.

const [ONE, TWO, THREE] = ["11aa-one", "11aa-two", "22bb-three"] as const;

async function startCluster(t: TestContext) {
  const server = await startServer(t, ONE);
  const { cluster } = server;
  cluster.memberList = [
    { ...memberAt(ONE, server.address), zone: "a" },
    memberAt(TWO, "two:8400"),
    { ...memberAt(THREE, "three:8400"), isUp: false, state: "draining" },
  ];
  cluster.replicaList = [
    replica(ONE, "leader", 0),
    replica(TWO, "voter", 3),
    replica(THREE, "learner"),
  ];
  const env = { PROGLOG_SERVER: server.address };
  const run = (line: string) => runHere(line, env);
  return { ...server, cluster, env, run };
}

function replica(nodeId: string, role: ReplicaInfo["role"], lagEntries?: number): ReplicaInfo {
  return { topic: "default", topicId: 1, nodeId, role, lagEntries };
}

afterEach(killLeftovers);

test("a server that is no member exits with 3, what is refused with 4, a slip with 2", async (t) => {
  const { cluster, run } = await startCluster(t);
  const unknown = await run("cluster drain nobody");
  assert.equal(unknown.code, 3);
  assert.match(unknown.stderr, /^There is no server "nobody"\n.*proglog cluster status/);
  const several = await run("cluster drain 11aa");
  assert.equal(several.code, 2);
  assert.match(several.stderr, /Cannot tell which server "11aa" is: it fits 11aa-one, 11aa-two\n/);
  cluster.refuseNext = new ProglogError("SERVER_HAS_REPLICAS", "It holds 2 replicas", {
    metadata: { serverId: TWO, replicaCount: "2" },
  });
  const refused = await run(`cluster remove ${TWO} --yes`);
  assert.equal(refused.code, 4);
  assert.match(refused.stderr, /^It holds 2 replicas\nDrain it first/);
  cluster.refuseNext = new ProglogError("NO_QUORUM", "Nobody leads");
  assert.equal((await run("cluster rebalance")).code, 5);
  const bad = await run("cluster add nowhere");
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /Cannot use address: it is not one, write HOST:PORT\n/);
  assert.deepEqual(
    cluster.asked.filter((what) => !what.startsWith("update nobody")),
    [],
  );
});

test("removing a server asks first, or takes --yes", async (t) => {
  const { cluster, run } = await startCluster(t);
  const unasked = await run("cluster remove 22bb");
  assert.equal(unasked.code, 2);
  assert.match(
    unasked.stderr,
    /Cannot ask "Remove server 22bb-three, which holds 1 replica, for good\?": .* add --yes\n/,
  );
  assert.deepEqual(cluster.asked, []);
  const done = await run("cluster remove three:8400 --force --yes");
  assert.equal(done.code, 0);
  assert.equal(done.stderr, "Removed server 22bb-three\n");
  assert.deepEqual(cluster.asked, ["remove 22bb-three by force"]);
});

test("status says on one screen whether the cluster is well", async (t) => {
  const { cluster, address, run } = await startCluster(t);
  const leader = { nodeId: TWO, address: "two:8400", term: 4 };
  const status = cluster.status();
  cluster.status = () => ({ ...status, leader, topicsLeaderless: 1, topicsUnderReplicated: 2 });
  const { code, stdout } = await run("cluster status");
  assert.equal(code, 0);
  assert.equal(
    stdout,
    `cluster        cluster-1
answered by    11aa-one
leader         11aa-two at two:8400
servers        3, 1 down
topics         1, 1 without a leader, 2 with too few replicas
feature level  1

SERVER      ADDRESS          ZONE  STATE          HEALTH  VERSION
11aa-one    ${address.padEnd(15)}  a     active         up      1.0.0
11aa-two    two:8400         -     active, leads  up      1.0.0
22bb-three  three:8400       -     draining       down    1.0.0
`,
  );
  const json = JSON.parse((await run("cluster status -o json")).stdout);
  assert.deepEqual([json.serversDown, json.leader.serverId], [1, TWO]);
  cluster.status = () => ({ ...status, leader: undefined });
  assert.match((await run("cluster status")).stdout, /^leader +none$/m);
  const listed = (await run("cluster servers -o json")).stdout.trim().split("\n");
  assert.deepEqual(
    listed.map((line) => [JSON.parse(line).id, JSON.parse(line).health]),
    [
      [ONE, "SERVER_HEALTH_UP"],
      [TWO, "SERVER_HEALTH_UP"],
      [THREE, "SERVER_HEALTH_DOWN"],
    ],
  );
});

test("changes are said, and asked of the cluster by ids", async (t) => {
  const { cluster, run } = await startCluster(t);
  cluster.plan = {
    moves: [{ topic: "default", sourceNodeId: ONE, targetNodeId: THREE }],
    transfers: [{ topic: "default", targetNodeId: TWO }],
  };
  const said = async (line: string) => {
    const { code, stderr } = await run(line);
    assert.equal(code, 0, stderr);
    return stderr;
  };
  assert.equal(await said("cluster add four:8400"), "Added server added at four:8400\n");
  assert.equal(
    await said("cluster drain two:8400"),
    "Draining server 11aa-two: 1 replica to move\n",
  );
  assert.equal(await said("cluster undrain 22bb"), "Server 22bb-three holds replicas again\n");
  assert.equal(
    await said("cluster move default 11aa-one 22bb"),
    "Moving topic default from 11aa-one to 22bb-three\n",
  );
  assert.equal(
    await said("cluster transfer default 22bb"),
    "Server 22bb-three leads topic default\n",
  );
  await said("cluster transfer _cluster");
  assert.equal(await said("cluster rebalance --dry-run"), "Would move 1 replica and 1 leader\n");
  const { stdout, stderr } = await run("cluster rebalance");
  assert.equal(stderr, "Moving 1 replica and 1 leader\n");
  assert.equal(
    stdout,
    `TOPIC    WHAT     FROM      TO
default  replica  11aa-one  22bb-three
default  leader   -         11aa-two
`,
  );
  assert.deepEqual(cluster.asked, [
    "add four:8400",
    'update 11aa-two {"state":"draining"}',
    'update 22bb-three {"state":"active"}',
    "move default from 11aa-one to 22bb-three",
    "transfer default to 22bb-three",
    "transfer _cluster to anyone",
    "plan",
    "rebalance",
  ]);
});

test("drain --wait ends when nothing is left on the server", async (t) => {
  const { cluster, env } = await startCluster(t);
  const draining = new CliProcess(["cluster", "drain", TWO, "--wait"], env);
  await draining.until(() => draining.stderr.includes("1 replica to move"));
  cluster.replicaList = cluster.replicaList.filter(({ nodeId }) => nodeId !== TWO);
  const { code, stderr } = await draining.ended;
  assert.equal(code, 0);
  assert.match(stderr, /Drained server 11aa-two\n$/);
});

test("a topic is described with its replicas, and without a leader as far as it is known", async (t) => {
  const { address, cluster, run } = await startCluster(t);
  const { code, stdout } = await run("topic describe default");
  assert.equal(code, 0);
  assert.match(stdout, /^name +default\n/);
  assert.match(stdout, /^next offset +0$/m);
  assert.match(stdout, /^replication-factor +3 \(default\)$/m);
  assert.match(stdout, /^leader +server-1 at 127.0.0.1:8400$/m);
  assert.ok(
    stdout.endsWith(`
SERVER      ADDRESS          ROLE     LAG  HEALTH
11aa-one    ${address.padEnd(15)}  leader   0    up
11aa-two    two:8400         voter    3    up
22bb-three  three:8400       learner  -    down
`),
    stdout,
  );
  const json = JSON.parse((await run("topic describe default -o json")).stdout);
  assert.equal(json.topic.name, "default");
  assert.deepEqual(
    json.replicas.map(({ serverId, lagEntries }: Record<string, unknown>) => [
      serverId,
      lagEntries,
    ]),
    [
      [ONE, "0"],
      [TWO, "3"],
      [THREE, undefined],
    ],
  );
  assert.equal((await run("topic describe none")).code, 3);
  cluster.lead("default", { kind: "unknown" });
  cluster.keepReplica("default");
  const leaderless = await run("topic describe default --timeout 2s");
  assert.equal(leaderless.code, 0);
  assert.match(leaderless.stderr, /^Nobody leads topic default: its extent may be outdated\n/);
  assert.match(leaderless.stdout, /^leader +none$/m);
});
