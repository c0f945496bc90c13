import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { Log } from "../../src/gen/log/v1/log_pb.ts";
import { Durability } from "../../src/gen/proglog/v1/record_pb.ts";
import { clientsOf, collect, failsWith, startApi, text, until, WAYS } from "./api.ts";

// Goal: every protocol, version and encoding gives the same answers. Method: the
// same calls by each of them, with the library's own clients.

const RECORDS = [
  { key: text("k"), value: text("v0"), headers: [{ name: "ä", value: text("h") }] },
  { value: text("v1"), clientTimeUnixUs: 123n },
  {},
];

for (const way of WAYS) {
  test(`records come back as they were produced (${way.name})`, async (t) => {
    const { port } = await startApi(t);
    const { log } = clientsOf(port, way);
    const produced = await log.produce({ topic: "default", records: RECORDS });
    assert.equal(produced.firstOffset, 0n);
    assert.equal(produced.lastOffset, 2n);
    assert.equal(produced.durability, Durability.SYNCED_ONE);
    const found = await log.consume({ topic: "default" });
    assert.equal(found.resumeOffset, 3n);
    assert.equal(found.highWatermark, 3n);
    assert.equal(found.topicId, 1n);
    assert.deepEqual(
      found.records.map(({ offset }) => offset),
      [0n, 1n, 2n],
    );
    const [first, second, third] = found.records.map(({ record }) => record);
    assert.deepEqual(first?.value, text("v0"));
    assert.deepEqual(first?.headers[0]?.name, "ä");
    assert.equal(second?.clientTimeUnixUs, 123n);
    assert.equal(third?.value.length, 0);
  });

  test(`a stream gives what is there and what comes (${way.name})`, async (t) => {
    const { port, topics } = await startApi(t);
    const { log } = clientsOf(port, way);
    await log.produce({ topic: "default", records: RECORDS });
    const stream = log.consumeStream({ topic: "default", endOffset: 5n });
    const offsets: bigint[] = [];
    for await (const { records } of stream) {
      offsets.push(...records.map(({ offset }) => offset));
      if (offsets.length === 3) topics.topic("default").append(text(""), text(""), text(""));
    }
    assert.deepEqual(offsets, [0n, 1n, 2n, 3n, 4n]);
  });

  test(`errors say why (${way.name})`, async (t) => {
    const { port } = await startApi(t);
    const { log, topics } = clientsOf(port, way);
    const missing = log.produce({ topic: "nope", records: RECORDS });
    assert.deepEqual(await failsWith(missing, "TOPIC_NOT_FOUND"), { topic: "nope" });
    await failsWith(topics.createTopic({ topic: "Not A Name" }), "TOPIC_NAME_INVALID");
    const beyond = collect(
      log.consumeStream({ topic: "default", start: { case: "offset", value: 7n } }),
    );
    assert.deepEqual(await failsWith(beyond, "OFFSET_OUT_OF_RANGE"), {
      offset: "7",
      firstOffset: "0",
      nextOffset: "0",
    });
  });

  test(`the seed's API has its offsets and its NOT_FOUND (${way.name})`, async (t) => {
    const { port } = await startApi(t);
    const log = createClient(Log, way.open(port));
    assert.equal((await log.produce({ record: text("hello") })).offset, 0n);
    assert.equal((await log.produce({ record: text("") })).offset, 1n);
    const found = await log.consume({ offset: 0n });
    assert.deepEqual(found.record, text("hello"));
    assert.equal((await log.consume({ offset: 1n })).record.length, 0);
    for (const offset of [2n, 99n, 2n ** 64n - 1n]) {
      const past = log.consume({ offset });
      assert.deepEqual(await failsWith(past, "OFFSET_NOT_FOUND"), { offset: `${offset}` });
      await assert.rejects(past, (thrown) => ConnectError.from(thrown).code === Code.NotFound);
    }
  });

  test(`a client that gives up ends its call (${way.name})`, async (t) => {
    const { port, topics } = await startApi(t);
    const { log } = clientsOf(port, way);
    const topic = topics.topic("default");
    const leaving = new AbortController();
    const stream = collect(log.consumeStream({ topic: "default" }, { signal: leaving.signal }));
    const poll = log.consume(
      { topic: "default", wait: { seconds: 60n } },
      { signal: leaving.signal },
    );
    const ended = [assert.rejects(stream), assert.rejects(poll)];
    await until(() => topic.openWaits === 2);
    leaving.abort();
    await Promise.all(ended);
    await until(() => topic.openWaits === 0);
  });

  test(`the deadline ends a call, with a reason (${way.name})`, async (t) => {
    const { port, topics } = await startApi(t);
    const { log } = clientsOf(port, way);
    const topic = topics.topic("default");
    // The client's own timer is switched off by a header of ours: the server must answer.
    const timeout = way.name.startsWith("Connect")
      ? { "connect-timeout-ms": "50" }
      : { "grpc-timeout": "50m" };
    const options = { headers: timeout };
    const poll = log.consume({ topic: "default", wait: { seconds: 60n } }, options);
    assert.deepEqual(await failsWith(poll, "DEADLINE_EXCEEDED"), { deadlineMs: "50" });
    await failsWith(collect(log.consumeStream({ topic: "default" }, options)), "DEADLINE_EXCEEDED");
    topic.hold = new Promise(() => {});
    const write = log.produce({ topic: "default", records: [{}] }, options);
    assert.equal((await failsWith(write, "DEADLINE_EXCEEDED"))["outcome"], "unknown");
    assert.equal(topic.openWaits, 0);
  });

  if (way.isHttp2) {
    test(`batches of a stream are in flight together (${way.name})`, async (t) => {
      const { port, topics } = await startApi(t);
      const { log } = clientsOf(port, way);
      const topic = topics.topic("default");
      let release = () => {};
      topic.hold = new Promise((resolve) => {
        release = resolve;
      });
      async function* requests() {
        yield { batches: [{ topic: "default", records: [{ value: text("a") }] }] };
        yield { batches: [] };
        yield { batches: [{ records: [{}, {}] }, { topic: "default", records: [{}] }] };
        await until(() => topic.batches.length === 3);
        release();
      }
      const answers = await collect(log.produceStream(requests()));
      const acknowledgements = answers.flatMap((answer) => answer.acknowledgements);
      assert.deepEqual(
        acknowledgements.map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset]),
        [
          [0n, 0n],
          [1n, 2n],
          [3n, 3n],
        ],
      );
    });
  }
}
