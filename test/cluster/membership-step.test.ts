import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type MembershipStep,
  nextMembershipStep,
  type WantedReplica,
} from "../../src/cluster/membership-step.ts";
import type { ConfChange, ConfState } from "../../src/raft/core.ts";

function confOf(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false };
}

function voters(...ids: number[]): WantedReplica[] {
  return ids.map((replicaId) => ({ replicaId, role: "voter" as const }));
}

const everybody = () => true;
const nobody = () => false;

test("a group that is as wanted is left alone", () => {
  const conf = confOf([1, 2, 3]);
  const step = nextMembershipStep({
    self: 1,
    conf,
    wanted: voters(3, 2, 1),
    isCaughtUp: everybody,
  });
  assert.deepEqual(step, { kind: "done" });
});

test("new replicas come in as learners, also those that shall vote", () => {
  const step = nextMembershipStep({
    self: 1,
    conf: confOf([1]),
    wanted: voters(1, 2, 3),
    isCaughtUp: everybody,
  });
  assert.deepEqual(step, {
    kind: "change",
    changes: [
      { type: "add-learner", replicaId: 2 },
      { type: "add-learner", replicaId: 3 },
    ],
  });
});

test("learners vote when all of them have caught up, together", () => {
  const input = { self: 1, conf: confOf([1], [2, 3]), wanted: voters(1, 2, 3) };
  const behind = nextMembershipStep({ ...input, isCaughtUp: (id) => id === 2 });
  assert.deepEqual(behind, { kind: "wait" });
  const step = nextMembershipStep({ ...input, isCaughtUp: everybody });
  assert.deepEqual(step, {
    kind: "change",
    changes: [
      { type: "add-voter", replicaId: 2 },
      { type: "add-voter", replicaId: 3 },
    ],
  });
});

test("nothing begins while a joint change is under way", () => {
  const conf = { ...confOf([1, 2, 3]), votersOutgoing: [1] };
  const step = nextMembershipStep({ self: 1, conf, wanted: voters(1), isCaughtUp: everybody });
  assert.deepEqual(step, { kind: "wait" });
});

test("a voter leaves in the same change in which its successor gets its vote", () => {
  const step = nextMembershipStep({
    self: 1,
    conf: confOf([1, 2, 3], [4]),
    wanted: voters(1, 2, 4),
    isCaughtUp: everybody,
  });
  assert.deepEqual(step, {
    kind: "change",
    changes: [
      { type: "add-voter", replicaId: 4 },
      { type: "remove", replicaId: 3 },
    ],
  });
});

test("a leader that shall leave hands over to a voter that stays, and only then is removed", () => {
  const input = { conf: confOf([1, 2, 3], [4]), wanted: voters(2, 3, 4), isCaughtUp: everybody };
  assert.deepEqual(nextMembershipStep({ ...input, self: 1 }), { kind: "hand-over", toReplica: 2 });
  assert.equal(nextMembershipStep({ ...input, self: 2 }).kind, "change");
});

test("a lone leader that moves away first gives its successor a vote", () => {
  const wanted = voters(2);
  const first = nextMembershipStep({
    self: 1,
    conf: confOf([1], [2]),
    wanted,
    isCaughtUp: everybody,
  });
  assert.deepEqual(first, { kind: "change", changes: [{ type: "add-voter", replicaId: 2 }] });
  const second = nextMembershipStep({
    self: 1,
    conf: confOf([1, 2]),
    wanted,
    isCaughtUp: everybody,
  });
  assert.deepEqual(second, { kind: "hand-over", toReplica: 2 });
});

test("a catalogue that wants no voter is not followed", () => {
  const wanted = [{ replicaId: 1, role: "learner" as const }];
  const step = nextMembershipStep({ self: 1, conf: confOf([1]), wanted, isCaughtUp: everybody });
  assert.deepEqual(step, { kind: "wait" });
});

/** What a change makes of a membership, when the joint part of it is over. */
function applied(conf: ConfState, changes: readonly ConfChange[]): ConfState {
  const isVoter = new Set(conf.voters);
  const isLearner = new Set(conf.learners);
  for (const { type, replicaId } of changes) {
    isVoter.delete(replicaId);
    isLearner.delete(replicaId);
    if (type === "add-voter") isVoter.add(replicaId);
    if (type === "add-learner") isLearner.add(replicaId);
  }
  return confOf([...isVoter], [...isLearner]);
}

const replicas = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

test("from any membership to any wanted one the steps end, and nobody votes without having caught up", () => {
  fc.assert(
    fc.property(replicas, replicas, fc.nat(4), (from, to, learnerCount) => {
      const wanted: WantedReplica[] = to.map((replicaId, at) => ({
        replicaId,
        role: at > 0 && at > to.length - 1 - learnerCount ? "learner" : "voter",
      }));
      let conf = confOf(from);
      let self = from[0] ?? 0;
      let step: MembershipStep = { kind: "wait" };
      for (let round = 0; round < 12 && step.kind !== "done"; round += 1) {
        const behind = nextMembershipStep({ self, conf, wanted, isCaughtUp: nobody });
        const isNewVoter = (id: number) => !conf.voters.includes(id);
        if (behind.kind === "change") {
          const added = behind.changes.filter(({ type }) => type === "add-voter");
          assert.ok(!added.some(({ replicaId }) => isNewVoter(replicaId)));
        }
        step = nextMembershipStep({ self, conf, wanted, isCaughtUp: everybody });
        assert.notEqual(step.kind, "wait");
        if (step.kind === "hand-over") {
          assert.ok(conf.voters.includes(step.toReplica));
          self = step.toReplica;
        }
        if (step.kind === "change") {
          conf = applied(conf, step.changes);
          assert.ok(conf.voters.includes(self), "the leader never removes itself");
        }
      }
      assert.equal(step.kind, "done");
      const wantedVoters = wanted.filter(({ role }) => role === "voter");
      assert.deepEqual([...conf.voters].sort(), wantedVoters.map((r) => r.replicaId).sort());
    }),
  );
});
