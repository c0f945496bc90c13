import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ProglogError } from "../../src/base/errors.ts";
import { planChanges } from "../../src/topics/placement.ts";
import { checkRemoval, planMove } from "../../src/topics/placement-checks.ts";
import { events, PlacementWorld } from "./placement-world.ts";

/** So many servers, with one topic on three of them. */
function worldOf(serverCount: number): PlacementWorld {
  const world = new PlacementWorld();
  for (let count = 1; count < serverCount; count += 1) world.join();
  world.settle();
  world.create(3);
  return world;
}

function removal(
  world: PlacementWorld,
  nodeId: string,
  force = true,
  votersNow?: string[],
): string {
  try {
    checkRemoval(world.layout(), {
      ...{ nodeId, force },
      votersNow: (topicId) => (topicId === 1 ? votersNow : undefined),
    });
    return "ok";
  } catch (error) {
    assert.ok(error instanceof ProglogError);
    assert.equal(error.metadata["serverId"], nodeId);
    return [error.reason, error.metadata["topic"] ?? error.metadata["replicaCount"]]
      .filter((part) => part !== undefined)
      .join(" ");
  }
}

test("a server with replicas is removed only by force, an empty one at once, a foreign one never", () => {
  const world = worldOf(4);
  assert.equal(removal(world, "n01", false), "SERVER_HAS_REPLICAS 1");
  assert.equal(removal(world, "n01"), "ok");
  assert.equal(removal(world, "n04", false), "ok");
  assert.equal(removal(world, "n09"), "SERVER_NOT_FOUND");
});

test("a replica that is still leaving counts", () => {
  const world = worldOf(4);
  const { placementVersion = 0 } = world.state.group(1) ?? {};
  const places = ["n02", "n03", "n04"].map((nodeId) => ({ nodeId, role: "voter" as const }));
  world.apply({ kind: "place", topicId: 1, placementVersion, places });
  assert.equal(removal(world, "n01", false), "SERVER_HAS_REPLICAS 1");
  world.down.add("n02");
  // n01, n02, n03 and n04 may vote now: without two of them there is no majority.
  assert.equal(removal(world, "n01"), "QUORUM_AT_RISK _cluster");
});

test("nothing is removed that a majority of voters that are up hangs on, whatever is forced", () => {
  const world = worldOf(3);
  assert.equal(removal(world, "n03"), "ok");
  world.down.add("n02");
  assert.equal(removal(world, "n03"), "QUORUM_AT_RISK _cluster");
  // The one that is lost can go.
  assert.equal(removal(world, "n02"), "ok");
  assert.equal(removal(worldOf(1), "n01"), "QUORUM_AT_RISK _cluster");
  const two = worldOf(2);
  const [voter] = two.state.get("t1")?.replicas.filter(({ role }) => role === "voter") ?? [];
  assert.equal(removal(two, "n01"), "QUORUM_AT_RISK _cluster");
  const expected = voter?.nodeId === "n02" ? "QUORUM_AT_RISK t1" : "ok";
  assert.equal(removal(two, "n02"), expected);
});

test("who votes now decides, where it is known: what shall vote may not have caught up", () => {
  const world = worldOf(4);
  assert.deepEqual(
    world.state.get("t1")?.replicas.map(({ nodeId }) => nodeId),
    ["n01", "n02", "n03"],
  );
  assert.equal(removal(world, "n02", true, ["n02"]), "QUORUM_AT_RISK t1");
  assert.equal(removal(world, "n02", true, ["n01"]), "ok");
  assert.equal(removal(world, "n02", true, ["n01", "n02", "n03"]), "ok");
});

// Goal: what the check lets through, the catalogue does too. Method: random clusters, each node in turn.
test("the catalogue refuses nothing that the check has passed", () => {
  fc.assert(
    fc.property(events, fc.boolean(), (all, force) => {
      const world = new PlacementWorld();
      for (const event of all) world.happen(event);
      for (const { nodeId } of world.state.members()) {
        if (removal(world, nodeId, force) !== "ok") continue;
        assert.equal(world.apply({ kind: "removeServer", nodeId, force }).kind, "serverRemoved");
      }
    }),
    { numRuns: 200 },
  );
});

test("a drained server is empty, and can be removed without force", () => {
  for (const nodeId of ["n01", "n02", "n03", "n04"]) {
    const world = worldOf(4);
    world.apply({ kind: "updateServer", nodeId, state: "draining" });
    world.settle();
    assert.equal(removal(world, nodeId, false), "ok");
    assert.equal(world.apply({ kind: "removeServer", nodeId, force: false }).kind, "serverRemoved");
    assert.deepEqual(planChanges(world.layout()), []);
  }
});

test("a move keeps the part that the replica plays, and is refused by name otherwise", () => {
  const world = worldOf(4);
  const move = (topicId: number, sourceNodeId: string, targetNodeId: string) =>
    planMove(world.layout(), { topicId, sourceNodeId, targetNodeId });
  assert.deepEqual(move(1, "n02", "n04"), {
    ...{ topicId: 1, placementVersion: 1 },
    places: [
      { nodeId: "n01", role: "voter" },
      { nodeId: "n04", role: "voter" },
      { nodeId: "n03", role: "voter" },
    ],
  });
  const refused = (reason: string, ...args: [number, string, string]) =>
    assert.throws(() => move(...args), { reason });
  refused("REPLICA_MISSING", 1, "n04", "n01");
  refused("REPLICA_EXISTS", 1, "n01", "n02");
  refused("REPLICA_EXISTS", 0, "n01", "n02");
  refused("SERVER_NOT_FOUND", 1, "n01", "n09");
  refused("SERVER_NOT_FOUND", 1, "n09", "n04");
  refused("PLACEMENT_STALE", 9, "n01", "n04");
  world.apply({ kind: "updateServer", nodeId: "n04", state: "draining" });
  refused("FIELD_INVALID", 1, "n01", "n04");
});
