import assert from "node:assert/strict";
import { test } from "node:test";
import { CLUSTER_TOPIC_NAME } from "../../src/topics/names.ts";
import { refusalError } from "../../src/topics/topic-errors.ts";
import { serverOf } from "./catalogue-arbitrary.ts";
import { PlacementWorld } from "./placement-world.ts";

/** The message of a command that is refused. */
function messageOf(outcome: ReturnType<PlacementWorld["apply"]>): string {
  assert.ok(outcome.kind === "refused");
  const error = refusalError(outcome, CLUSTER_TOPIC_NAME);
  assert.equal(error.reason, outcome.reason);
  return error.message;
}

test("what the catalogue refuses about servers is said with what is in the way", () => {
  const world = new PlacementWorld();
  world.join();
  world.create(2);
  const server = (nodeId: string, folderNonce = "ab") => serverOf(nodeId, { folderNonce });
  const remove = (nodeId: string, force: boolean) =>
    messageOf(world.apply({ kind: "removeServer", nodeId, force }));
  assert.equal(
    messageOf(world.apply({ kind: "found", clusterId: "c2", server: server("n01") })),
    'Cannot found a cluster: this is cluster "c1", wanted none',
  );
  assert.equal(
    messageOf(world.apply({ kind: "addServer", server: server("n02", "cd") })),
    'Cannot take in server "n02": a member with another data folder has this id',
  );
  assert.equal(
    messageOf(world.apply({ kind: "addServer", server: server("n 3") })),
    "Cannot change the cluster: nodeId is too long, or has other characters than it may",
  );
  assert.equal(remove("n09", true), 'Cannot use server "n09": it is no member');
  assert.equal(
    remove("n01", false),
    'Cannot remove server "n01": it holds 1 replicas, wanted none',
  );
  assert.equal(
    remove("n01", true),
    'Cannot remove server "n01": without it topic "_cluster" has no voter',
  );
  world.join();
  world.apply({ kind: "removeServer", nodeId: "n03", force: false });
  assert.equal(
    messageOf(world.apply({ kind: "addServer", server: server("n03") })),
    'Cannot take in server "n03": it was removed, and its id never comes back',
  );
  assert.equal(
    messageOf(world.apply({ kind: "place", topicId: 9, placementVersion: 1, places: [] })),
    "Cannot place replicas: members or replicas changed meanwhile, wanted a new plan",
  );
});
