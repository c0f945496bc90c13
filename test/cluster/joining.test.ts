import assert from "node:assert/strict";
import { test } from "node:test";
import { readAll } from "./harness.ts";
import { Several } from "./several.ts";

test("A second and a third server join: all topics come to have three voters", async () => {
  const cluster = new Several();
  await cluster.start("a");
  await cluster.append("default", "one");
  await cluster.start("b");
  await cluster.start("c");
  await cluster.until(() => cluster.isReplicated("default") && cluster.isReplicated("_cluster"));
  await cluster.append("default", "two");
  for (const name of ["a", "b", "c"]) {
    const node = cluster.node(name);
    await cluster.until(() => node.topics.topic("default").status().nextOffset === 2);
    assert.deepEqual(await cluster.run(readAll(node, "default")), ["one", "two"]);
  }
});

test("A new topic has a leader at once, not after an election time-out", async () => {
  const cluster = await Several.three();
  for (const topic of ["red", "green", "blue", "black"]) {
    const beganMs = cluster.clock.monotonicMs();
    await cluster.create(topic);
    await cluster.append(topic, "one");
    assert(cluster.clock.monotonicMs() - beganMs < 300);
  }
  const leaders = ["red", "green", "blue"].map((topic) => cluster.leader(topic)?.name);
  assert.equal(new Set(leaders).size, 3, `one each, and not ${leaders}`);
});
