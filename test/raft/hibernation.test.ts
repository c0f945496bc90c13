import assert from "node:assert/strict";
import { test } from "node:test";
import { type Member, RaftCluster } from "./raft-cluster.ts";
import { settled } from "./settled.ts";

const LIMITS = { idleTicks: 10 };

async function resting(): Promise<{ cluster: RaftCluster; leader: Member }> {
  const cluster = await RaftCluster.started({ limits: LIMITS });
  await cluster.run(5000);
  const { leader } = cluster;
  assert.ok(leader !== undefined);
  assert.deepEqual(awake(cluster), [], "it does not rest");
  return { cluster, leader };
}

function awake(cluster: RaftCluster): number[] {
  return cluster.members.filter(({ node }) => node?.awakeCount === 1).map(({ id }) => id);
}

function assertWell(cluster: RaftCluster): void {
  for (const { failures } of cluster.members) assert.deepEqual(failures, []);
}

test("a group at rest sends nothing, calls nothing, and keeps its leader", async () => {
  const { cluster, leader } = await resting();
  const before = cluster.sentCount;
  for (const { core } of cluster.members) {
    assert.ok(core !== undefined);
    core.step = () => assert.fail("the core of a group at rest was called");
    core.ready = () => assert.fail("the core of a group at rest was called");
  }
  await cluster.run(60_000);
  assert.equal(cluster.sentCount, before);
  assert.equal(cluster.leader, leader);
  assert.equal(leader.group?.role, "leader");
  assertWell(cluster);
});

test("a proposal, a read on any replica, and what a follower sends wake those that are needed", async () => {
  const { cluster, leader } = await resting();
  const term = leader.group?.term;
  const call = leader.propose("a");
  await cluster.run(100);
  assert.equal(await settled(call), "did a");
  assert.deepEqual(awake(cluster), [1, 2, 3]);
  await cluster.run(5000);
  assert.deepEqual(awake(cluster), []);
  const [follower] = cluster.followers;
  const read = follower?.group?.readIndex() ?? Promise.reject(new Error("It is down"));
  await cluster.run(100);
  assert.equal(await settled(read), "undefined");
  await cluster.run(5000);
  assert.deepEqual(awake(cluster), []);
  assert.equal(leader.group?.term, term, "an election was held for nothing");
  assertWell(cluster);
});

test("when the leader's node is gone, those who rest elect another one", async () => {
  const { cluster, leader } = await resting();
  leader.crash();
  await cluster.run(5000);
  assert.deepEqual(awake(cluster), [], "they were not told yet");
  for (const { node } of cluster.members) node?.unreachable(leader.nodeId);
  await cluster.run(3000);
  const next = cluster.leader;
  assert.ok(next !== undefined && next !== leader);
  const call = next.propose("a");
  await cluster.run(100);
  assert.equal(await settled(call), "did a");
  await cluster.run(5000);
  assert.equal(awake(cluster).length, 2, "no rest while somebody is missing");
  leader.start().catch(() => {});
  await cluster.run(10_000);
  assert.deepEqual(leader.machine.applied, ["a"]);
  assert.deepEqual(awake(cluster), []);
  assertWell(cluster);
});

test("a leader that was restarted while all rested is replaced, also when nobody noticed", async () => {
  const { cluster, leader } = await resting();
  leader.crash();
  leader.start().catch(() => {});
  await cluster.run(8000);
  const next = cluster.leader;
  assert.ok(next !== undefined);
  const call = next.propose("a");
  await cluster.run(500);
  assert.equal(await settled(call), "did a");
  await cluster.run(5000);
  for (const { machine } of cluster.members) assert.deepEqual(machine.applied, ["a"]);
  assertWell(cluster);
});

test("a follower that did not hear that the leader rests wakes it, and keeps it", async () => {
  const cluster = await RaftCluster.started({ limits: LIMITS });
  const { leader } = cluster;
  const [deaf] = cluster.followers;
  assert.ok(leader !== undefined && deaf !== undefined);
  let dropped = 0;
  cluster.route = (_from, to, { isQuiesce }) => {
    if (isQuiesce !== true || to !== deaf || dropped > 0) return [1];
    dropped += 1;
    return [];
  };
  const term = leader.group?.term;
  leader.propose("a");
  await cluster.run(20_000);
  assert.equal(dropped, 1);
  assert.deepEqual(awake(cluster), []);
  assert.equal(cluster.leader, leader);
  assert.equal(leader.group?.term, term);
  assertWell(cluster);
});

test("a leader does not rest while somebody is behind", async () => {
  const cluster = await RaftCluster.started({ limits: LIMITS });
  const { leader } = cluster;
  const [slow] = cluster.followers;
  assert.ok(leader !== undefined && slow !== undefined);
  slow.journal.isHung = true;
  leader.propose("a");
  await cluster.run(20_000);
  assert.ok(awake(cluster).includes(leader.id));
  slow.journal.isHung = false;
  await cluster.run(10_000);
  assert.deepEqual(awake(cluster), []);
  assert.deepEqual(slow.machine.applied, ["a"]);
  assertWell(cluster);
});

test("a follower that has something to do does not rest, and disturbs nobody", async () => {
  const cluster = await RaftCluster.started({ limits: LIMITS });
  const { leader } = cluster;
  const [busy] = cluster.followers;
  assert.ok(leader !== undefined && busy !== undefined);
  busy.machine.hasRoom = false;
  leader.propose("a");
  const term = leader.group?.term;
  await cluster.run(15_000);
  assert.ok(awake(cluster).includes(busy.id), "its machine has not applied everything");
  busy.machine.hasRoom = true;
  await cluster.run(15_000);
  assert.deepEqual(busy.machine.applied, ["a"]);
  assert.deepEqual(awake(cluster), []);
  assert.equal(cluster.leader, leader);
  assert.equal(leader.group?.term, term);
  assertWell(cluster);
});

test("an old leader that slept through an election finds out before it answers a read", async () => {
  const { cluster, leader } = await resting();
  cluster.route = (from, to) => ((from === leader) === (to === leader) ? [1] : []);
  for (const { node } of cluster.followers) node?.unreachable(leader.nodeId);
  await cluster.run(4000);
  const next = cluster.leader;
  assert.ok(next !== undefined && next !== leader);
  next.propose("a");
  await cluster.run(100);
  assert.equal(leader.group?.role, "leader", "it has heard of nothing");
  cluster.route = () => [1];
  const read = leader.group?.readIndex() ?? Promise.reject(new Error("It is down"));
  await cluster.run(1000);
  assert.equal(await settled(read), "undefined");
  assert.deepEqual(leader.machine.applied, ["a"]);
  assert.notEqual(leader.group?.role, "leader");
  assertWell(cluster);
});
