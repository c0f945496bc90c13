import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason, ProglogError } from "../../src/base/errors.ts";
import { CoreGroupFailedError, CoreMessageType } from "../../src/raft/core.ts";
import { FakeCall } from "../support/fake-call.ts";
import { settle } from "../support/sim-clock.ts";
import { type Member, RaftCluster } from "./raft-cluster.ts";
import { settled } from "./settled.ts";

const APPEND: number = CoreMessageType.append;
const SNAPSHOT: number = CoreMessageType.snapshot;

const STOPPED = new ProglogError("DRAINING", "Cannot append: stopped");

function leaderOf(cluster: RaftCluster): Member {
  const { leader } = cluster;
  assert.ok(leader !== undefined, "nobody leads");
  return leader;
}

function groupOf(member: Member) {
  assert.ok(member.group !== undefined, `node ${member.id} is down`);
  return member.group;
}

/** Looked at later. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** Cuts a node off, both ways. */
function isolate(cluster: RaftCluster, ...ids: readonly number[]): void {
  cluster.route = (from, to) => (ids.includes(from.id) === ids.includes(to.id) ? [1] : []);
}

function isPair(from: Member, to: Member, one: Member, other: Member): boolean {
  return (from === one && to === other) || (from === other && to === one);
}

function rejoin(cluster: RaftCluster): void {
  cluster.route = () => [1];
}

function assertWell(cluster: RaftCluster): void {
  for (const { failures, poisonedCount } of cluster.members) {
    assert.deepEqual(failures, []);
    assert.equal(poisonedCount, 0);
  }
}

test("an only voter leads at once, and acknowledges what is journalled", async () => {
  const cluster = await RaftCluster.started({ count: 1 });
  const member = cluster.member(1);
  assert.equal(groupOf(member).role, "leader");
  assert.ok(groupOf(member).isLeaderReady);
  assert.equal(groupOf(member).isRecovering, false);
  const calls = ["a", "b", "c"].map((text) => member.propose(text));
  assert.equal(await settled(calls[0] as Promise<string>), "waits");
  assert.deepEqual(member.machine.applied, []);
  await cluster.run(10);
  assert.deepEqual(await Promise.all(calls), ["did a", "did b", "did c"]);
  assert.deepEqual(member.machine.applied, ["a", "b", "c"]);
  await cluster.run(200);
  assert.equal(member.node?.awakeCount, 0, "an only voter needs no ticks");
  assertWell(cluster);
});

test("three voters elect one, which acknowledges what a majority has journalled", async () => {
  const cluster = await RaftCluster.started();
  const leader = leaderOf(cluster);
  const [first, second] = cluster.followers;
  assert.ok(first !== undefined && second !== undefined);
  first.journal.isHung = true;
  second.journal.isHung = true;
  const call = leader.propose("a");
  await cluster.run(500);
  assert.equal(await settled(call), "waits", "it is journalled by the leader alone");
  first.journal.isHung = false;
  await cluster.run(500);
  assert.equal(await settled(call), "did a");
  second.journal.isHung = false;
  await cluster.run(1000);
  for (const { machine } of cluster.members) assert.deepEqual(machine.applied, ["a"]);
  assertWell(cluster);
});

test("a follower refuses, and says who leads", async () => {
  const cluster = await RaftCluster.started();
  const [follower] = cluster.followers;
  assert.ok(follower !== undefined);
  await assert.rejects(follower.propose("a"), (error) => {
    assert.ok(hasReason(error, "NOT_LEADER"));
    assert.equal(error.metadata["leaderReplica"], `${leaderOf(cluster).id}`);
    assert.equal(error.metadata["outcome"], "none");
    return true;
  });
});

test("who gives up learns whether an entry may have come of it", async () => {
  const cluster = await RaftCluster.started();
  const leader = leaderOf(cluster);
  isolate(cluster, leader.id);
  const early = new FakeCall();
  const late = new FakeCall();
  const group = groupOf(leader);
  const first = quietly(group.propose("a", { bytes: 1, caller: late }));
  await cluster.run(10);
  const second = quietly(group.propose("b", { bytes: 1, caller: early }));
  early.abort(new ProglogError("CANCELED", "gone"));
  late.abort(new ProglogError("CANCELED", "gone"));
  assert.equal(await settled(second), "CANCELED none");
  assert.equal(await settled(first), "CANCELED unknown");
  rejoin(cluster);
  await cluster.run(3000);
  for (const { machine } of cluster.members) assert.ok(!machine.applied.includes("b"));
  assertWell(cluster);
});

