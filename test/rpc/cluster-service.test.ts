import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { ProglogError } from "../../src/base/errors.ts";
import type { ReplicaInfo } from "../../src/cluster/cluster-view.ts";
import {
  ClusterService,
  ReplicaRole,
  ServerHealth,
  ServerState,
} from "../../src/gen/proglog/v1/cluster_service_pb.ts";
import { memberAt } from "../support/fake-cluster.ts";
import { clientsOf, failsWith, GRPC, startApi, until, WAYS } from "./api.ts";
import { startPair, startServer, type TestServer } from "./servers.ts";

const clientOf = ({ port }: { readonly port: number }, way = GRPC) =>
  createClient(ClusterService, way.open(port));

function replica(topic: string, nodeId: string, lagEntries?: number): ReplicaInfo {
  const role = nodeId === "leader" ? "leader" : "voter";
  return { topic, topicId: 1, nodeId, role, lagEntries };
}

async function startTrio(t: TestContext) {
  const { leader, other } = await startPair(t);
  const members = [memberAt("leader", leader.address), memberAt("other"), memberAt("third")];
  leader.cluster.memberList = members;
  other.cluster.memberList = members;
  return { leader, other };
}

test("fields that cannot be meant are refused, each by its name", async (t) => {
  const { leader } = await startTrio(t);
  for (const way of [GRPC, ...WAYS.filter(({ isBinary }) => !isBinary)]) {
    const cluster = clientOf(leader, way);
    const refused = async (call: Promise<unknown>, field: string) =>
      assert.equal((await failsWith(call, "FIELD_INVALID"))["field"], field, way.name);
    await refused(cluster.listServers({ pageSize: -1 }), "page_size");
    await refused(cluster.listServers({ pageToken: "made up" }), "page_token");
    for (const address of ["", "host", "host:0", "http://host:1", "a b:1", "host:123456"]) {
      await refused(cluster.addServer({ address }), "address");
    }
    await refused(cluster.updateServer({}), "server.id");
    await refused(cluster.updateServer({ server: { id: "other" } }), "server");
    const zone = "no zone";
    await refused(cluster.updateServer({ server: { id: "other", zone } }), "server.zone");
    const paths = (...names: string[]) => ({
      server: { id: "other" },
      updateMask: { paths: names },
    });
    await refused(cluster.updateServer(paths("address")), "update_mask");
    await refused(cluster.updateServer(paths("state")), "server.state");
    await refused(cluster.removeServer({}), "server_id");
    await refused(cluster.removeServer({ serverId: "x".repeat(300) }), "server_id");
    const topic = "default";
    await refused(cluster.moveReplica({ topic }), "source_server_id");
    await refused(cluster.moveReplica({ topic, sourceServerId: "a" }), "target_server_id");
    const same = { topic, sourceServerId: "a", targetServerId: "a" };
    await refused(cluster.moveReplica(same), "target_server_id");
    await failsWith(cluster.moveReplica({ topic: "A" }), "TOPIC_NAME_INVALID");
    await failsWith(cluster.transferLeadership({ topic: "" }), "TOPIC_NAME_INVALID");
    await failsWith(cluster.listReplicas({ topic: "A" }), "TOPIC_NAME_INVALID");
  }
  assert.deepEqual(leader.cluster.asked, []);
});

test("a state that this server does not know is refused", async (t) => {
  const { leader } = await startTrio(t);
  const server = { id: "other", state: 9 as ServerState };
  const metadata = await failsWith(clientOf(leader).updateServer({ server }), "FIELD_INVALID");
  assert.equal(metadata["field"], "server.state");
});

test("changes are made by the catalogue's leader, whichever server is asked", async (t) => {
  for (const way of WAYS) {
    const { leader, other } = await startTrio(t);
    leader.cluster.plan = {
      moves: [{ topic: "a", sourceNodeId: "other", targetNodeId: "third" }],
      transfers: [{ topic: "b", targetNodeId: "third" }],
    };
    const cluster = clientOf(other, way);
    const added = await cluster.addServer({ address: "[fd00::7]:8400" });
    assert.equal(added.server?.address, "[fd00::7]:8400");
    const id = "third";
    const drained = await cluster.updateServer({ server: { id, state: ServerState.DRAINING } });
    assert.equal(drained.server?.state, ServerState.DRAINING);
    const updateMask = { paths: ["zone"] };
    await cluster.updateServer({
      server: { id, zone: "z", state: ServerState.ACTIVE },
      updateMask,
    });
    await cluster.updateServer({ server: { id }, updateMask });
    await cluster.moveReplica({ topic: "a", sourceServerId: "other", targetServerId: id });
    const { moves, transfers } = await cluster.rebalance({ validateOnly: true });
    assert.deepEqual(
      [moves[0]?.sourceServerId, moves[0]?.targetServerId, transfers[0]?.serverId],
      ["other", "third", "third"],
    );
    await cluster.rebalance({});
    await cluster.removeServer({ serverId: id, force: true });
    assert.deepEqual(leader.cluster.asked, [
      "add [fd00::7]:8400",
      'update third {"state":"draining"}',
      'update third {"zone":"z"}',
      'update third {"zone":""}',
      "move a from other to third",
      "plan",
      "rebalance",
      "remove third by force",
    ]);
    assert.deepEqual(other.cluster.asked, [], way.name);
  }
});

test("leadership is handed over by who leads the topic", async (t) => {
  const { leader, other } = await startTrio(t);
  const third = await startServer(t, "third");
  other.cluster.lead("mine", third.route());
  const answer = await clientOf(other).transferLeadership({ topic: "mine", serverId: "leader" });
  assert.deepEqual([answer.leader?.serverId, answer.leader?.term], ["leader", 2n]);
  await clientOf(other).transferLeadership({ topic: "_cluster" });
  assert.deepEqual(third.cluster.asked, ["transfer mine to leader"]);
  assert.deepEqual(leader.cluster.asked, ["transfer _cluster to anyone"]);
});

