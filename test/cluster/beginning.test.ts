import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { awaitBeginning, type Beginning } from "../../src/cluster/bootstrap.ts";
import { GenesisPromises } from "../../src/cluster/genesis-promise.ts";
import { joinCluster } from "../../src/cluster/join-cluster.ts";
import type { GenesisRequest, JoinAnswer, JoinRequest } from "../../src/cluster/peer-host.ts";
import { makeRandom } from "../support/prng.ts";
import { SimClock } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";

const logger = { debug() {}, info() {}, warn() {}, error() {} };
const newDisk = () => new SimFileSystem(makeRandom(1), { turnsMax: 1 });
const SEEDS = ["a:1", "b:1", "c:1"];

interface Seed {
  readonly promises: GenesisPromises;
  clusterId: string;
}

function seedOf(nodeId: string, fs = newDisk(), seeds = SEEDS): Seed {
  const seed: Seed = {
    clusterId: "",
    promises: new GenesisPromises({ fs, nodeId, seeds, clusterId: () => seed.clusterId }),
  };
  return seed;
}

function peersOf(seeds: ReadonlyMap<string, Seed>, isDown: (address: string) => boolean) {
  return {
    async promiseGenesis(address: string, request: GenesisRequest) {
      const seed = seeds.get(address);
      if (seed === undefined || isDown(address)) {
        throw new ProglogError("SERVER_UNREACHABLE", `Cannot reach ${address}`);
      }
      return await seed.promises.ask(request);
    },
  };
}

test("of three that start together one founds the cluster, and the others join", async () => {
  const clock = new SimClock();
  const seeds = new Map(SEEDS.map((address, at) => [address, seedOf(`n${at + 1}`)]));
  let isDown: (address: string) => boolean = (address) => address === "c:1";
  const peers = peersOf(seeds, (address) => isDown(address));
  const controller = new AbortController();
  const ends = new Map<string, Beginning>();
  for (const nodeId of ["n1", "n2", "n3"]) {
    const clusterId = `of-${nodeId}`;
    const { signal } = controller;
    const isInvited = () => false;
    awaitBeginning({
      peers,
      clock,
      logger,
      nodeId,
      clusterId,
      seeds: SEEDS,
      isInvited,
      signal,
    }).then((end) => {
      ends.set(nodeId, end);
      const seed = seeds.get("a:1");
      if (end === "found" && seed !== undefined) seed.clusterId = clusterId;
    });
  }
  await clock.advance(5_000);
  assert.equal(ends.size, 0, "nobody begins while one seed is silent");
  isDown = () => false;
  await clock.advance(2_000);
  assert.deepEqual(Object.fromEntries(ends), { n1: "found", n2: "join", n3: "join" });
});

test("a promise is kept over a restart, and never given to a second one", async () => {
  const fs = newDisk();
  const request = { founderId: "n1", clusterId: "c", seeds: SEEDS };
  assert.equal((await seedOf("n2", fs).promises.ask(request)).promisedNodeId, "n1");
  const again = seedOf("n2", fs).promises;
  assert.equal((await again.ask({ ...request, founderId: "n0" })).promisedNodeId, "n1");
  assert.equal((await again.ask({ ...request, founderId: "" })).promisedNodeId, "n1");
});

test("no promise is given to one that names other seeds, or by a member of a cluster", async () => {
  const other = seedOf("n2", newDisk(), ["a:1", "b:1"]).promises;
  const request = { founderId: "n1", clusterId: "c", seeds: SEEDS };
  await assert.rejects(other.ask(request), { reason: "CLUSTER_NOT_FOUNDED" });
  const member = seedOf("n3");
  member.clusterId = "theirs";
  const answer = await member.promises.ask(request);
  assert.deepEqual(answer, { nodeId: "n3", promisedNodeId: "", clusterId: "theirs" });
});

const REQUEST: JoinRequest = {
  nodeId: "n4",
  address: "d:1",
  zone: "",
  version: "1.0.0",
  featureLevel: 1,
  clusterId: "",
  folderNonce: "00",
};

test("a node asks one seed after the other until it is taken in", async () => {
  const clock = new SimClock();
  const asked: string[] = [];
  const answer: JoinAnswer = { clusterId: "c", clusterReplicaId: 4, members: [] };
  const peers = {
    async join(address: string) {
      asked.push(address);
      if (asked.length < 4) throw new ProglogError("SERVER_UNREACHABLE", "Cannot reach it");
      return answer;
    },
  };
  const { signal } = new AbortController();
  const addresses = () => ["a:1", "b:1"];
  const joining = joinCluster({ peers, clock, logger, addresses, request: REQUEST, signal });
  await clock.advance(3_000);
  assert.equal(await joining, answer);
  assert.deepEqual(asked, ["a:1", "b:1", "a:1", "b:1"]);
});

test("a node that can never be taken in says so at once, and one that stops ends its wait", async () => {
  const clock = new SimClock();
  const foreign = async () => {
    throw new ProglogError("CLUSTER_FOREIGN", "Cannot join: it has another cluster's data");
  };
  const controller = new AbortController();
  const options = { clock, logger, addresses: () => ["a:1"], request: REQUEST };
  const { signal } = controller;
  const refused = joinCluster({ ...options, peers: { join: foreign }, signal });
  await assert.rejects(refused, { reason: "CLUSTER_FOREIGN" });
  const silent = async () => {
    throw new ProglogError("NO_QUORUM", "Cannot join: there is no leader");
  };
  const waiting = joinCluster({ ...options, peers: { join: silent }, signal });
  controller.abort(new ProglogError("DRAINING", "The server is stopping"));
  await assert.rejects(waiting, { reason: "DRAINING" });
});