test("whose deadline comes is told of the quorum that is gone, and of the deadline when it is not", async () => {
  const cluster = await RaftCluster.started({ limits: { forsakenTicks: 1_000 } });
  const leader = leaderOf(cluster);
  const late = new ProglogError("DEADLINE_EXCEEDED", "late");
  const after = async (ms: number) => {
    const caller = new FakeCall();
    const call = quietly(groupOf(leader).propose("a", { bytes: 1, caller }));
    await cluster.run(ms);
    caller.abort(late);
    return await settled(call);
  };
  // They answer, only their disks do not.
  for (const { journal } of cluster.followers) journal.isHung = true;
  assert.equal(await after(2000), "DEADLINE_EXCEEDED unknown");
  for (const { journal } of cluster.followers) journal.isHung = false;
  await cluster.run(1000);
  isolate(cluster, leader.id);
  assert.equal(await after(300), "DEADLINE_EXCEEDED unknown", "it is too early to say");
  assert.equal(await after(600), "NO_QUORUM unknown");
  rejoin(cluster);
  await cluster.run(3000);
  assertWell(cluster);
});

test("who waits when the group stops learns that nobody knows", async () => {
  const cluster = await RaftCluster.started();
  const leader = leaderOf(cluster);
  isolate(cluster, leader.id);
  const call = leader.propose("a");
  await cluster.run(10);
  groupOf(leader).stop(STOPPED);
  assert.equal(await settled(call), "DRAINING unknown");
  assert.equal(await settled(leader.propose("b")), "DRAINING");
  assert.equal(await settled(groupOf(leader).readIndex()), "DRAINING");
});

/** Who waits is patient here: what is looked at is what becomes known in the end. */
const PATIENT = { forsakenTicks: 1_000 };

test("who waits for an entry is told that nobody knows when nobody leads any more", async () => {
  const cluster = await RaftCluster.started();
  const old = leaderOf(cluster);
  isolate(cluster, old.id);
  const lost = old.propose("lost");
  await cluster.run(500);
  assert.equal(await settled(lost), "waits");
  await cluster.run(4000);
  assert.equal(await settled(lost), "NO_QUORUM unknown");
  rejoin(cluster);
  await cluster.run(3000);
  assertWell(cluster);
});

test("what another leader's entry took the place of was refused, as soon as that is applied", async () => {
  const cluster = await RaftCluster.started({ limits: PATIENT });
  const old = leaderOf(cluster);
  isolate(cluster, old.id);
  const lost = old.propose("lost");
  await cluster.run(3000);
  const leader = cluster.members.find((member) => {
    return member !== old && member.group?.role === "leader";
  });
  assert.ok(leader !== undefined, "the others have not elected one");
  const kept = leader.propose("kept");
  await cluster.run(100);
  assert.equal(await settled(kept), "did kept");
  assert.equal(await settled(lost), "waits", "its leader cannot know yet");
  assert.notEqual(groupOf(old).role, "leader", "without a majority nobody goes on leading");
  rejoin(cluster);
  await cluster.run(3000);
  assert.equal(await settled(lost), "NOT_LEADER none");
  for (const { machine } of cluster.members) assert.deepEqual(machine.applied, ["kept"]);
  assertWell(cluster);
});

test("what is only overwritten may come back by another leader, and is told then", async () => {
  const cluster = await RaftCluster.started({ count: 5, limits: PATIENT });
  const first = leaderOf(cluster);
  const [second, ...rest] = cluster.followers;
  assert.ok(second !== undefined);
  // Its entry reaches one other replica.
  cluster.route = (from, to) => (isPair(from, to, first, second) ? [1] : []);
  const call = first.propose("back");
  await cluster.run(100);
  const index = first.journal.lastIndex(first.id);
  assert.equal(second.journal.lastIndex(second.id), index);
  // The others elect one without them, whose entry of that index reaches the first one alone.
  cluster.route = (from, to, { message }) => {
    const isAmongRest = rest.includes(from) && rest.includes(to);
    if (message[0] === APPEND) return rest.includes(from) && to === first ? [1] : [];
    return isAmongRest ? [1] : [];
  };
  await cluster.run(4000);
  const third = rest.find(({ group }) => group?.role === "leader");
  assert.ok(third !== undefined, "the others have not elected one");
  assert.equal(first.journal.termAt(first.id, index), groupOf(third).term, "it is overwritten");
  assert.equal(await settled(call), "waits");
  // That one is gone before anybody else has it; who has the first one's entry is elected.
  third.crash();
  cluster.route = (from, to) => (from === first || to === first ? [] : [1]);
  await cluster.run(6000);
  assert.equal(groupOf(second).role, "leader");
  assert.equal(await settled(call), "waits");
  rejoin(cluster);
  await cluster.run(2000);
  assert.equal(await settled(call), "did back");
  assertWell(cluster);
});