test("what the cluster refuses is told as it is", async (t) => {
  const { leader, other } = await startTrio(t);
  const cluster = clientOf(other);
  await failsWith(cluster.removeServer({ serverId: "nobody" }), "SERVER_NOT_FOUND");
  leader.cluster.refuseNext = new ProglogError("SERVER_HAS_REPLICAS", "It has 3", {
    metadata: { serverId: "third", replicaCount: "3" },
  });
  const metadata = await failsWith(
    cluster.removeServer({ serverId: "third" }),
    "SERVER_HAS_REPLICAS",
  );
  assert.equal(metadata["replicaCount"], "3");
});

test("status and members are told while nobody leads, by the server that is asked", async (t) => {
  const { other } = await startTrio(t);
  other.cluster.lead("_cluster", { kind: "unknown" });
  other.cluster.memberList = [
    { ...memberAt("a"), zone: "z1", state: "draining", isUp: false },
    { ...memberAt("b"), isUp: undefined },
  ];
  for (const way of WAYS) {
    const cluster = clientOf(other, way);
    const status = await cluster.getStatus({});
    assert.equal(status.leader, undefined);
    assert.deepEqual(
      [status.clusterId, status.serverId, status.servers, status.serversDown],
      ["cluster-1", "other", 2, 1],
    );
    const { servers } = await cluster.listServers({});
    assert.deepEqual(
      servers.map(({ id, zone, state, health }) => [id, zone, state, health]),
      [
        ["a", "z1", ServerState.DRAINING, ServerHealth.DOWN],
        ["b", "", ServerState.ACTIVE, ServerHealth.UNSPECIFIED],
      ],
      way.name,
    );
  }
});

test("lists come in pages, whichever server gives them", async (t) => {
  const { leader, other } = await startTrio(t);
  const replicas = ["a", "a-b", "b"].flatMap((topic) => [
    replica(topic, "leader"),
    replica(topic, "other"),
  ]);
  leader.cluster.replicaList = replicas;
  other.cluster.replicaList = replicas;
  const [one, two] = [clientOf(leader), clientOf(other)];
  const found: string[] = [];
  let pageToken = "";
  let pages = 0;
  do {
    const page = await (pages % 2 === 0 ? one : two).listReplicas({ pageSize: 4, pageToken });
    found.push(...page.replicas.map(({ topic, serverId }) => `${topic} ${serverId}`));
    pageToken = page.nextPageToken;
    pages += 1;
  } while (pageToken !== "");
  assert.deepEqual(
    found,
    replicas.map(({ topic, nodeId }) => `${topic} ${nodeId}`),
  );
  assert.equal(pages, 2);
  const first = await one.listReplicas({ pageSize: 1 });
  assert.equal(
    (
      await failsWith(
        one.listReplicas({ serverId: "other", pageToken: first.nextPageToken }),
        "FIELD_INVALID",
      )
    )["field"],
    "page_token",
  );
  await failsWith(one.listServers({ pageToken: first.nextPageToken }), "FIELD_INVALID");
  const servers = await two.listServers({ pageSize: 2 });
  const rest = await two.listServers({ pageToken: servers.nextPageToken });
  assert.deepEqual(
    [...servers.servers, ...rest.servers].map(({ id }) => id),
    ["leader", "other", "third"],
  );
  assert.equal(rest.nextPageToken, "");
  const { replicas: mine } = await two.listReplicas({ serverId: "other" });
  assert.equal(mine.length, 3);
});

test("how far replicas are behind is asked of the leader, and told without it when it is away", async (t) => {
  const { leader, other } = await startTrio(t);
  const replicas = (lag?: number) => [
    replica("default", "leader", lag),
    replica("default", "other"),
  ];
  leader.cluster.replicaList = replicas(0);
  other.cluster.replicaList = replicas();
  const lags = async (server: TestServer) => {
    const answer = await clientOf(server).listReplicas({ topic: "default" });
    return answer.replicas.map(({ role, lagEntries }) => [role, lagEntries]);
  };
  const { LEADER, VOTER } = ReplicaRole;
  const known = [
    [LEADER, 0n],
    [VOTER, undefined],
  ];
  const unknown = [
    [LEADER, undefined],
    [VOTER, undefined],
  ];
  assert.deepEqual(await lags(leader), known);
  assert.deepEqual(await lags(other), known);
  leader.state.drain();
  assert.deepEqual(await lags(other), unknown);
  const gone = { nodeId: "gone", address: "127.0.0.1:1", term: 2 };
  other.cluster.lead("default", { kind: "there", leader: gone });
  assert.deepEqual(await lags(other), unknown);
});

test("a call that gives up is given up in the cluster", async (t) => {
  const { leader } = await startTrio(t);
  let isGivenUp = false;
  leader.cluster.addServer = (_address, { caller }) =>
    new Promise((_, reject) => {
      caller?.whenAborted(() => {
        isGivenUp = true;
        reject(caller.reason);
      });
    });
  const call = clientOf(leader).addServer({ address: "a:1" }, { timeoutMs: 100 });
  await assert.rejects(call);
  await until(() => isGivenUp);
});

test("a server that is made without a cluster says so, and serves its topics", async (t) => {
  const api = await startApi(t);
  await failsWith(clientOf(api).getStatus({}), "UNIMPLEMENTED");
  await clientsOf(api.port).log.consume({ topic: "default" });
});
