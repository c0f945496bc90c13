import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "../support/sim-clock.ts";
import { readRecords, readToEnd, recordsBeyond } from "../support/topic-reads.ts";
import { startNode, textOf, texts } from "./harness.ts";
import { refused, stop } from "./refusals.ts";

const LIMITS = { recordsMax: 1_000, bytesMax: 100_000 };

test("reads begin where they are told, end where they must, and say where to go on", async () => {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  for (let at = 0; at < 10; at += 1) {
    await life.clock.advance(10);
    await topic.produce({ records: texts(`${at}-${"x".repeat(50)}`, `${at}+`) });
  }
  await topic.trim(3);
  const all = await readToEnd(topic, 3, LIMITS);
  assert.deepEqual(
    all.map(({ offset }) => offset),
    Array.from({ length: 17 }, (_, at) => at + 3),
  );
  assert.equal(textOf(all[0]?.body ?? new Uint8Array()), "1+");
  assert.deepEqual(await readRecords(topic, 20, LIMITS), { records: [], resumeOffset: 20 });
  const some = await topic.readRun(4, { recordsMax: 3, bytesMax: 100_000, endOffset: 6 });
  assert.deepEqual([some.count, some.resumeOffset], [2, 6]);
  assert.equal((await topic.readRun(4, { recordsMax: 3, bytesMax: 100_000 })).count, 3);
  assert.equal((await topic.readRun(4, { recordsMax: 9, bytesMax: 1 })).count, 1);
  assert.equal((await topic.readRun(4, { recordsMax: 9, bytesMax: 200 })).count, 3);
  for (const offset of [2, 21]) {
    const metadata = await refused(topic.readRun(offset, LIMITS), "OFFSET_OUT_OF_RANGE");
    assert.deepEqual([metadata["firstOffset"], metadata["nextOffset"]], ["3", "20"]);
    await refused(topic.resolve({ at: "offset", offset }), "OFFSET_OUT_OF_RANGE");
  }
  assert.equal(await topic.resolve({ at: "offset", offset: 20 }), 20);
  assert.equal(await topic.resolve({ at: "first" }), 3);
  assert.equal(await topic.resolve({ at: "last", count: 0 }), 20);
  assert.equal(await topic.resolve({ at: "last", count: 4 }), 16);
  assert.equal(await topic.resolve({ at: "last", count: 400 }), 3);
  const timeUs = all[5]?.appendTimeUs ?? 0;
  assert.equal(await topic.resolve({ at: "time", timeUs }), 8);
  assert.equal(await topic.resolve({ at: "time", timeUs: timeUs + 1 }), 10);
  assert.equal(await topic.resolve({ at: "time", timeUs: 0 }), 3);
  assert.equal(await topic.resolve({ at: "time", timeUs: 2 ** 52 }), 20);
  assert.equal(await topic.resolve({ at: "first" }), topic.status().firstOffset);
  await refused(topic.trim(21), "OFFSET_OUT_OF_RANGE");
  assert.deepEqual(await topic.trim(1), { firstOffset: 3 });
  assert.deepEqual(await topic.trim(20), { firstOffset: 20 });
  assert.equal(await topic.resolve({ at: "first" }), 20);
  await stop(life);
});

test("reads of any size give all records once, from files and from memory alike", async () => {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  const wanted: string[] = [];
  const check = async () => {
    for (const recordsMax of [1, 2, 5, 1_000]) {
      for (const bytesMax of [1, 90, 1_000, 100_000]) {
        const found: string[] = [];
        let at = 0;
        while (at < topic.status().nextOffset) {
          const result = await readRecords(topic, at, { recordsMax, bytesMax });
          assert.ok(result.records.length <= recordsMax && result.records.length > 0);
          const bytes = result.records.reduce((sum, { body }) => sum + body.length, 0);
          assert.ok(bytes <= bytesMax || result.records.length === 1);
          found.push(...result.records.map(({ body }) => textOf(body)));
          at = result.resumeOffset;
        }
        assert.deepEqual(found, wanted);
      }
    }
  };
  for (let at = 0; at < 12; at += 1) {
    const batch = Array.from({ length: 5 }, (_, record) => `${at}.${record} ${"y".repeat(at * 9)}`);
    await topic.produce({ records: texts(...batch) });
    wanted.push(...batch);
  }
  await check();
  const letGo = life.fs.hold({ op: "write", path: /^topics/ });
  await topic.produce({ records: texts("m1", "m2") });
  await topic.produce({ records: texts("m3") });
  wanted.push("m1", "m2", "m3");
  await check();
  letGo();
  await settle();
  await check();
  await stop(life);
});

test("who waits is woken by an append, and who gave up waiting is not told anything", async () => {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  const waits = Array.from({ length: 50 }, () => recordsBeyond(topic, 0));
  const told = () => assert.fail("told after it gave up");
  const giveUp = topic.follow(0, { wake: told, fail: told });
  giveUp();
  await topic.produce({ records: texts("a") });
  await Promise.all(waits);
  await stop(life);
});

test("a slow reader keeps its files until it has read them, and the trim does not wait", async () => {
  // Without a tail in memory, so that it reads the files.
  const life = await startNode({ settings: { tailBytesMax: 0 } });
  const topic = life.node.topics.topic("default");
  for (let at = 0; at < 30; at += 1)
    await topic.produce({ records: texts(`${at} ${"x".repeat(99)}`) });
  await settle();
  const letGo = life.fs.hold({ op: "read", path: /^topics\/1\/0+\.log$/ });
  const reading = topic.readRun(0, LIMITS);
  await settle();
  assert.deepEqual(await topic.trim(25), { firstOffset: 25 });
  await settle();
  assert.ok(life.fs.dump().has("topics/1/00000000000000000000.log"));
  letGo();
  assert.equal((await reading).offsets[0], 0);
  await settle();
  assert.ok(!life.fs.dump().has("topics/1/00000000000000000000.log"));
  await stop(life);
});