test("a read sees what was acknowledged before it, on every replica", async () => {
  const cluster = await RaftCluster.started();
  const leader = leaderOf(cluster);
  const [follower] = cluster.followers;
  assert.ok(follower !== undefined);
  follower.machine.hasRoom = false;
  const call = leader.propose("a");
  await cluster.run(200);
  assert.equal(await settled(call), "did a");
  const read = groupOf(follower).readIndex();
  await cluster.run(200);
  assert.equal(await settled(read), "waits", "it is not applied there");
  follower.machine.hasRoom = true;
  await cluster.run(200);
  assert.equal(await settled(read), "undefined");
  assert.deepEqual(follower.machine.applied, ["a"]);
  assert.equal(await settled(groupOf(leader).readIndex()), "waits");
  assertWell(cluster);
});

test("without a majority no read is confirmed, and who waits is told", async () => {
  const cluster = await RaftCluster.started();
  const leader = leaderOf(cluster);
  isolate(cluster, leader.id);
  const call = new FakeCall();
  const read = quietly(groupOf(leader).readIndex());
  const given = quietly(groupOf(leader).readIndex(call));
  await cluster.run(1000);
  call.abort(new ProglogError("DEADLINE_EXCEEDED", "late"));
  assert.equal(await settled(given), "NO_QUORUM");
  assert.equal(await settled(read), "waits");
  await cluster.run(6000);
  assert.equal(await settled(read), "NO_QUORUM");
});

test("the leadership is handed over, and acknowledged by the one who has it", async () => {
  const cluster = await RaftCluster.started();
  const old = leaderOf(cluster);
  const [next] = cluster.followers;
  assert.ok(next !== undefined);
  const moved = groupOf(old).transferLeadership(next.id);
  assert.equal(await settled(groupOf(next).transferLeadership(old.id)), "NOT_LEADER none");
  await cluster.run(500);
  assert.equal(await settled(moved), "undefined");
  assert.equal(leaderOf(cluster), next);
  assert.equal(await settled(groupOf(next).transferLeadership(9)), "NOT_A_VOTER");
  next.crash();
  await cluster.run(3000);
  const leader = leaderOf(cluster);
  const failing = quietly(groupOf(leader).transferLeadership(next.id));
  await cluster.run(500);
  assert.equal(await settled(leader.propose("a")), "NOT_LEADER none", "nothing is taken meanwhile");
  await cluster.run(2000);
  assert.equal(await settled(failing), "NO_QUORUM");
  const call = leader.propose("b");
  await cluster.run(200);
  assert.equal(await settled(call), "did b");
});

test("a leader that steps down leads no more", async () => {
  const cluster = await RaftCluster.started();
  const old = leaderOf(cluster);
  groupOf(old).stepDown();
  await settle();
  assert.notEqual(groupOf(old).role, "leader");
  await cluster.run(3000);
  leaderOf(cluster);
});

test("a replica that is added begins with a snapshot, and may vote when it has caught up", async () => {
  const cluster = await RaftCluster.started({ count: 4, voters: [1, 2, 3] });
  const leader = leaderOf(cluster);
  for (const text of ["a", "b", "c"]) {
    leader.propose(text);
    await cluster.run(50);
  }
  leader.save();
  leader.propose("d");
  await cluster.run(50);
  const fourth = cluster.member(4);
  assert.deepEqual(fourth.machine.applied, []);
  const added = groupOf(leader).changeConf([{ type: "add-learner", replicaId: 4 }]);
  assert.equal(
    await settled(groupOf(leader).changeConf([{ type: "add-learner", replicaId: 4 }])),
    "CONF_CHANGE_PENDING",
  );
  await cluster.run(1000);
  assert.equal(await settled(added), "undefined");
  assert.deepEqual(fourth.machine.applied, ["a", "b", "c", "d"]);
  assert.equal(fourth.machine.installs, 1);
  assert.deepEqual(groupOf(fourth).conf.learners, [4]);
  const raised = groupOf(leader).changeConf([
    { type: "add-voter", replicaId: 4 },
    { type: "remove", replicaId: leader.id },
  ]);
  await cluster.run(5000);
  assert.equal(await settled(raised), "undefined");
  const next = leaderOf(cluster);
  assert.notEqual(next, leader, "who does not belong to it cannot lead");
  assert.deepEqual(
    [...groupOf(next).conf.voters].sort(),
    [1, 2, 3, 4].filter((id) => id !== leader.id),
  );
  assert.deepEqual(groupOf(next).conf.votersOutgoing, []);
  const call = next.propose("e");
  await cluster.run(200);
  assert.equal(await settled(call), "did e");
  assertWell(cluster);
});

