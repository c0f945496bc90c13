import assert from "node:assert/strict";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { CoreRefusedError, CoreRole } from "../../src/raft/core.ts";
import { confOf } from "../raft/core-cluster.ts";
import { ELECTION_TICKS } from "../raft/core-replica.ts";
import { bytesOf, write } from "./raft-core-replication.ts";
import type { RaftCoreCase } from "./raft-core-suite.ts";

export const MEMBERS: Readonly<Record<string, RaftCoreCase>> = {
  "one change takes one entry": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const change = { type: "remove", replicaId: 3 } as const;
    assert.equal(cluster.group(1).proposeConfChange([change], bytesOf("why")), "ok");
    cluster.settle();
    assert.deepEqual(cluster.replica(1).conf, confOf([1, 2]));
    assert.deepEqual(cluster.group(1).status().conf, confOf([1, 2]));
  },

  "several changes go through a joint membership that is left by itself": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    write(cluster, 1, "a");
    cluster.add(4, confOf([1, 2, 3]));
    const changes = [
      { type: "add-voter", replicaId: 4 },
      { type: "remove", replicaId: 3 },
    ] as const;
    const seen: (readonly number[])[] = [];
    assert.equal(cluster.group(1).proposeConfChange(changes, EMPTY_BYTES), "ok");
    for (let round = 0; round < 10; round += 1) {
      cluster.replica(1).carryOut();
      seen.push(cluster.replica(1).conf.votersOutgoing);
      cluster.settle();
    }
    cluster.tick(2);
    for (const id of [1, 2, 4]) assert.deepEqual(cluster.replica(id).conf, confOf([1, 2, 4]));
    write(cluster, 1, "b");
    assert.deepEqual(cluster.replica(4).appliedData(), ["a", "b"]);
    const joint = cluster.replica(1).applied.filter(({ type }) => type !== 0);
    assert.equal(joint.length, 2, "one entry to enter, one to leave");
  },

  "in a joint membership both majorities are needed": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    for (const id of [4, 5]) cluster.add(id, confOf([1, 2, 3]));
    // The new ones never answer, so the joint membership cannot be left.
    for (const id of [4, 5]) cluster.isolate(id);
    const changes = [4, 5].flatMap(
      (replicaId) =>
        [
          { type: "add-voter", replicaId },
          { type: "remove", replicaId: replicaId - 2 },
        ] as const,
    );
    assert.equal(cluster.group(1).proposeConfChange(changes, EMPTY_BYTES), "ok");
    cluster.settle();
    assert.deepEqual(cluster.replica(1).conf.votersOutgoing, [1, 2, 3]);
    write(cluster, 1, "waits");
    assert.deepEqual(cluster.replica(1).appliedData(), []);
    cluster.heal();
    cluster.tick(3);
    assert.deepEqual(cluster.replica(1).appliedData(), ["waits"]);
    assert.deepEqual(cluster.replica(1).conf, confOf([1, 4, 5]));
  },

  "a learner gets everything and counts for nothing, until it is a voter": (make) => {
    const cluster = make([1], [2]);
    cluster.elect(1);
    cluster.isolate(2);
    write(cluster, 1, "a");
    assert.deepEqual(cluster.replica(1).appliedData(), ["a"]);
    cluster.heal();
    cluster.tick(2);
    assert.deepEqual(cluster.replica(2).appliedData(), ["a"]);
    const progress = cluster
      .group(1)
      .status()
      .progress.find(({ replicaId }) => replicaId === 2);
    assert.equal(progress?.isLearner, true);
    cluster.group(2).campaign();
    cluster.settle();
    assert.deepEqual(cluster.leaders(), [1]);
    const change = { type: "add-voter", replicaId: 2 } as const;
    assert.equal(cluster.group(1).proposeConfChange([change], EMPTY_BYTES), "ok");
    cluster.settle();
    assert.deepEqual(cluster.replica(1).conf, confOf([1, 2]));
    cluster.isolate(2);
    write(cluster, 1, "b");
    assert.deepEqual(cluster.replica(1).appliedData(), ["a"]);
  },

  "a second change is dropped while one is under way": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const [first, second] = [4, 5].map(
      (replicaId) => ({ type: "add-learner", replicaId }) as const,
    );
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(cluster.group(1).proposeConfChange([first], EMPTY_BYTES), "ok");
    assert.equal(cluster.group(1).proposeConfChange([second], EMPTY_BYTES), "dropped");
    cluster.settle();
    assert.deepEqual(cluster.replica(1).conf, confOf([1, 2, 3], [4]));
    assert.equal(cluster.group(1).proposeConfChange([second], EMPTY_BYTES), "ok");
    cluster.settle();
    assert.deepEqual(cluster.replica(1).conf, confOf([1, 2, 3], [4, 5]));
    assert.equal(cluster.group(2).proposeConfChange([first], EMPTY_BYTES), "dropped");
  },

  "a change that could not be applied is refused before it is in any log": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const removeAll = [1, 2, 3].map((replicaId) => ({ type: "remove", replicaId }) as const);
    const zero = [{ type: "add-voter", replicaId: 0 }] as const;
    for (const changes of [removeAll, zero, []]) {
      assert.throws(
        () => cluster.group(1).proposeConfChange(changes, EMPTY_BYTES),
        CoreRefusedError,
      );
    }
    assert.equal(cluster.group(1).hasReady, false);
    write(cluster, 1, "a");
    assert.deepEqual(cluster.replica(3).appliedData(), ["a"]);
  },

  "a leader that is removed steps down, and the others go on": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const change = { type: "remove", replicaId: 1 } as const;
    assert.equal(cluster.group(1).proposeConfChange([change], EMPTY_BYTES), "ok");
    cluster.settle();
    assert.equal(cluster.replica(1).role, CoreRole.follower);
    cluster.remove(1);
    cluster.tick(4 * ELECTION_TICKS);
    const [leader = 0] = cluster.leaders();
    write(cluster, leader, "b");
    for (const replica of cluster.all) {
      assert.deepEqual(replica.conf, confOf([2, 3]));
      assert.deepEqual(replica.appliedData(), ["b"]);
    }
  },

  "a replica that was removed is told nothing and disturbs nobody": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.isolate(3);
    const change = { type: "remove", replicaId: 3 } as const;
    assert.equal(cluster.group(1).proposeConfChange([change], EMPTY_BYTES), "ok");
    cluster.settle();
    cluster.heal();
    const { term } = cluster.hardState(1);
    cluster.tick(5 * ELECTION_TICKS);
    assert.deepEqual(cluster.leaders(), [1]);
    assert.equal(cluster.hardState(1).term, term);
  },
};
