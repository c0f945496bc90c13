import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { concat } from "../../src/base/bytes.ts";
import { ProglogError } from "../../src/base/errors.ts";
import { MIB } from "../../src/base/units.ts";
import { PreconditionFailureSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { ProduceRequestSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { readToEnd } from "../support/topic-reads.ts";
import { clientsOf, failsWith, startApi, text, until } from "./api.ts";
import { request } from "./ports.ts";
import { callRaw, envelope } from "./raw-calls.ts";

const PRODUCE = "/proglog.v1.LogService/Produce";
const CONSUME = "/proglog.v1.LogService/Consume";
const GRPC = "application/grpc";
const TOPIC = { topic: "default" };

/** Fields of a message, one after the other, each length-delimited. */
function message(...fields: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  return concat(
    fields.flatMap(([number, content]) => [Uint8Array.of(number * 8 + 2, content.length), content]),
  );
}

test("the client's bytes are stored and returned unchanged", async (t) => {
  const { port, topics } = await startApi(t);
  const odd = [
    Uint8Array.of(0x12, 0), // an empty value, written out
    Uint8Array.of(0x12, 0x82, 0x00, 7, 8), // a length in two bytes where one would do
    Uint8Array.of(0x12, 1, 1, 0x12, 1, 2), // a field twice: the last one counts
    Uint8Array.of(0xaa, 6, 3, 1, 2, 3), // a field from the future
    Uint8Array.of(),
  ];
  const body = message([1, text("default")], ...odd.map((record) => [2, record] as const));
  const produced = await callRaw(t, port, { path: PRODUCE, type: GRPC, body: envelope(body) });
  assert.equal(produced.error, undefined);
  const stored = await readToEnd(topics.topic("default"), 0, { recordsMax: 9, bytesMax: MIB });
  assert.deepEqual(
    stored.map(({ body }) => Uint8Array.from(body)),
    odd,
  );
  const read = await callRaw(t, port, {
    path: CONSUME,
    type: GRPC,
    body: envelope(message([1, text("default")])),
  });
  for (const record of odd) {
    const whole = Buffer.from([0x1a, record.length, ...record]).toString("hex");
    assert.ok(Buffer.from(read.body).toString("hex").includes(whole), whole);
  }
});

test("JSON and binary calls see the same records", async (t) => {
  const { port } = await startApi(t);
  const { log } = clientsOf(port);
  const body = JSON.stringify({ ...TOPIC, records: [{ key: "aw==", value: "dg==" }, {}] });
  const headers = { "content-type": "application/json" };
  const produced = await request(port, PRODUCE, { method: "POST", headers, body });
  assert.deepEqual(JSON.parse(produced.body), {
    firstOffset: "0",
    lastOffset: "1",
    appendTimeUnixUs: "1767225601000000",
    durability: "DURABILITY_SYNCED_ONE",
    duplicate: false,
  });
  const found = await log.consume(TOPIC);
  assert.deepEqual(found.records[0]?.record?.key, text("k"));
  const path = `${CONSUME}?connect=v1&encoding=json&message=${encodeURIComponent('{"topic":"default"}')}`;
  const read = JSON.parse((await request(port, path)).body) as { records: { record: unknown }[] };
  assert.deepEqual(read.records[0]?.record, { key: "aw==", value: "dg==", headers: [] });
});

test("fields that this server does not know are refused, in the request and in the producer", async (t) => {
  const { port, topics } = await startApi(t);
  const record = [2, text("")] as const;
  const topic = [1, text("default")] as const;
  const send = async (body: Uint8Array) => {
    const answer = await callRaw(t, port, { path: PRODUCE, type: GRPC, body: envelope(body) });
    return failsWith(Promise.reject(answer.error), "FIELD_UNKNOWN");
  };
  assert.equal((await send(message(topic, record, [9, text("x")])))["field"], "9");
  assert.equal((await send(message(topic, record, [4, message([7, text("x")])])))["field"], "7");
  assert.equal(topics.topic("default").nextOffset, 0);
});

test("a batch must have records, not too many, not too large, all of them valid", async (t) => {
  const limits = { batchRecordsMax: 3, batchBytesMax: 100 };
  const { port, topics } = await startApi(t, { limits });
  const { log } = clientsOf(port);
  const produce = (...sizes: number[]) =>
    log.produce({ ...TOPIC, records: sizes.map((size) => ({ value: new Uint8Array(size) })) });
  await failsWith(produce(), "BATCH_EMPTY");
  assert.deepEqual(await failsWith(produce(1, 1, 1, 1), "BATCH_TOO_LARGE"), {
    recordCount: "4",
    recordCountMax: "3",
  });
  assert.deepEqual(await failsWith(produce(49, 48), "BATCH_TOO_LARGE"), {
    batchBytes: "101",
    batchBytesMax: "100",
  });
  const bad = message([1, text("default")], [2, text("")], [2, Uint8Array.of(0x12, 9)]);
  const answer = await callRaw(t, port, { path: PRODUCE, type: GRPC, body: envelope(bad) });
  const metadata = await failsWith(Promise.reject(answer.error), "RECORD_INVALID");
  assert.equal(metadata["recordNumber"], "1");
  const reserved = log.produce({ ...TOPIC, records: [{ headers: [{ name: "proglog-x" }] }] });
  await failsWith(reserved, "RECORD_INVALID");
  assert.equal(topics.topic("default").nextOffset, 0);
  await produce(49, 47);
});

test("conditions reach the topic, 0 among them, and what breaks one is told", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const records = [{}];
  await log.produce({ ...TOPIC, records, expectedNextOffset: 0n });
  const again = log.produce({ ...TOPIC, records, expectedNextOffset: 0n });
  assert.deepEqual(await failsWith(again, "OFFSET_MISMATCH"), {
    expectedNextOffset: "0",
    nextOffset: "1",
  });
  await assert.rejects(again, (thrown) => {
    const error = ConnectError.from(thrown);
    assert.equal(error.code, Code.FailedPrecondition);
    const [failure] = error.findDetails(PreconditionFailureSchema);
    assert.equal(failure?.violations[0]?.type, "OFFSET_MISMATCH");
    return true;
  });
  await log.produce({ ...TOPIC, records, fencingToken: 7n });
  await failsWith(log.produce({ ...TOPIC, records, fencingToken: 6n }), "FENCED");
  const { epoch, maxInFlight } = await log.openProducer({ ...TOPIC, producerId: "p" });
  assert.equal(maxInFlight, 5);
  await log.produce({ ...TOPIC, records, producer: { id: "p", epoch, sequence: 0n } });
  const producer = { id: "p", epoch: epoch + 1n, sequence: 0n };
  await failsWith(log.produce({ ...TOPIC, records, producer }), "PRODUCER_UNKNOWN");
  assert.deepEqual(topics.topic("default").batches.at(-1)?.producer, {
    id: "p",
    epoch: Number(epoch + 1n),
    sequence: 0,
  });
  await failsWith(log.produce({ ...TOPIC, records, topicId: 99n }), "TOPIC_REPLACED");
  await log.produce({ ...TOPIC, records, topicId: 1n });
});

test("numbers of 2^53 and more are refused, not rounded", async (t) => {
  const { port } = await startApi(t);
  const { log } = clientsOf(port);
  const large = 2n ** 53n;
  const cases = [
    [{ expectedNextOffset: large }, "expected_next_offset"],
    [{ fencingToken: large }, "fencing_token"],
    [{ topicId: large }, "topic_id"],
    [{ producer: { id: "p", epoch: large } }, "producer.epoch"],
    [{ producer: { id: "p", sequence: 2n ** 64n - 1n } }, "producer.sequence"],
  ] as const;
  for (const [fields, field] of cases) {
    const refused = log.produce({ ...TOPIC, records: [{}], ...fields });
    assert.deepEqual(await failsWith(refused, "FIELD_INVALID"), { field });
  }
  await log.produce({ ...TOPIC, records: [{}], fencingToken: large - 1n });
});

test("a batch of the largest size passes, by every door", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const records = Array.from({ length: 10_000 }, () => ({ value: new Uint8Array(835) }));
  const { lastOffset } = await log.produce({ ...TOPIC, records });
  assert.equal(lastOffset, 9_999n);
  const binary = toBinary(
    ProduceRequestSchema,
    create(ProduceRequestSchema, { ...TOPIC, records }),
  );
  const headers = { "content-type": "application/proto", "transfer-encoding": "chunked" };
  const answer = await request(port, PRODUCE, { method: "POST", headers, body: binary });
  assert.equal(answer.status, 200);
  const json = JSON.stringify({
    ...TOPIC,
    records: records.map(({ value }) => ({ value: Buffer.from(value).toString("base64") })),
  });
  const asJson = { "content-type": "application/json" };
  const third = await request(port, PRODUCE, { method: "POST", headers: asJson, body: json });
  assert.equal(third.status, 200);
  assert.equal(topics.topic("default").nextOffset, 30_000);
});

