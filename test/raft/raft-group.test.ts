import assert from "node:assert/strict";
import { test } from "node:test";
import { settled } from "./host.ts";
import { RaftCluster } from "./raft-cluster.ts";

test("an only voter leads at once, and acknowledges what is journalled", async () => {
  const cluster = await RaftCluster.started({ count: 1 });
  const member = cluster.member(1);
  assert.equal(member.group?.role, "leader");
  assert.equal(member.group?.isRecovering, false);
  const calls = ["a", "b", "c"].map((text) => member.propose(text));
  assert.equal(await settled(calls[0] as Promise<string>), "waits");
  await cluster.run(10);
  assert.deepEqual(await Promise.all(calls), ["did a", "did b", "did c"]);
  assert.deepEqual(member.machine.applied, ["a", "b", "c"]);
  assert.deepEqual(member.failures, []);
});

test("three voters elect one, which acknowledges what a majority has journalled", async () => {
  const cluster = await RaftCluster.started();
  const { leader } = cluster;
  assert.ok(leader !== undefined);
  const call = leader.propose("a");
  await cluster.run(1000);
  assert.equal(await settled(call), "did a");
  for (const { machine, failures } of cluster.members) {
    assert.deepEqual(machine.applied, ["a"]);
    assert.deepEqual(failures, []);
  }
});
