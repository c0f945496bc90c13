import assert from "node:assert/strict";
import { test } from "node:test";
import { readAll, startNode, texts } from "./harness.ts";

test("what was appended is there after a clean stop, which the next start does not scan", async () => {
  const first = await startNode();
  const ack = await first.node.topics.topic("default").produce({ records: texts("a", "b") });
  assert.deepEqual(ack, {
    firstOffset: 0,
    lastOffset: 1,
    appendTimeUs: first.clock.wallUs(),
    durability: "synced-one",
    duplicate: false,
  });
  await first.node.close();
  const second = await startNode({ fs: first.fs.reopen() });
  assert.deepEqual(await readAll(second.node, "default"), ["a", "b"]);
  await second.node.close();
  assert.deepEqual(second.failures, []);
});