test("a snapshot that could not be taken, or was lost, is sent again", async () => {
  const cluster = await RaftCluster.started({
    count: 4,
    voters: [1, 2, 3],
    limits: { snapshotTicksMax: 10 },
  });
  const leader = leaderOf(cluster);
  leader.propose("a");
  await cluster.run(100);
  leader.save();
  const fourth = cluster.member(4);
  const offers: number[] = [];
  fourth.machine.install = async ({ index, fromNode }) => {
    assert.equal(fromNode, leader.nodeId);
    offers.push(index);
    if (offers.length === 1) throw new Error("the sender has gone");
  };
  groupOf(leader)
    .changeConf([{ type: "add-learner", replicaId: 4 }])
    .catch(() => {});
  await cluster.run(500);
  assert.equal(offers.length, 1);
  assert.deepEqual(fourth.machine.applied, []);
  assert.equal(groupOf(fourth).appliedIndex, 0);
  await cluster.run(3000);
  assert.equal(offers.length, 2);
  assert.deepEqual(fourth.machine.applied, ["a"]);
  assertWell(cluster);
});

test("a state is sent again when the connection broke, and not while the receiver is at it", async () => {
  const cluster = await RaftCluster.started({
    count: 4,
    voters: [1, 2, 3],
    limits: { snapshotTicksMax: 10 },
  });
  const leader = leaderOf(cluster);
  leader.propose("a");
  await cluster.run(100);
  leader.save();
  let offers = 0;
  const ready = Promise.withResolvers<void>();
  cluster.member(4).machine.install = () => {
    offers += 1;
    return ready.promise;
  };
  let sent = 0;
  cluster.route = (_from, _to, { message }) => {
    if (message[0] === SNAPSHOT) sent += 1;
    return [1];
  };
  groupOf(leader)
    .changeConf([{ type: "add-learner", replicaId: 4 }])
    .catch(() => {});
  for (let at = 0; at < 20; at += 1) {
    await cluster.run(500);
    groupOf(leader).snapshotProgressed(4);
  }
  assert.equal(sent, 1);
  leader.node?.unreachable("n4");
  await cluster.run(500);
  assert.equal(sent, 2);
  assert.equal(offers, 1, "one at a time");
  ready.resolve();
  await cluster.run(1000);
  assert.deepEqual(cluster.member(4).machine.applied, ["a"]);
  assertWell(cluster);
});

test("what is committed is applied after a crash, and nothing twice", async () => {
  const cluster = await RaftCluster.started();
  const leader = leaderOf(cluster);
  for (const text of ["a", "b", "c"]) leader.propose(text);
  await cluster.run(500);
  leader.save(10);
  for (const text of ["d", "e"]) leader.propose(text);
  await cluster.run(500);
  for (const member of cluster.members) member.crash();
  for (const member of cluster.members) member.start().catch(() => {});
  await cluster.run(4000);
  const next = leaderOf(cluster);
  const call = next.propose("f");
  await cluster.run(500);
  assert.equal(await settled(call), "did f");
  for (const { machine } of cluster.members) {
    assert.deepEqual(machine.applied, ["a", "b", "c", "d", "e", "f"]);
  }
  assertWell(cluster);
});

test("what only a crashed leader has is not applied when it comes back", async () => {
  const cluster = await RaftCluster.started();
  const old = leaderOf(cluster);
  isolate(cluster, old.id);
  old.propose("lost");
  await cluster.run(100);
  const index = old.journal.lastIndex(old.id);
  old.crash();
  old.start().catch(() => {});
  await cluster.run(3000);
  assert.equal(old.journal.lastIndex(old.id), index, "it is journalled");
  assert.deepEqual(old.machine.applied, []);
  leaderOf(cluster).propose("kept");
  await cluster.run(100);
  rejoin(cluster);
  await cluster.run(3000);
  for (const { machine } of cluster.members) assert.deepEqual(machine.applied, ["kept"]);
  assertWell(cluster);
});

