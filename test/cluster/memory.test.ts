import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { KIB } from "../../src/base/units.ts";
import type { Topic } from "../../src/topics/topics.ts";
import { settle } from "../support/sim-clock.ts";
import { startNode } from "./harness.ts";

const RECORD = new Uint8Array(KIB).fill(120);
const TOPICS = ["one", "two", "three", "four"];
const SETTINGS = {
  inFlightBytesMax: 96 * KIB,
  topicInFlightBytesMax: 32 * KIB,
  waitingBytesMax: 64 * KIB,
  waitingCountMax: 100,
  tailBytesMax: 48 * KIB,
  topicTailBytesMax: 16 * KIB,
};

// Goal: however many write and however slow the disk and the readers are, what is held in memory has an end: callers
// wait or are refused instead. Method: topics' files that do not write at all, then many more writers than there is
// room for; what was taken is counted by what was acknowledged and by what is still open.
test("many writers on slow files hold no more memory than is allowed, and none is forgotten", async () => {
  const life = await startNode({ settings: SETTINGS });
  const topics: Topic[] = [];
  for (const name of TOPICS) {
    await life.node.topics.create(name, {});
    topics.push(life.node.topics.topic(name));
  }
  const letGo = life.fs.hold({ op: "write", path: /^topics\/\d+\/.*\.log$/ });
  const counts = { acknowledged: 0, limited: 0 };
  const write = async (topic: Topic) => {
    try {
      await topic.produce({ records: [RECORD] });
      counts.acknowledged += 1;
    } catch (error) {
      assert.ok(hasReason(error, "RATE_LIMITED"), `${error}`);
      counts.limited += 1;
    }
  };
  const calls: Promise<void>[] = [];
  for (let round = 0; round < 100; round += 1) {
    for (const topic of topics) calls.push(write(topic));
    if (round % 10 === 9) await settle();
  }
  await settle();
  // In flight until it is written, though acknowledged before.
  assert.ok(counts.acknowledged > 0);
  assert.ok(counts.acknowledged * KIB <= SETTINGS.inFlightBytesMax, `${counts.acknowledged} KiB`);
  for (const topic of topics) {
    assert.ok(topic.status().nextOffset * KIB <= SETTINGS.topicInFlightBytesMax);
  }
  const waiting = calls.length - counts.acknowledged - counts.limited;
  assert.ok(waiting > 0 && waiting * KIB <= SETTINGS.waitingBytesMax, `${waiting} KiB wait`);
  const reads = topics.map((topic) => topic.readRun(0, { recordsMax: 1000, bytesMax: 64 * KIB }));
  letGo();
  await Promise.all([...calls, ...reads]);
  assert.equal(counts.acknowledged + counts.limited, calls.length);
  const kept = topics.reduce((sum, topic) => sum + topic.status().nextOffset, 0);
  assert.equal(kept, counts.acknowledged);
  await life.node.close();
});

test("a reader that is slower than the writers reads files, and gets every record", async () => {
  const life = await startNode({ settings: SETTINGS });
  const topic = life.node.topics.topic("default");
  const limits = { recordsMax: 1000, bytesMax: 8 * KIB };
  let [next, fromMemory, fromFiles] = [0, 0, 0];
  for (let round = 0; round < 60; round += 1) {
    await topic.produce({ records: [RECORD, RECORD, RECORD] });
    // Two records are read for three that are written.
    const reads = { ...limits, recordsMax: 2 };
    const inMemory = topic.readTail(next, reads);
    if (inMemory === undefined) fromFiles += 1;
    else fromMemory += 1;
    const run = inMemory ?? (await topic.readRun(next, reads));
    assert.equal(run.offsets[0], next);
    next = run.resumeOffset;
  }
  assert.ok(fromMemory > 0 && fromFiles > 0, `${fromMemory} of memory, ${fromFiles} of files`);
  while (next < topic.status().nextOffset) {
    const run = topic.readTail(next, limits) ?? (await topic.readRun(next, limits));
    assert.equal(run.offsets[0], next);
    next = run.resumeOffset;
  }
  assert.equal(next, 180);
  await life.node.close();
});

test("what was trimmed or deleted is not to be had from memory either", async () => {
  const life = await startNode();
  await life.node.topics.create("topic", {});
  const topic = life.node.topics.topic("topic");
  const limits = { recordsMax: 10, bytesMax: KIB };
  await topic.produce({ records: [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)] });
  assert.equal(topic.readTail(0, limits)?.count, 3);
  await topic.trim(2);
  assert.equal(topic.readTail(0, limits), undefined);
  assert.equal(topic.readTail(1, limits), undefined);
  assert.deepEqual(topic.readTail(2, limits)?.offsets[0], 2);
  await assert.rejects(topic.readRun(1, limits), (e) => hasReason(e, "OFFSET_OUT_OF_RANGE"));
  await life.node.topics.delete("topic");
  assert.throws(
    () => topic.readTail(2, limits),
    (e) => hasReason(e, "TOPIC_NOT_FOUND"),
  );
  await life.node.topics.create("topic", {});
  assert.equal(life.node.topics.topic("topic").readTail(2, limits), undefined);
  await life.node.close();
});
