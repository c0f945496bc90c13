import assert from "node:assert/strict";
import { test } from "node:test";
import { clientsOf, collect, failsWith, startApi, text, until } from "./api.ts";

const TOPIC = { topic: "default" };

test("a stream names its topic once, and stays with it", async (t) => {
  const { port, topics } = await startApi(t);
  await topics.create("other", {});
  const { log } = clientsOf(port);
  async function* requests() {
    yield { batches: [{ ...TOPIC, records: [{}] }, { records: [{}] }] };
    yield { batches: [{ topic: "other", records: [{}] }] };
  }
  const metadata = await failsWith(collect(log.produceStream(requests())), "FIELD_INVALID");
  assert.deepEqual(metadata, { field: "batches.topic", batchNumber: "2" });
  assert.equal(topics.topic("default").nextOffset, 2);
  async function* nameless() {
    yield { batches: [{ records: [{}] }] };
  }
  await failsWith(collect(log.produceStream(nameless())), "TOPIC_NAME_INVALID");
});

test("answers come before the error of a later batch, over the wire too", async (t) => {
  const { port } = await startApi(t);
  const { log } = clientsOf(port);
  async function* requests() {
    yield { batches: [{ ...TOPIC, records: [{}] }, { records: [{ value: text("x") }] }] };
    yield { batches: [{ records: [{}], expectedNextOffset: 9n }] };
    await new Promise(() => {}); // the client would go on for ever
  }
  const answers: bigint[] = [];
  const read = async () => {
    for await (const { acknowledgements } of log.produceStream(requests())) {
      answers.push(...acknowledgements.map(({ firstOffset }) => firstOffset));
    }
  };
  const metadata = await failsWith(read(), "OFFSET_MISMATCH");
  assert.equal(metadata["batchNumber"], "2");
  assert.deepEqual(answers, [0n, 1n]);
});

test("a client that vanishes stops its stream", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  topic.hold = new Promise(() => {});
  const leaving = new AbortController();
  async function* requests() {
    yield { batches: [{ ...TOPIC, records: [{}] }] };
    await new Promise(() => {});
  }
  const ended = assert.rejects(collect(log.produceStream(requests(), { signal: leaving.signal })));
  await until(() => topic.batches.length === 1);
  leaving.abort();
  await ended;
  assert.equal(topic.nextOffset, 0);
});
