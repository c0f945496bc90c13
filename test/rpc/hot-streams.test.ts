import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { ConsumeStreamResponseSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { AnswerBudget } from "../../src/rpc/answer-budget.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { Bench, FakeOutput, HEARTBEAT_MS, HotCall, TOPIC } from "./hot-bench.ts";

const body = (bytes = 1) => recordOfValue(new Uint8Array(bytes));

for (const [what, stop, end] of [
  ["a drain", (bench: Bench) => bench.state.drain(), "DRAINING"],
  ["a deleted topic", (bench: Bench) => bench.topic.end(), "TOPIC_NOT_FOUND"],
  [
    "a deadline",
    (bench: Bench) => bench.call.abort(new ProglogError("DEADLINE_EXCEEDED", "Too long")),
    "DEADLINE_EXCEEDED",
  ],
] as const) {
  test(`${what} ends a tail that waits`, async () => {
    const bench = new Bench();
    await bench.tail();
    assert.deepEqual(bench.output.offsets(), [[]]);
    stop(bench);
    await settle();
    assert.equal(bench.end, end);
    bench.assertNothingLeft();
  });
}

test("a tail that was overtaken by a trim is told, nothing is skipped silently", async () => {
  const bench = new Bench();
  for (let count = 0; count < 5; count += 1) bench.topic.append(body());
  bench.output.isSlow = true;
  await bench.tail({ ...TOPIC, start: { case: "offset", value: 1n } });
  for (let count = 0; count < 5; count += 1) bench.topic.append(body());
  await bench.topic.trim(7);
  await bench.output.take();
  assert.deepEqual(bench.output.offsets(), [[1, 2, 3, 4]]);
  assert.equal(bench.end, "OFFSET_OUT_OF_RANGE");
});

test("a tail reads on when its client has taken something, and not before", async () => {
  const clock = new SimClock();
  const budget = new AnswerBudget({ bytesMax: 1000, stuckMs: 10, clock });
  const bench = new Bench();
  bench.call.answers = budget.open(() => {});
  bench.output.isSlow = true;
  bench.topic.append(body(100));
  await bench.tail();
  for (let count = 0; count < 3; count += 1) {
    bench.topic.append(body());
    await settle();
  }
  assert.equal(bench.output.messages.length, 1);
  assert.ok(budget.bytes > 100);
  await bench.output.take();
  assert.deepEqual(bench.output.offsets(), [[0], [1, 2, 3]]);
  bench.output.isSlow = false;
  await bench.output.take();
  assert.equal(budget.bytes, 0, "who waits for records holds nothing");
});

test("a tail ends when nobody takes it any more", async () => {
  const bench = new Bench();
  await bench.tail();
  bench.output.isClosed = true;
  bench.topic.append(body());
  await settle();
  assert.equal(bench.end, "OK");
  assert.equal(bench.output.messages.length, 1);
  bench.assertNothingLeft();
});

test("records in memory are not read from disk, those before them are", async () => {
  const bench = new Bench();
  for (let count = 0; count < 4; count += 1) bench.topic.append(body());
  bench.topic.tailFrom = 4;
  await bench.tail();
  assert.deepEqual([bench.topic.readCount, bench.topic.tailCount], [1, 0]);
  for (let count = 0; count < 3; count += 1) {
    bench.topic.append(body());
    await settle();
  }
  assert.deepEqual([bench.topic.readCount, bench.topic.tailCount], [1, 3]);
  assert.deepEqual(bench.output.offsets(), [[0, 1, 2, 3], [4], [5], [6]]);
});

test("a thousand tails send the same bytes, which count once", async () => {
  const budget = new AnswerBudget({ bytesMax: 4000, stuckMs: 10, clock: new SimClock() });
  const bench = new Bench();
  const outputs = Array.from({ length: 1000 }, () => new FakeOutput());
  for (const output of outputs) {
    const call = new HotCall();
    call.answers = budget.open(() => {});
    await bench.tail(TOPIC, output, call);
    output.isSlow = true;
  }
  bench.topic.append(body(1000), body(1000));
  await settle();
  const [first] = outputs;
  assert.deepEqual(first?.offsets(), [[], [0, 1]]);
  for (const { messages } of outputs) assert.equal(messages[1], first?.messages[1]);
  assert.ok(budget.bytes > 2000 && budget.bytes < 2100, `${budget.bytes} bytes for all`);
  for (const output of outputs) await output.take();
  assert.equal(budget.bytes, 0);
});

test("one timer is enough for all the messages between two heartbeats", async () => {
  const bench = new Bench();
  let armed = 0;
  const schedule = bench.clock.schedule.bind(bench.clock);
  bench.clock.schedule = (delayMs, callback) => {
    armed += 1;
    return schedule(delayMs, callback);
  };
  await bench.tail();
  for (let count = 0; count < 100; count += 1) {
    bench.topic.append(body());
    await bench.clock.advance(HEARTBEAT_MS / 200);
  }
  assert.equal(armed, 1);
  assert.equal(bench.output.messages.length, 101);
  await bench.clock.advance(HEARTBEAT_MS - HEARTBEAT_MS / 200 - 1);
  assert.equal(bench.output.messages.length, 101, "the silence began with the last record");
  await bench.clock.advance(1);
  assert.deepEqual(bench.output.offsets().at(-1), []);
});

test("the first message says what a reader must know, the others say no more than they must", async () => {
  const bench = new Bench();
  bench.topic.append(body());
  await bench.tail({ ...TOPIC, endOffset: 2n, heartbeatInterval: { seconds: 2n } });
  bench.topic.append(body(), body());
  await settle();
  assert.equal(bench.end, "OK");
  const [first, second] = bench.output.decoded(ConsumeStreamResponseSchema);
  assert.deepEqual([first?.topicId, first?.heartbeatInterval?.seconds], [1n, 2n]);
  assert.deepEqual([first?.resumeOffset, first?.highWatermark], [1n, 1n]);
  assert.deepEqual([second?.topicId, second?.heartbeatInterval], [0n, undefined]);
  assert.deepEqual([second?.resumeOffset, second?.highWatermark], [2n, 3n]);
  bench.assertNothingLeft();
});

test("an answer goes on where a file ends, and stops before damage", async () => {
  const bench = new Bench();
  for (let count = 0; count < 6; count += 1) bench.topic.append(body());
  bench.topic.damaged.add(4);
  const readRun = bench.topic.readRun.bind(bench.topic);
  bench.topic.readRun = (offset, limits) => readRun(offset, { ...limits, recordsMax: 2 });
  bench.topic.tailFrom = 6;
  const found = await bench.consume(TOPIC);
  assert.deepEqual(
    found.records.map(({ offset }) => Number(offset)),
    [0, 1, 2, 3],
  );
  assert.deepEqual([found.resumeOffset, found.highWatermark, found.topicId], [4n, 6n, 1n]);
});

test("a produce call with a deadline ends with it, and no signal is made", async () => {
  const bench = new Bench();
  const request = { ...TOPIC, records: [{}] };
  assert.equal((await bench.produce(request)).lastOffset, 0n);
  bench.call.deadlineMs = 1000;
  bench.topic.hold = new Promise(() => {});
  const held = bench.produce(request);
  bench.call.abort(new ProglogError("DEADLINE_EXCEEDED", "Too late"));
  await assert.rejects(held, { reason: "DEADLINE_EXCEEDED", metadata: { outcome: "unknown" } });
  assert.equal(bench.call.signalCount, 0);
});
