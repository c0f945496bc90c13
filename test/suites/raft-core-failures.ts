import assert from "node:assert/strict";
import {
  CoreGroupFailedError,
  CoreMessageType,
  CoreRefusedError,
  CoreRole,
} from "../../src/raft/core.ts";
import { type CoreCluster, confOf } from "../raft/core-cluster.ts";
import { ELECTION_TICKS } from "../raft/core-replica.ts";
import { type MessageFields, makeMessage } from "../raft/messages.ts";
import { bytesOf, write } from "./raft-core-replication.ts";
import type { RaftCoreCase } from "./raft-core-suite.ts";

/** A heartbeat that commits what the receiver does not have: the library cannot go on from that. */
function poison(cluster: CoreCluster, from: number, to: number): void {
  const { term } = cluster.hardState(from);
  const fields = { type: CoreMessageType.heartbeat, from, to, term, commit: 1_000_000 };
  assert.throws(() => cluster.group(to).step(makeMessage(fields)), CoreGroupFailedError);
}

export const FAILURES: Readonly<Record<string, RaftCoreCase>> = {
  "a group in which the library panicked fails for good, the others go on": (make) => {
    const [sick, well] = [make([1, 2, 3]), make([1, 2, 3])];
    sick.elect(1);
    well.elect(1);
    poison(sick, 1, 2);
    const group = sick.group(2);
    const calls = [
      () => group.tick(),
      () => group.ready(),
      () => group.status(),
      () => group.propose([bytesOf("a")]),
      () => group.campaign(),
      () => group.jobDone(1),
    ];
    for (const call of calls) {
      assert.throws(call, (error) => {
        assert.ok(error instanceof CoreGroupFailedError);
        assert.match(error.message, /tocommit\(1000000\) is out of range/);
        return true;
      });
    }
    write(well, 1, "a");
    for (const replica of well.all) assert.deepEqual(replica.appliedData(), ["a"]);
  },

  "a failed group is told of by tickAll, and can be opened again from its disk": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    write(cluster, 1, "a");
    poison(cluster, 1, 2);
    assert.equal(cluster.group(2).hasReady, true);
    cluster.replica(2).restart();
    write(cluster, 1, "b");
    assert.deepEqual(cluster.replica(2).appliedData(), ["a", "b"]);
  },

  "a log that throws fails its group, and says why": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const cause = new Error("the disk is gone");
    cluster.replica(2).log.termAt = () => {
      throw cause;
    };
    const fields = { type: CoreMessageType.append, from: 1, to: 2, index: 1, logTerm: 1 };
    const { term } = cluster.hardState(1);
    const entries = [{ term, type: 0, data: bytesOf("x") }];
    cluster.replica(2).isDiskHeld = true;
    const message = makeMessage({ ...fields, term, index: 2, logTerm: term, entries });
    assert.throws(
      () => cluster.group(2).step(message),
      (error) => error instanceof CoreGroupFailedError && error.cause === cause,
    );
    assert.throws(() => cluster.group(2).tick(), CoreGroupFailedError);
    cluster.remove(2);
    write(cluster, 1, "a");
    assert.deepEqual(cluster.replica(3).appliedData(), ["a"]);
  },

  "a log that answers what cannot be fails its group": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.replica(1).log.lastIndex = () => Number.NaN;
    cluster.replica(1).log.firstIndex = () => -1;
    assert.throws(() => {
      for (let at = 0; at < 10; at += 1) {
        cluster.group(1).propose([bytesOf("a")]);
        cluster.replica(1).carryOut();
      }
    }, CoreGroupFailedError);
  },

  "storage jobs are done in their order": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.replica(1).isDiskHeld = true;
    write(cluster, 1, "a");
    write(cluster, 1, "b");
    const { held } = cluster.replica(1);
    const [first, second, ...others] = held.splice(0).filter(({ appendJob }) => appendJob > 0);
    assert.ok(first !== undefined && second !== undefined);
    assert.throws(() => cluster.replica(1).store(second), CoreRefusedError);
    cluster.replica(1).store(first);
    assert.throws(() => cluster.group(1).jobDone(first.appendJob), CoreRefusedError);
    for (const ready of [second, ...others]) cluster.replica(1).store(ready);
    cluster.replica(1).isDiskHeld = false;
    cluster.settle();
    assert.deepEqual(cluster.replica(1).appliedData(), ["a", "b"]);
  },

  "jobs of an earlier leader that come late do no harm": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    cluster.replica(3).isDiskHeld = true;
    write(cluster, 1, "a");
    cluster.isolate(1);
    cluster.tick(3 * ELECTION_TICKS);
    cluster.replica(3).releaseDisk();
    cluster.tick(3 * ELECTION_TICKS);
    cluster.heal();
    cluster.tick(3 * ELECTION_TICKS);
    const [leader = 0] = cluster.leaders();
    write(cluster, leader, "b");
    for (const replica of cluster.all) assert.deepEqual(replica.appliedData(), ["a", "b"]);
  },

  "messages that no core sends over a network are ignored": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const { term } = cluster.hardState(1);
    const local = [0, 1, 2, 10, 11, 12, 13, 19, 20, 21, 22, 23, 24, 200];
    for (const type of local) {
      for (const to of [1, 2]) {
        const entries = [{ term, type: 0, data: bytesOf("x") }];
        for (const fields of [{}, { entries }, { entries, term }, { term }]) {
          const message = makeMessage({ type, from: 3, to, ...fields });
          assert.equal(cluster.group(to).step(message), "ignored", `type ${type}`);
        }
      }
    }
    assert.equal(cluster.group(1).hasReady, false);
    assert.equal(cluster.group(2).hasReady, false);
    assert.equal(cluster.replica(1).role, CoreRole.leader);
  },

  "messages that are cut off, too long, or for another one are ignored": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const { term } = cluster.hardState(1);
    const entries = [{ term, type: 0, data: bytesOf("data") }];
    const fields = { type: CoreMessageType.append, from: 1, to: 2, term, index: 2, logTerm: term };
    const whole = makeMessage({ ...fields, entries });
    for (let length = 0; length < whole.length; length += 1) {
      assert.equal(cluster.group(2).step(whole.subarray(0, length)), "ignored");
    }
    assert.equal(cluster.group(2).step(new Uint8Array([...whole, 0])), "ignored");
    assert.equal(cluster.group(3).step(whole), "ignored");
    assert.equal(cluster.group(2).step(makeMessage({ ...fields, from: 2, entries })), "ignored");
    assert.equal(cluster.group(2).hasReady, false);
    assert.equal(cluster.group(2).step(whole), "ok");
    assert.equal(cluster.group(2).hasReady, true);
  },

  "messages that contradict themselves are ignored": (make) => {
    const cluster = make([1, 2, 3]);
    cluster.elect(1);
    const { term } = cluster.hardState(1);
    const { append, heartbeat, heartbeatResponse, snapshot, vote } = CoreMessageType;
    const [readIndex, readIndexResponse] = [15, 16];
    const entry = (of: number, type = 0, text = "x") => ({ term: of, type, data: bytesOf(text) });
    const at = { index: 2, logTerm: term };
    const conf = confOf([1, 2]);
    const state = { index: 9, term, conf, data: bytesOf("") };
    const contradictions: readonly MessageFields[] = [
      { type: append, ...at, entries: [entry(term - 1)] },
      { type: append, ...at, entries: [entry(term), entry(term - 1)] },
      { type: append, ...at, entries: [entry(term + 1)] },
      { type: append, index: 0, logTerm: 0, entries: [entry(0)] },
      { type: append, ...at, term: 0, entries: [entry(term)] },
      { type: append, ...at, entries: [entry(term, 3)] },
      { type: append, ...at, entries: [entry(term, 2, "no change")] },
      { type: append, ...at, snapshot: state },
      { type: append, ...at, context: new Uint8Array(65) },
      { type: append, logTerm: term, index: 2 ** 53 - 1 },
      { type: append, ...at, term: 2 ** 53 - 1 },
      { type: heartbeat, context: new Uint8Array(3) },
      { type: heartbeat, context: new Uint8Array(16) },
      { type: heartbeatResponse, context: new Uint8Array(7) },
      { type: heartbeat, entries: [entry(term)] },
      { type: vote, term: 0 },
      { type: vote, term: term + 1, entries: [entry(term)] },
      { type: snapshot },
      { type: snapshot, snapshot: { ...state, index: 0 } },
      { type: snapshot, snapshot: { ...state, conf: confOf([]) } },
      { type: snapshot, snapshot: { ...state, conf: confOf([1, 2, 2]) } },
      { type: snapshot, snapshot: { ...state, conf: confOf([1, 2], [2]) } },
      { type: snapshot, snapshot: { ...state, conf: confOf([1, 2, 0]) } },
      { type: snapshot, snapshot: { ...state, conf: { ...conf, autoLeave: true } } },
      { type: snapshot, snapshot: { ...state, conf: { ...conf, learnersNext: [3] } } },
      { type: readIndex, term: 0 },
      { type: readIndex, term: 0, entries: [entry(0), entry(0)] },
      { type: readIndex, entries: [entry(0)] },
      { type: readIndex, term: 0, entries: [entry(0, 0, "x".repeat(1025))] },
      { type: readIndexResponse },
    ];
    for (const [from, to] of [
      [1, 2],
      [3, 1],
    ] as const) {
      for (const fields of contradictions) {
        const message = makeMessage({ from, to, term, ...fields });
        assert.equal(cluster.group(to).step(message), "ignored", JSON.stringify(fields));
        assert.equal(cluster.group(to).hasReady, false, JSON.stringify(fields));
      }
    }
    write(cluster, 1, "a");
    for (const replica of cluster.all) assert.deepEqual(replica.appliedData(), ["a"]);
  },

  "a group that does not fit its log is not opened": (make) => {
    const cluster = make([1]);
    cluster.replica(1).hardState = { term: 1, vote: 0, commit: 99 };
    assert.throws(() => cluster.replica(1).restart(), CoreRefusedError);
    cluster.replica(1).hardState = { term: 1, vote: 0, commit: 1 };
    cluster.replica(1).conf = { ...cluster.replica(1).conf, learners: [1] };
    assert.throws(() => cluster.replica(1).restart(), CoreRefusedError);
  },
};
