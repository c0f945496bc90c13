import assert from "node:assert/strict";
import { CoreMessageType, CoreRole } from "../../src/raft/core.ts";
import { messageEntryCount, messageTo, messageType } from "../../src/raft/core-messages.ts";
import type { CoreCluster } from "../raft/core-cluster.ts";
import { ELECTION_TICKS } from "../raft/core-replica.ts";
import type { RaftCoreCase } from "./raft-core-suite.ts";

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Proposes on a leader, and lets everybody have it. */
export function write(cluster: CoreCluster, leader: number, ...texts: readonly string[]): void {
  assert.equal(cluster.group(leader).propose(texts.map(bytesOf)), "ok");
  cluster.settle();
}

export const REPLICATION: Readonly<Record<string, RaftCoreCase>> = {
  "a group of one elects itself and applies what it stored": (make) => {
    const cluster = make([1]);
    cluster.elect(1);
    write(cluster, 1, "a", "b");
    assert.deepEqual(cluster.replica(1).appliedData(), ["a", "b"]);
    assert.equal(cluster.group(1).status().leader, 1);
  },

  "three elect one leader when nobody is heard of, and all apply the same": (make) => {
    const cluster = make([1, 2, 3]);
    for (let ticks = 0; cluster.leaders().length === 0; ticks += 1) {
      assert.ok(ticks < 20 * ELECTION_TICKS, "no leader");
      cluster.tick();
    }
    const [leader = 0] = cluster.leaders();
    assert.equal(cluster.leaders().length, 1);
    write(cluster, leader, "a", "b");
    write(cluster, leader, "c");
    for (const replica of cluster.all) {
      assert.deepEqual(replica.appliedData(), ["a", "b", "c"]);
      assert.equal(replica.leader, leader);
    }
  },

  "entries of a proposal are the last ones of the next Ready, with index and term": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const { term } = cluster.hardState(1);
    assert.equal(cluster.group(1).propose(["a", "b"].map(bytesOf)), "ok");
    assert.equal(cluster.group(1).propose([bytesOf("c")]), "ok");
    assert.equal(cluster.group(1).hasReady, true);
    const entries = cluster.group(1).ready()?.entries ?? [];
    const wanted = ["a", "b", "c"].map((text, at) => ({
      ...{ term, index: 3 + at, type: 0 },
      data: bytesOf(text),
    }));
    assert.deepEqual(entries, wanted);
  },

  "only a leader takes proposals": (make) => {
    const cluster = make([1, 2, 3]);
    assert.equal(cluster.group(1).propose([bytesOf("a")]), "dropped");
    cluster.elect(1);
    assert.equal(cluster.group(2).propose([bytesOf("a")]), "dropped");
    assert.equal(cluster.group(2).hasReady, false);
  },

  "the leader sends entries before its own disk has them, and counts itself only then": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.isolate(3);
    cluster.replica(1).isDiskHeld = true;
    write(cluster, 1, "a");
    assert.equal(cluster.replica(2).log.lastIndex(), 3);
    assert.deepEqual(cluster.replica(1).appliedData(), []);
    cluster.replica(1).releaseDisk();
    cluster.settle();
    assert.deepEqual(cluster.replica(1).appliedData(), ["a"]);
  },

  "a follower acknowledges only what its disk has, and a voter votes only then": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.isolate(3);
    cluster.replica(2).isDiskHeld = true;
    cluster.group(1).campaign();
    cluster.settle();
    assert.equal(cluster.replica(1).role, CoreRole.preCandidate);
    cluster.replica(2).releaseDisk();
    cluster.settle();
    assert.equal(cluster.replica(1).role, CoreRole.leader);

    cluster.replica(2).isDiskHeld = true;
    write(cluster, 1, "a");
    assert.deepEqual(cluster.replica(1).appliedData(), []);
    cluster.replica(2).releaseDisk();
    cluster.settle();
    assert.deepEqual(cluster.replica(1).appliedData(), ["a"]);
  },

  "a commit index alone is no storage job: it need not be durable": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.replica(1).readies = [];
    write(cluster, 1, "a");
    const onlyHardState = cluster
      .replica(1)
      .readies.filter(({ hardState, entries }) => hardState !== undefined && entries.length === 0);
    assert.ok(onlyHardState.length > 0);
    assert.ok(onlyHardState.every(({ appendJob }) => appendJob === 0));
  },

  "what a deposed leader did not get to others is replaced": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    write(cluster, 1, "a");
    cluster.isolate(1);
    write(cluster, 1, "lost 1", "lost 2", "lost 3");
    assert.equal(cluster.replica(1).log.lastIndex(), 6);
    cluster.tick(3 * ELECTION_TICKS);
    const [leader = 0] = cluster.leaders().filter((id) => id !== 1);
    assert.ok(leader > 0);
    write(cluster, leader, "b");
    cluster.heal();
    cluster.tick(3);
    for (const replica of cluster.all) {
      assert.deepEqual(replica.appliedData(), ["a", "b"]);
      assert.deepEqual(replica.log.all(), cluster.replica(leader).log.all());
    }
  },

  "a leader that hears of no majority steps down": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.isolate(1);
    cluster.tick(2 * ELECTION_TICKS);
    assert.notEqual(cluster.replica(1).role, CoreRole.leader);
  },

  "a replica that was cut off comes back without disturbing the leader": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const { term } = cluster.hardState(1);
    cluster.isolate(3);
    cluster.tick(5 * ELECTION_TICKS);
    assert.equal(cluster.replica(3).role, CoreRole.preCandidate);
    cluster.heal();
    cluster.tick(3 * ELECTION_TICKS);
    assert.deepEqual(cluster.leaders(), [1]);
    for (const { id } of cluster.all) assert.equal(cluster.hardState(id).term, term);
  },

  "read requests are confirmed by a majority, also those of a follower": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    write(cluster, 1, "a");
    for (const id of [1, 2]) cluster.group(id).readIndex(bytesOf(`read ${id}`));
    cluster.settle();
    for (const id of [1, 2]) {
      assert.deepEqual(cluster.replica(id).reads, [{ index: 3, context: bytesOf(`read ${id}`) }]);
    }
    cluster.isolate(1);
    cluster.group(1).readIndex(bytesOf("never"));
    cluster.tick(3 * ELECTION_TICKS);
    assert.equal(cluster.replica(1).reads.length, 1);
  },

  "the leadership goes to another one when that is asked for": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    write(cluster, 1, "a");
    cluster.isolate(2);
    cluster.group(1).transferLeader(2);
    assert.equal(cluster.group(1).status().transferee, 2);
    assert.equal(cluster.group(1).propose([bytesOf("b")]), "dropped");
    cluster.settle();
    cluster.heal();
    cluster.tick(ELECTION_TICKS);
    cluster.group(3).transferLeader(2);
    cluster.settle();
    assert.deepEqual(cluster.leaders(), [1]);
    cluster.group(1).transferLeader(2);
    cluster.settle();
    assert.deepEqual(cluster.leaders(), [2]);
    write(cluster, 2, "c");
    assert.deepEqual(cluster.replica(1).appliedData(), ["a", "c"]);
  },

  "a leader gives up, and so another one can be elected": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.group(1).forgetLeader();
    cluster.settle();
    assert.equal(cluster.replica(1).role, CoreRole.follower);
    assert.equal(cluster.replica(1).leader, 0);
    cluster.isolate(1);
    cluster.tick(4 * ELECTION_TICKS);
    assert.equal(cluster.leaders().filter((id) => id !== 1).length, 1);
  },

  "a replica that the log cannot serve any more gets a snapshot": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.isolate(3);
    for (let at = 0; at < 20; at += 1) write(cluster, 1, `entry ${at}`);
    cluster.replica(1).compact();
    cluster.heal();
    cluster.tick(3);
    const [snapshot] = cluster.replica(3).snapshots;
    assert.equal(snapshot?.index, 22);
    cluster.group(1).reportSnapshot(3, true);
    write(cluster, 1, "after");
    assert.deepEqual(cluster.replica(3).appliedData(), ["after"]);
    const progress = cluster
      .group(1)
      .status()
      .progress.find(({ replicaId }) => replicaId === 3);
    assert.equal(progress?.state, "replicate");
    assert.equal(progress.match, 23);
  },

  "a snapshot that is not there now is asked for again": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.isolate(3);
    write(cluster, 1, "a", "b", "c");
    cluster.replica(1).compact();
    const snapshot = cluster.replica(1).log.snapshot();
    cluster.replica(1).log.offer(undefined);
    cluster.heal();
    cluster.tick(3);
    assert.deepEqual(cluster.replica(3).snapshots, []);
    cluster.replica(1).log.offer(snapshot);
    cluster.tick(3);
    assert.equal(cluster.replica(3).snapshots.length, 1);
  },

  "a replica that was down gets what it missed in messages of a bounded size": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.isolate(3);
    for (let at = 0; at < 50; at += 1) write(cluster, 1, "x".repeat(1000));
    cluster.heal();
    const counts: number[] = [];
    cluster.filter = (message) => {
      if (messageTo(message) === 3 && messageType(message) === CoreMessageType.append) {
        counts.push(messageEntryCount(message));
      }
      return true;
    };
    cluster.tick(3);
    assert.equal(cluster.replica(3).log.lastIndex(), 52);
    assert.ok(Math.max(...counts) <= 4, `entries of a message: ${counts.join(" ")}`);
    assert.ok(counts.length > 10);
  },

  "a restarted group goes on from its hard state and its log": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    write(cluster, 1, "a", "b");
    const before = cluster.hardState(2);
    cluster.replica(2).restart();
    assert.deepEqual(cluster.hardState(2), before);
    write(cluster, 1, "c");
    assert.deepEqual(cluster.replica(2).appliedData(), ["a", "b", "c"]);
    cluster.replica(1).restart();
    cluster.tick(4 * ELECTION_TICKS);
    const [leader = 0] = cluster.leaders();
    write(cluster, leader, "d");
    for (const { id } of cluster.all) {
      assert.deepEqual(cluster.replica(id).appliedData(), ["a", "b", "c", "d"]);
    }
  },

  "an unreachable follower is probed until it answers": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.group(1).reportUnreachable(3);
    const stateOf3 = () =>
      cluster
        .group(1)
        .status()
        .progress.find((one) => one.replicaId === 3);
    assert.equal(stateOf3()?.state, "probe");
    cluster.tick(2);
    assert.equal(stateOf3()?.state, "replicate");
  },
};
