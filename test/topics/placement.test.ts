import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { WantedPlace } from "../../src/topics/group-placement.ts";
import { planChanges, planTopic } from "../../src/topics/placement.ts";
import { planLeaders, planRebalance } from "../../src/topics/placement-balance.ts";
import { replicaCountOf } from "../../src/topics/placement-model.ts";
import { events, PlacementWorld, spreadOf } from "./placement-world.ts";

/** What holds of every placement that is planned. */
function checkShape(places: readonly WantedPlace[], replicationFactor: number): void {
  const voters = places.filter(({ role }) => role === "voter").length;
  assert.equal(new Set(places.map(({ nodeId }) => nodeId)).size, places.length, "a node has two");
  assert.equal(voters % 2, 1, "an even number of voters");
  assert.ok(places.length <= replicationFactor, "more than there shall be");
  assert.equal(voters, places.length === 2 ? 1 : places.length);
}

test("replica counts: odd, no more than wanted or there are; two are a voter and a learner", () => {
  const counts = (factor: number) =>
    [1, 2, 3, 4, 5, 6, 7, 9].map((count) => replicaCountOf(factor, count));
  assert.deepEqual(counts(1), [1, 1, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual(counts(2), [1, 2, 2, 2, 2, 2, 2, 2]);
  assert.deepEqual(counts(3), [1, 2, 3, 3, 3, 3, 3, 3]);
  assert.deepEqual(counts(4), [1, 2, 3, 3, 3, 3, 3, 3]);
  assert.deepEqual(counts(7), [1, 2, 3, 3, 5, 5, 7, 7]);
});

// Goal: a new topic begins well. Method: random clusters after random histories, planned or not.
test("a new topic goes to different active nodes and zones, with a majority that is up", () => {
  fc.assert(
    fc.property(events, fc.integer({ min: 1, max: 7 }), (all, factor) => {
      const world = new PlacementWorld();
      for (const event of all) world.happen(event);
      const places = planTopic(world.layout(), factor);
      checkShape(places, factor);
      const members = world.state.members();
      const active = members.filter(({ state }) => state === "active");
      const pool = (active.length > 0 ? active : members).map(({ nodeId }) => nodeId);
      assert.ok(places.every(({ nodeId }) => pool.includes(nodeId)));
      const up = pool.filter((nodeId) => !world.down.has(nodeId));
      const voters = places.filter(({ role }) => role === "voter");
      const votersUp = voters.filter(({ nodeId }) => !world.down.has(nodeId));
      if (up.length > 0) assert.ok(votersUp.length > voters.length / 2, "it could not begin");
      if (up.length < pool.length) return;
      assert.equal(places.length, replicaCountOf(factor, pool.length));
      const zones = new Set(pool.map((nodeId) => world.zoneOf(nodeId))).size;
      const used = new Set(places.map(({ nodeId }) => world.zoneOf(nodeId))).size;
      assert.equal(used, Math.min(places.length, zones), "zones are shared without need");
    }),
    { numRuns: 300 },
  );
});

// Goal: clusters get to where they should be, whatever happened, and stay there. Method: after a random history
// all nodes are up, plans are carried out; `settle` says that one round is enough.
test("plans end: topics on as many nodes as they shall be on, draining nodes empty, three vote on the cluster", () => {
  fc.assert(
    fc.property(events, (all) => {
      const world = new PlacementWorld();
      for (const event of all) world.happen(event);
      world.down.clear();
      world.settle();
      const active = world.state.members().filter(({ state }) => state === "active");
      if (active.length === 0) return;
      const isActive = (nodeId: string) => active.some((member) => member.nodeId === nodeId);
      for (const { replicas, replicationFactor } of world.state.entries()) {
        checkShape(replicas, replicationFactor);
        assert.equal(replicas.length, replicaCountOf(replicationFactor, active.length));
        assert.ok(
          replicas.every(({ nodeId }) => isActive(nodeId)),
          "a draining node is not empty",
        );
      }
      const cluster = world.state.group(0)?.replicas ?? [];
      const voters = cluster.filter(({ role }) => role === "voter");
      assert.equal(voters.length, active.length < 3 ? 1 : 3);
      assert.ok(voters.every(({ nodeId }) => isActive(nodeId)));
    }),
    { numRuns: 300 },
  );
});

// Goal: nothing is copied or lost without need. Method: each plan after a random history is compared with what was.
test("a plan moves only what must move, gives nothing to nodes that are down, and takes no vote from the leader", () => {
  fc.assert(
    fc.property(events, (all) => {
      const world = new PlacementWorld();
      for (const event of all) {
        world.happen(event);
        for (const { id, replicas } of world.state.entries()) {
          const leader = replicas.find(({ role }) => role === "voter");
          if (leader !== undefined) world.leaders.set(id, leader.nodeId);
        }
        for (const { topicId, places } of planChanges(world.layout())) {
          const before = world.state.group(topicId)?.replicas ?? [];
          const has = (list: readonly WantedPlace[], nodeId: string) =>
            list.some((place) => place.nodeId === nodeId);
          const isActive = (nodeId: string) => world.state.member(nodeId)?.state === "active";
          const added = places.filter(({ nodeId }) => !has(before, nodeId));
          const lost = before.filter(({ nodeId }) => isActive(nodeId) && !has(places, nodeId));
          for (const { nodeId } of added) assert.ok(!world.down.has(nodeId) && isActive(nodeId));
          if (topicId === 0) continue;
          assert.ok(added.length === 0 || lost.length === 0, "a replica moved for nothing");
          checkShape(places, world.state.byId(topicId)?.replicationFactor ?? 0);
          const leader = world.leaders.get(topicId) ?? "";
          const isKept = places.some((at) => at.nodeId === leader && at.role === "voter");
          assert.ok(isKept || !isActive(leader), "the leader lost its vote");
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("a node that joins gets nothing of topics that have enough replicas", () => {
  const world = new PlacementWorld();
  for (let count = 0; count < 3; count += 1) world.join();
  world.settle();
  for (let count = 0; count < 10; count += 1) world.create(3);
  world.create(7);
  world.join();
  const proposals = planChanges(world.layout());
  assert.deepEqual(
    proposals.map(({ topicId, places }) => [topicId, places.length]),
    [[11, 5]],
  );
});

test("a group does not shrink because the servers that could take its replicas are down", () => {
  const world = new PlacementWorld();
  for (let count = 0; count < 3; count += 1) world.join();
  world.settle();
  for (let count = 0; count < 4; count += 1) world.create(3);
  world.down.add("n04");
  const held = world.state.entries().filter(({ replicas }) => !isOn(replicas, "n04"));
  assert.ok(held.length > 0);
  world.apply({ kind: "updateServer", nodeId: "n01", state: "draining" });
  const moved = planChanges(world.layout()).map(({ topicId }) => topicId);
  for (const { id } of held) assert.ok(!moved.includes(id));
  world.down.clear();
  world.settle();
  for (const { replicas } of world.state.entries()) {
    assert.equal(replicas.length, 3);
    assert.ok(!isOn(replicas, "n01"));
  }
});

// Goal: balance, as far as zones let it. Method: random histories, then one plan, which must leave nothing to do.
test("after a rebalance nodes hold the same but one, zones differ where they can, and nothing is left to do", () => {
  fc.assert(
    fc.property(events, fc.boolean(), (all, hasZones) => {
      const world = new PlacementWorld();
      for (const event of all) {
        world.happen(event.kind === "join" && !hasZones ? { ...event, zone: "" } : event);
      }
      world.down.clear();
      world.settle();
      const plan = planRebalance(world.layout());
      const before = new Map(world.state.entries().map(({ id, replicas }) => [id, replicas]));
      for (const { topicId, sourceNodeId, targetNodeId } of plan.moves) {
        assert.ok(isOn(before.get(topicId) ?? [], sourceNodeId));
        assert.ok(!isOn(before.get(topicId) ?? [], targetNodeId));
      }
      world.carryOut(plan.proposals);
      assert.deepEqual(planRebalance(world.layout()), { proposals: [], moves: [] });
      assert.deepEqual(planChanges(world.layout()), []);
      const active = world.state.members().filter(({ state }) => state === "active");
      if (active.length === 0) return;
      if (!hasZones) assert.ok(spreadOf(world.loads()) <= 1, `loads are ${world.loads()}`);
      const zones = new Set(active.map(({ nodeId }) => world.zoneOf(nodeId))).size;
      for (const { replicas, replicationFactor } of world.state.entries()) {
        checkShape(replicas, replicationFactor);
        const used = new Set(replicas.map(({ nodeId }) => world.zoneOf(nodeId))).size;
        assert.equal(used, Math.min(replicas.length, zones), "zones are shared without need");
      }
    }),
    { numRuns: 300 },
  );
});

test("a rebalance leaves alone what is still on its way", () => {
  const world = new PlacementWorld();
  world.create(1);
  world.create(1);
  world.join();
  const places = [{ nodeId: "n02", role: "voter" as const }];
  for (const topicId of [1, 2]) {
    world.apply({ kind: "place", topicId, placementVersion: 1, places });
  }
  assert.deepEqual(planRebalance(world.layout()), { proposals: [], moves: [] });
  const placementVersion = world.state.group(1)?.placementVersion ?? 0;
  const [leaving] = world.state.group(1)?.leaving ?? [];
  const replicaId = leaving?.replicaId ?? 0;
  world.apply({ kind: "left", topicId: 1, placementVersion, replicaId });
  assert.deepEqual(
    planRebalance(world.layout()).moves.map(({ topicId, targetNodeId }) => [topicId, targetNodeId]),
    [[1, "n01"]],
  );
});

test("new topics fill the servers evenly", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 20 }), (factors) => {
      const world = new PlacementWorld();
      for (let count = 1; count < 7; count += 1) world.join();
      for (const factor of factors) world.create(factor);
      assert.ok(spreadOf(world.loads()) <= 1, `loads are ${world.loads()}`);
    }),
  );
});

test("of an even number of replicas the one on a draining server goes", () => {
  const world = new PlacementWorld();
  for (let count = 1; count < 7; count += 1) world.join();
  world.settle();
  world.create(5);
  const held = () => world.state.get("t1")?.replicas.map(({ nodeId }) => nodeId) ?? [];
  const [first = "", ...others] = held();
  const last = others.at(-1) ?? "";
  world.down.add("n06").add("n07");
  world.apply({ kind: "removeServer", nodeId: first, force: true });
  world.apply({ kind: "updateServer", nodeId: last, state: "draining" });
  assert.equal(held().length, 4);
  world.settle();
  assert.deepEqual(held(), others.slice(0, -1));
});

// Goal: leaders are spread, and leave draining nodes. Method: random leaders; the plan is carried out, and must be
// the last; where every node votes on everything the counts must be the same but one.
test("leaders leave draining nodes, and are spread as far as votes are", () => {
  const seeds = fc.infiniteStream(fc.nat());
  fc.assert(
    fc.property(events, seeds, (all, seed) => {
      const world = new PlacementWorld();
      for (const event of all) world.happen(event);
      world.down.clear();
      for (const topicId of [0, ...world.state.entries().map(({ id }) => id)]) {
        const replicas = world.state.group(topicId)?.replicas ?? [];
        const voters = replicas.filter(({ role }) => role === "voter");
        const leader = voters[(seed.next().value ?? 0) % voters.length] ?? assert.fail();
        world.leaders.set(topicId, leader.nodeId);
      }
      for (const { topicId, topic, targetNodeId } of planLeaders(world.layout())) {
        const replicas = world.state.group(topicId)?.replicas ?? [];
        const target = replicas.find(({ nodeId }) => nodeId === targetNodeId);
        assert.equal(target?.role, "voter", topic);
        assert.notEqual(world.leaders.get(topicId), targetNodeId);
        world.leaders.set(topicId, targetNodeId);
      }
      assert.deepEqual(planLeaders(world.layout()), []);
      const counts = new Map<string, number>();
      for (const { id } of world.state.entries()) {
        const leader = world.leaders.get(id) ?? "";
        counts.set(leader, (counts.get(leader) ?? 0) + 1);
      }
      const isActive = (nodeId: string) => world.state.member(nodeId)?.state === "active";
      for (const { id, replicas } of world.state.entries()) {
        const leader = world.leaders.get(id) ?? "";
        const able = replicas.filter((at) => at.role === "voter" && isActive(at.nodeId));
        if (able.length > 0) assert.ok(isActive(leader), "a draining node leads");
        for (const { nodeId } of able) {
          const gap = (counts.get(leader) ?? 0) - (counts.get(nodeId) ?? 0);
          assert.ok(gap <= 1, "a leader could have moved");
        }
      }
    }),
    { numRuns: 300 },
  );
});

function isOn(places: readonly WantedPlace[], nodeId: string): boolean {
  return places.some((place) => place.nodeId === nodeId);
}
