import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ConsumeStreamRequestSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { bodies, clientsOf, collect, failsWith, startApi, until, WAYS } from "./api.ts";
import { connect2 } from "./ports.ts";
import { envelope } from "./raw-calls.ts";

const TOPIC = { topic: "default" };

for (const way of WAYS) {
  test(`the first message says what a reader must know (${way.name})`, async (t) => {
    const { port, topics } = await startApi(t);
    topics.topic("default").append(...bodies(3));
    const { log } = clientsOf(port, way);
    const request = { ...TOPIC, endOffset: 3n, heartbeatInterval: { seconds: 2n } };
    const [first] = await collect(log.consumeStream(request));
    assert.equal(first?.topicId, 1n);
    assert.equal(first?.heartbeatInterval?.seconds, 2n);
    assert.deepEqual([first?.resumeOffset, first?.highWatermark], [3n, 3n]);
    for (const [seconds, used] of [
      [0n, 1n],
      [3600n, 60n],
    ]) {
      const heartbeatInterval = { seconds: seconds ?? 0n };
      const other = log.consumeStream({ ...TOPIC, endOffset: 0n, heartbeatInterval });
      assert.equal((await collect(other))[0]?.heartbeatInterval?.seconds, used);
    }
  });

  test(`a drain ends streams with a reason (${way.name})`, async (t) => {
    const { port, topics, state } = await startApi(t);
    const { log } = clientsOf(port, way);
    const stream = collect(log.consumeStream(TOPIC));
    const ended = failsWith(stream, "DRAINING");
    await until(() => topics.topic("default").openWaits === 1);
    state.drain();
    await ended;
  });
}

// Goal: a reader who does not read costs bounded memory. Method: count what is
// taken from the topic when it has much and the client takes nothing.
for (const place of ["memory", "disk"]) {
  test(`a reader who does not read costs a few messages, not the topic (${place})`, async (t) => {
    const { port, topics } = await startApi(t);
    const topic = topics.topic("default");
    topic.append(...bodies(200, MESSAGE_BYTES));
    topic.tailFrom = place === "memory" ? 0 : 200;
    const session = await connect2(t, port, { settings: { initialWindowSize: 65_535 } });
    const stream = session.request({
      ":method": "POST",
      ":path": "/proglog.v1.LogService/ConsumeStream",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {});
    const request = create(ConsumeStreamRequestSchema, TOPIC);
    stream.end(envelope(toBinary(ConsumeStreamRequestSchema, request)));
    await new Promise((resolve) => stream.once("response", resolve));
    stream.pause();
    let seen = -1;
    while (seen !== topic.readCount + topic.tailCount) {
      seen = topic.readCount + topic.tailCount;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(seen >= 1 && seen <= 8, `${seen} messages of 1 MB were read`);
    stream.close();
  });
}

const MESSAGE_BYTES = 900_000;

test("streams are limited in number, and a closed one makes room", async (t) => {
  const { port, topics } = await startApi(t, { limits: { streamsMax: 2 } });
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  const leaving = new AbortController();
  const open = [0, 1].map(() =>
    assert.rejects(collect(log.consumeStream(TOPIC, { signal: leaving.signal }))),
  );
  await until(() => topic.openWaits === 2);
  const third = collect(log.consumeStream(TOPIC));
  const metadata = await failsWith(third, "RATE_LIMITED");
  assert.equal(metadata["streamCountMax"], "2");
  leaving.abort();
  await Promise.all(open);
  await until(() => topic.openWaits === 0);
  await collect(log.consumeStream({ ...TOPIC, endOffset: 0n }));
});

test("many tails share a topic", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  const tails = Array.from({ length: 100 }, () =>
    collect(log.consumeStream({ ...TOPIC, endOffset: 1n })),
  );
  await until(() => topic.openWaits === 100);
  topic.append(...bodies(1));
  for (const messages of await Promise.all(tails)) {
    assert.equal(messages.flatMap(({ records }) => records).length, 1);
  }
});
