import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ProglogError } from "../../src/base/errors.ts";
import { ConsumeResponseSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { RecordSchema } from "../../src/gen/proglog/v1/record_pb.ts";
import { measureConsumed } from "../../src/rpc/hot/consumed-wire.ts";
import { longPoll } from "../../src/rpc/long-poll.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { FakeCall } from "../support/fake-call.ts";
import { FakeTopics } from "../support/fake-topics.ts";
import { SimClock } from "../support/sim-clock.ts";
import { bodies, clientsOf, failsWith, startApi, until } from "./api.ts";
import { request } from "./ports.ts";

const TOPIC = { topic: "default" };

test("where a read begins: first, offset, last records, time", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  topic.append(...bodies(10));
  await topic.trim(2);
  const startUs = 1_767_225_600_000_000n; // of offset 0; one second a record
  const first = async (start: Parameters<typeof log.consume>[0]["start"]) => {
    const { records, resumeOffset } = await log.consume({ ...TOPIC, ...(start && { start }) });
    return [records[0]?.offset, resumeOffset];
  };
  assert.deepEqual(await first(undefined), [2n, 10n]);
  assert.deepEqual(await first({ case: "offset", value: 5n }), [5n, 10n]);
  assert.deepEqual(await first({ case: "offset", value: 10n }), [undefined, 10n]);
  assert.deepEqual(await first({ case: "lastRecords", value: 3n }), [7n, 10n]);
  assert.deepEqual(await first({ case: "lastRecords", value: 2n ** 64n - 1n }), [2n, 10n]);
  assert.deepEqual(await first({ case: "lastRecords", value: 0n }), [undefined, 10n]);
  const at = (value: bigint) => first({ case: "appendTimeUnixUs", value });
  assert.deepEqual(await at(startUs + 4_000_000n), [4n, 10n]);
  assert.deepEqual(await at(startUs + 4_000_001n), [5n, 10n]);
  assert.deepEqual(await at(-5n), [2n, 10n]);
  assert.deepEqual(await at(2n ** 63n - 1n), [undefined, 10n]);
});

test("an offset outside the topic is told with the topic's range", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  topics.topic("default").append(...bodies(5));
  await topics.topic("default").trim(2);
  for (const value of [1n, 6n, 2n ** 53n, 2n ** 64n - 1n]) {
    const outside = log.consume({ ...TOPIC, start: { case: "offset", value } });
    assert.deepEqual(await failsWith(outside, "OFFSET_OUT_OF_RANGE"), {
      offset: `${value}`,
      firstOffset: "2",
      nextOffset: "5",
    });
  }
});

test("limits: given, default, at most, and wrong ones", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  topics.topic("default").append(...bodies(1500));
  const count = async (limits: { maxRecords?: number; maxBytes?: number }) =>
    (await log.consume({ ...TOPIC, ...limits })).records.length;
  assert.equal(await count({ maxRecords: 7 }), 7);
  assert.equal(await count({}), 1000);
  assert.equal(await count({ maxRecords: 2 ** 31 - 1 }), 1500);
  assert.equal(await count({ maxBytes: 1 }), 1);
  for (const field of ["max_records", "max_bytes"] as const) {
    const limits = field === "max_records" ? { maxRecords: -1 } : { maxBytes: -1 };
    const refused = log.consume({ ...TOPIC, ...limits });
    assert.deepEqual(await failsWith(refused, "FIELD_INVALID"), { field });
  }
  const wait = log.consume({ ...TOPIC, wait: { seconds: -1n } });
  assert.deepEqual(await failsWith(wait, "FIELD_INVALID"), { field: "wait" });
  const consistency = log.consume({ ...TOPIC, consistency: 77 as never });
  assert.deepEqual(await failsWith(consistency, "FIELD_INVALID"), { field: "consistency" });
});

test("max_bytes counts what is received, and the read goes on where it was cut", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  topics.topic("default").append(...bodies(300, 100));
  let offset = 0n;
  for (let count = 0; offset < 300n; count += 1) {
    const start = { case: "offset", value: offset } as const;
    const answer = await log.consume({ ...TOPIC, start, maxBytes: 10_000 });
    assert.equal(answer.records[0]?.offset, offset);
    const recordBytes = toBinary(ConsumeResponseSchema, {
      ...answer,
      resumeOffset: 0n,
      highWatermark: 0n,
      topicId: 0n,
    });
    assert.ok(recordBytes.length <= 10_000, `${recordBytes.length} bytes`);
    assert.equal(answer.resumeOffset, (answer.records.at(-1)?.offset ?? 0n) + 1n);
    offset = answer.resumeOffset;
    assert.ok(count < 10);
  }
});

test("an answer stays below 4 MiB, unless one record alone is larger", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  topic.append(...bodies(20_000, 300));
  const answer = await log.consume({ ...TOPIC, maxRecords: 100_000 });
  const size = toBinary(ConsumeResponseSchema, answer).length;
  assert.ok(size > 3_900_000 && size < 4 * 2 ** 20, `${size} bytes`);
  topic.append(recordOfValue(new Uint8Array(5_000_000)));
  const large = await log.consume({ ...TOPIC, start: { case: "lastRecords", value: 1n } });
  assert.equal(large.records[0]?.record?.value.length, 5_000_000);
});