test("a body over the limit without a length is refused on HTTP/1.1, with an answer", async (t) => {
  const { port } = await startApi(t, { limits: { requestBytesMax: 1000 } });
  const headers = { "content-type": "application/proto", "transfer-encoding": "chunked" };
  const body = new Uint8Array(3 * MIB);
  const answer = await request(port, PRODUCE, { method: "POST", headers, body });
  assert.equal(answer.status, 429);
  assert.match(answer.body, /REQUEST_TOO_LARGE/);
});

test("bytes of requests in flight are limited, and given back", async (t) => {
  const { port, topics } = await startApi(t, { limits: { bodyBytesMax: 250_000 } });
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  let release = () => {};
  topic.hold = new Promise((resolve) => {
    release = resolve;
  });
  const records = [{ value: new Uint8Array(60_000) }];
  const first = log.produce({ ...TOPIC, records });
  await until(() => topic.batches.length === 1);
  await failsWith(log.produce({ ...TOPIC, records }), "RATE_LIMITED");
  release();
  await first;
  topic.hold = undefined;
  for (let count = 0; count < 5; count += 1) await log.produce({ ...TOPIC, records });
});

test("a write whose outcome is unknown says so, one that was not begun does not", async (t) => {
  const { port, topics } = await startApi(t);
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  topic.hold = new Promise(() => {});
  const headers = { "grpc-timeout": "50m" };
  const metadata = await failsWith(
    log.produce({ ...TOPIC, records: [{}] }, { headers }),
    "DEADLINE_EXCEEDED",
  );
  assert.equal(metadata["outcome"], "unknown");
  topic.hold = undefined;
  topic.refuseNext = new ProglogError("DISK_FULL", "No room");
  const full = await failsWith(log.produce({ ...TOPIC, records: [{}] }), "DISK_FULL");
  assert.equal(full["outcome"], undefined);
  const late = { headers: { "grpc-timeout": "0m" } };
  const expired = await failsWith(
    log.produce({ ...TOPIC, records: [{}] }, late),
    "DEADLINE_EXCEEDED",
  );
  assert.equal(expired["outcome"], undefined);
});
