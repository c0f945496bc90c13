import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { Log } from "../../src/gen/log/v1/log_pb.ts";
import { clientsOf, collect, failsWith, GRPC, text, WAYS } from "./api.ts";
import { startNode } from "./real-node.ts";

// Goal: the API over the real topics behaves as over those in memory, on which the
// other tests of this folder rely. Method: the calls whose answers depend on the
// contract between the two, on a real folder, and again after a restart.

const TOPIC = { topic: "default" };

for (const way of WAYS) {
  test(`produce, consume, conditions and errors over a real node (${way.name})`, async (t) => {
    const server = await startNode(t);
    const { log, topics } = clientsOf(server.port, way);
    const records = [{ value: text("a"), headers: [{ name: "h", value: text("x") }] }, {}];
    const first = await log.produce({ ...TOPIC, records, expectedNextOffset: 0n });
    assert.deepEqual([first.firstOffset, first.lastOffset, first.duplicate], [0n, 1n, false]);
    const again = log.produce({ ...TOPIC, records, expectedNextOffset: 0n });
    assert.equal((await failsWith(again, "OFFSET_MISMATCH"))["nextOffset"], "2");

    const { epoch } = await log.openProducer({ ...TOPIC, producerId: "p" });
    const producer = { id: "p", epoch, sequence: 0n };
    const once = await log.produce({ ...TOPIC, records, producer });
    const retry = await log.produce({ ...TOPIC, records, producer });
    assert.deepEqual([retry.firstOffset, retry.duplicate], [once.firstOffset, true]);
    const gap = log.produce({ ...TOPIC, records, producer: { ...producer, sequence: 5n } });
    await failsWith(gap, "SEQUENCE_GAP");
    await log.produce({ ...TOPIC, records, fencingToken: 9n });
    await failsWith(log.produce({ ...TOPIC, records, fencingToken: 8n }), "FENCED");

    const found = await log.consume(TOPIC);
    assert.equal(found.records.length, 6);
    assert.equal(new TextDecoder().decode(found.records[0]?.record?.value), "a");
    assert.equal(found.records[0]?.appendTimeUnixUs, first.appendTimeUnixUs);
    const beyond = log.consume({ ...TOPIC, start: { case: "offset", value: 99n } });
    assert.deepEqual(await failsWith(beyond, "OFFSET_OUT_OF_RANGE"), {
      topic: "default",
      offset: "99",
      firstOffset: "0",
      nextOffset: "6",
    });

    const created = await topics.createTopic({ topic: "t", settings: { maxRecordBytes: 1024 } });
    assert.equal(created.topic?.settings?.maxRecordBytes, 1024);
    const large = log.produce({ topic: "t", records: [{}, { value: new Uint8Array(1024) }] });
    const metadata = await failsWith(large, "RECORD_TOO_LARGE");
    assert.equal(metadata["recordNumber"], "1");
    assert.equal(metadata["recordBytesMax"], "1024");
    await failsWith(
      topics.createTopic({ topic: "u", settings: { maxRecordBytes: 1 } }),
      "SETTING_INVALID",
    );
    const { topics: listed } = await topics.listTopics({});
    assert.deepEqual(
      listed.map(({ name }) => name),
      ["default", "t"],
    );
    await topics.deleteTopic({ topic: "t" });
    await failsWith(log.produce({ topic: "t", records: [{}] }), "TOPIC_NOT_FOUND");
  });
}

test("a tail and a pipeline over a real node, and everything there after a restart", async (t) => {
  const server = await startNode(t);
  const before = clientsOf(server.port);
  const tail = collect(before.log.consumeStream({ ...TOPIC, endOffset: 200n }));
  async function* requests() {
    for (let n = 0; n < 100; n += 1) {
      yield { batches: [{ ...TOPIC, records: [{ value: text(`${n}`) }, {}] }] };
    }
  }
  const answers = await collect(before.log.produceStream(requests()));
  assert.equal(answers.flatMap(({ acknowledgements }) => acknowledgements).length, 100);
  const seen = (await tail).flatMap(({ records }) => records.map(({ offset }) => offset));
  assert.deepEqual(
    seen,
    Array.from({ length: 200 }, (_, n) => BigInt(n)),
  );
  await server.restart();
  const { log } = clientsOf(server.port);
  const found = await log.consume(TOPIC);
  assert.equal(found.highWatermark, 200n);
  const seed = createClient(Log, GRPC.open(server.port));
  assert.equal(new TextDecoder().decode((await seed.consume({ offset: 198n })).record), "99");
  await failsWith(seed.consume({ offset: 200n }), "OFFSET_NOT_FOUND");
  assert.equal((await seed.produce({ record: text("next") })).offset, 200n);
});
