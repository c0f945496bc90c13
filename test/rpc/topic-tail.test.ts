import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerBudget } from "../../src/rpc/answer-budget.ts";
import { measureConsumed } from "../../src/rpc/hot/consumed-wire.ts";
import { STREAM_RESERVE_BYTES } from "../../src/rpc/limits.ts";
import type { Portion } from "../../src/rpc/read-topic.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { TopicTail } from "../../src/rpc/topic-tail.ts";
import type { ReadLimits, RecordRun } from "../../src/topics/topics.ts";
import { FakeCall } from "../support/fake-call.ts";
import type { FakeTopic } from "../support/fake-topic.ts";
import { FakeTopics } from "../support/fake-topics.ts";
import { SimClock } from "../support/sim-clock.ts";

const BYTES_MAX = 10_000;
const LIMITS = { recordsMax: 10, bytesMax: BYTES_MAX, measure: measureConsumed };

/** A reader of 35 records on disk, ten in each portion. */
async function open({ bytesMax = 10 * STREAM_RESERVE_BYTES } = {}) {
  const topic: FakeTopic = new FakeTopics().topic("default");
  topic.tailFrom = Number.POSITIVE_INFINITY;
  await topic.produce({
    records: Array.from({ length: 35 }, () => recordOfValue(Uint8Array.of(1))),
  });
  let givenBack = 0;
  const readRun = topic.readRun.bind(topic);
  topic.readRun = async (offset: number, limits: ReadLimits): Promise<RecordRun> => ({
    ...(await readRun(offset, limits)),
    giveBack: () => {
      givenBack += 1;
    },
  });
  const clock = new SimClock();
  const budget = new AnswerBudget({ bytesMax, stuckMs: 10, clock });
  const tail = new TopicTail(topic, {
    offset: 0,
    limits: LIMITS,
    firstMs: 0,
    silenceMs: 1000,
    share: budget.open(() => {}),
    sharesTail: true,
    clock,
    call: new FakeCall(),
    draining: new AbortController().signal,
  });
  return { topic, tail, budget, givenBack: () => givenBack };
}

const offsetsOf = (portion: Portion | undefined) =>
  portion?.runs.flatMap(({ run, measure }) => [...run.offsets.subarray(0, measure.count)]);

const rangeOf = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => from + at);

test("what was read ahead is what comes next, read once, and counts until then", async () => {
  const { topic, tail, budget } = await open();
  const first = await tail.next();
  assert.deepEqual(offsetsOf(first), rangeOf(0, 10));
  assert.equal(budget.bytes, first?.byteLength);
  tail.readAhead();
  assert.equal(topic.readCount, 2);
  assert.equal(budget.bytes, (first?.byteLength ?? 0) + BYTES_MAX);
  const second = await tail.next();
  assert.deepEqual(offsetsOf(second), rangeOf(10, 20));
  assert.equal(topic.readCount, 2);
  assert.equal(budget.bytes, second?.byteLength);
  tail.close();
  assert.equal(budget.bytes, 0);
});

test("what comes into memory meanwhile does not come before what was read ahead", async () => {
  const { topic, tail } = await open();
  await tail.next();
  tail.readAhead();
  topic.tailFrom = 0;
  assert.deepEqual(offsetsOf(await tail.next()), rangeOf(10, 20));
  assert.deepEqual(offsetsOf(await tail.next()), rangeOf(20, 30));
  assert.equal(topic.tailCount, 1);
});

test("nothing is read ahead of what was in memory, and nothing beyond the end", async () => {
  const { topic, tail } = await open();
  topic.tailFrom = 0;
  await tail.next();
  tail.readAhead();
  assert.equal(topic.readCount, 0);
  topic.tailFrom = Number.POSITIVE_INFINITY;
  for (const end of [20, 30, 35]) assert.equal(offsetsOf(await tail.next())?.at(-1), end - 1);
  tail.readAhead();
  assert.equal(topic.readCount, 3);
});

test("an error of a read ahead comes when its records are asked for", async () => {
  const { topic, tail } = await open();
  await tail.next();
  await topic.trim(30);
  tail.readAhead();
  await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(async () => tail.next(), { reason: "OFFSET_OUT_OF_RANGE" });
});

test("who leaves gives back what was read ahead", async () => {
  const { tail, givenBack } = await open();
  await tail.next();
  tail.readAhead();
  tail.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(givenBack(), 1);
});

test("who has to wait for room drops what it read ahead, and reads it again", async () => {
  const { topic, tail, budget, givenBack } = await open({ bytesMax: STREAM_RESERVE_BYTES });
  await tail.next();
  tail.readAhead();
  const other = budget.open(() => {});
  const waiting = other.take(STREAM_RESERVE_BYTES);
  const next = tail.next();
  await waiting;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(givenBack(), 1);
  assert.equal(topic.readCount, 2);
  other.close();
  assert.deepEqual(offsetsOf(await next), rangeOf(10, 20));
  assert.equal(topic.readCount, 3);
});