test("a pass over the journal may apply what is committed, before the group is opened", async () => {
  const cluster = await RaftCluster.started({ count: 1 });
  const member = cluster.member(1);
  for (const text of ["a", "b"]) member.propose(text);
  await cluster.run(100);
  member.propose("c");
  await cluster.run(100);
  member.crash();
  const recovered = member.start();
  // Its own recovery reads the journal: what was applied before it is left out.
  assert.deepEqual(member.machine.applied, []);
  await cluster.run(100);
  await recovered;
  assert.deepEqual(member.machine.applied, ["a", "b", "c"]);
  assertWell(cluster);
});

test("an only voter with a full disk refuses, makes room, and goes on", async () => {
  const cluster = await RaftCluster.started({ count: 1 });
  const member = cluster.member(1);
  const { journal } = member;
  const first = member.propose("a");
  await settle();
  // Stands alone, so it is in the journal's hands.
  const second = member.propose("B");
  await settle();
  journal.fill();
  assert.equal(await settled(second), "DISK_FULL");
  assert.equal(await settled(member.propose("c")), "DISK_FULL");
  const trim = groupOf(member).propose("TRIM", { bytes: 4, makesRoom: true });
  await cluster.run(500);
  assert.equal(await settled(first), "did a");
  assert.equal(await settled(trim), "did TRIM");
  journal.isDiskFull = false;
  const last = member.propose("d");
  await cluster.run(100);
  assert.equal(await settled(last), "did d");
  member.crash();
  const recovered = member.start();
  await cluster.run(100);
  await recovered;
  assert.deepEqual(member.machine.applied, ["a", "TRIM", "d"]);
  assertWell(cluster);
});

test("a leader whose disk is full hands over; what others have of its entries is not lost", async () => {
  const cluster = await RaftCluster.started();
  const old = leaderOf(cluster);
  old.propose("a");
  await settle();
  const call = old.propose("A");
  old.journal.fill();
  assert.equal(await settled(old.propose("c")), "DISK_FULL");
  await cluster.run(3000);
  const next = leaderOf(cluster);
  assert.notEqual(next, old);
  assert.deepEqual(next.machine.applied, ["a", "A"]);
  assert.equal(await settled(call), "waits", "it cannot be applied here");
  const other = next.propose("b");
  await cluster.run(500);
  assert.equal(await settled(other), "did b", "a majority has room");
  assert.deepEqual(old.machine.applied, ["a"]);
  old.journal.isDiskFull = false;
  await cluster.run(1000);
  assert.equal(await settled(call), "did A");
  assert.deepEqual(old.machine.applied, ["a", "A", "b"]);
  assertWell(cluster);
});

test("a leader whose disk hangs steps down, and does not try to lead until it works", async () => {
  const cluster = await RaftCluster.started({ limits: { diskHungTicks: 10 } });
  const old = leaderOf(cluster);
  old.journal.isHung = true;
  const call = old.propose("a");
  await cluster.run(6000);
  const next = leaderOf(cluster);
  assert.notEqual(next, old);
  const term = groupOf(next).term;
  await cluster.run(6000);
  assert.equal(groupOf(leaderOf(cluster)).term, term, "it disturbs the others");
  old.journal.isHung = false;
  await cluster.run(2000);
  assert.match(await settled(call), /did a|NOT_LEADER none/);
  for (const { machine } of cluster.members) {
    assert.deepEqual(machine.applied, cluster.member(1).machine.applied);
  }
  assertWell(cluster);
});

test("a machine that throws stops the group, and its owner is told", async () => {
  const cluster = await RaftCluster.started({ count: 1 });
  const member = cluster.member(1);
  member.machine.poison = "bad";
  const call = member.propose("bad");
  await cluster.run(10);
  member.propose("good");
  await cluster.run(100);
  assert.equal(member.failures.length, 1);
  assert.equal(await settled(call), "waits");
  assert.deepEqual(member.machine.applied, []);
  groupOf(member).stop(STOPPED);
  assert.equal(await settled(call), "DRAINING unknown");
});

test("a group whose core fails stops alone, and is told apart from a node that fails", async () => {
  const cluster = await RaftCluster.started();
  const leader = leaderOf(cluster);
  const call = leader.propose("a");
  await settle();
  const { core } = leader;
  assert.ok(core !== undefined);
  core.jobDone = () => {
    throw new CoreGroupFailedError("broken");
  };
  await cluster.run(200);
  assert.equal(leader.poisonedCount, 1);
  assert.deepEqual(leader.failures, []);
  assert.equal(await settled(call), "NOT_LEADER unknown");
  await cluster.run(3000);
  assert.notEqual(leaderOf(cluster), leader);
});