test("an answer in JSON stays below 4 MiB too, whatever is in the records", async (t) => {
  const { port, topics } = await startApi(t);
  const topic = topics.topic("default");
  const headers = Array.from({ length: 200 }, () => ({}));
  const odd = toBinary(RecordSchema, create(RecordSchema, { headers }));
  topic.append(...bodies(30_000, 0), ...bodies(1000, 2000), ...Array(3000).fill(odd));
  const path = "/proglog.v1.LogService/Consume";
  const headersOfCall = { "content-type": "application/json" };
  let resumeOffset = 0;
  let sizeMax = 0;
  while (resumeOffset < topic.nextOffset) {
    const body = JSON.stringify({ ...TOPIC, offset: resumeOffset, maxRecords: 100_000 });
    const answer = await request(port, path, { method: "POST", headers: headersOfCall, body });
    resumeOffset = Number((JSON.parse(answer.body) as { resumeOffset: string }).resumeOffset);
    sizeMax = Math.max(sizeMax, answer.body.length);
  }
  assert.ok(sizeMax > 500_000 && sizeMax < 4 * 2 ** 20, `${sizeMax} bytes`);
});

test("removed records are gaps, and a read goes on behind them", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  topic.append(...bodies(10));
  for (const offset of [1, 2, 8, 9]) topic.remove(offset);
  const answer = await log.consume(TOPIC);
  assert.deepEqual(
    answer.records.map(({ offset }) => offset),
    [0n, 3n, 4n, 5n, 6n, 7n],
  );
  assert.equal(answer.resumeOffset, 10n);
  const start = { case: "offset", value: 1n } as const;
  const one = await log.consume({ ...TOPIC, start, maxRecords: 1 });
  assert.deepEqual([one.records[0]?.offset, one.resumeOffset], [3n, 4n]);
});

test("damage is told with its place, after the records before it", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  topic.append(...bodies(3));
  topic.damaged.add(1);
  const before = await log.consume(TOPIC);
  assert.equal(before.resumeOffset, 1n);
  const damaged = log.consume({ ...TOPIC, start: { case: "offset", value: 1n } });
  assert.deepEqual(await failsWith(damaged, "STORE_CORRUPT"), { topic: "default", offset: "1" });
});

test("a long poll returns when a record comes", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  const poll = log.consume({ ...TOPIC, wait: { seconds: 60n } });
  await until(() => topic.openWaits === 1);
  topic.append(...bodies(1));
  assert.equal((await poll).records[0]?.offset, 0n);
  assert.equal(topic.waitCount, 1);
});

test("a long poll of a topic that is deleted ends", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  await topics.create("brief", {});
  const poll = log.consume({ topic: "brief", wait: { seconds: 60n } });
  await until(() => topics.topic("brief").openWaits === 1);
  await topics.delete("brief");
  await failsWith(poll, "TOPIC_NOT_FOUND");
});

test("a long poll ends at a drain, with an answer", async (t) => {
  const { port, topics, state } = await startApi(t);
  const { log } = clientsOf(port);
  const poll = log.consume({ ...TOPIC, wait: { seconds: 60n } });
  await until(() => topics.topic("default").openWaits === 1);
  state.drain();
  assert.equal((await poll).records.length, 0);
  await failsWith(log.consume(TOPIC), "DRAINING");
});

test("a long poll waits as long as it was told, and looks only when something came", async () => {
  const clock = new SimClock();
  const topic = new FakeTopics().topic("default");
  const call = new FakeCall();
  const poll = longPoll(topic, 0, {
    limits: { recordsMax: 10, bytesMax: 1000, measure: measureConsumed },
    waitMs: 5000,
    clock,
    call,
    draining: new AbortController().signal,
  });
  let isDone = false;
  void poll.then(() => {
    isDone = true;
  });
  await clock.advance(4999);
  assert.equal(isDone, false);
  assert.deepEqual([topic.readCount, topic.waitCount], [0, 1]);
  await clock.advance(1);
  assert.equal((await poll).recordCount, 0);
  assert.equal(call.listenerCount, 0);
  assert.equal(topic.openWaits, 0);
  assert.equal(clock.timerCount, 0);
});

test("calls before the topics are there wait for them, and not for ever", async (t) => {
  const topics = new FakeTopics();
  let bring: (topics: FakeTopics) => void = () => {};
  const coming = new Promise<FakeTopics>((resolve) => {
    bring = resolve;
  });
  const { port } = await startApi(t, { topics: coming, limits: { startWaitMs: 100 } });
  const { log } = clientsOf(port);
  await failsWith(log.consume(TOPIC), "STARTING");
  const deadline = { headers: { "grpc-timeout": "20m" } };
  await failsWith(log.consume(TOPIC, deadline), "DEADLINE_EXCEEDED");
  const early = log.consume(TOPIC);
  bring(topics);
  assert.equal((await early).records.length, 0);
});

test("the hook sees every call at its begin and its end, and may refuse it", async (t) => {
  const seen: string[] = [];
  const { port } = await startApi(t, {
    hook: (call) => {
      if (call.headers["x-token"] !== "good") {
        throw new ProglogError("RATE_LIMITED", "Not you");
      }
      return ({ outcome, durationMs }) => {
        assert.ok(durationMs >= 0);
        seen.push(`${call.protocol} ${call.method} ${outcome?.reason ?? "ok"}`);
      };
    },
  });
  const { log } = clientsOf(port);
  await failsWith(log.consume(TOPIC), "RATE_LIMITED");
  const headers = { "x-token": "good" };
  await log.consume(TOPIC, { headers });
  await failsWith(log.consume({ topic: "nope" }, { headers }), "TOPIC_NOT_FOUND");
  await until(() => seen.length === 2);
  assert.deepEqual(seen, [
    "grpc proglog.v1.LogService/Consume ok",
    "grpc proglog.v1.LogService/Consume TOPIC_NOT_FOUND",
  ]);
});
