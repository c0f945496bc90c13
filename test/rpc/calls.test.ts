import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { ConsumeStreamRequestSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import type { CallHook } from "../../src/rpc/call.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { clientsOf, failsWith, MemoryLogger, startApi, until } from "./api.ts";
import { connect2, RawConnection, request, request2 } from "./ports.ts";
import { envelope } from "./raw-calls.ts";

const TOPIC = { topic: "default" };
const PRODUCE = "/proglog.v1.LogService/Produce";
const CONSUME_STREAM = "/proglog.v1.LogService/ConsumeStream";
const RECORD_BYTES = 1_000_000;

function streamRequest(endOffset: bigint): Uint8Array {
  const message = create(ConsumeStreamRequestSchema, { ...TOPIC, endOffset });
  return envelope(toBinary(ConsumeStreamRequestSchema, message));
}

/** Reads all of `source`, with a pause now and then. */
async function readSlowly(source: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  let pauseAt = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes < pauseAt) continue;
    pauseAt = bytes + 3 * RECORD_BYTES;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return bytes;
}

test("a slow reader gets everything in the end", async (t) => {
  const { port, topics } = await startApi(t);
  const bodies = Array.from({ length: 30 }, () => recordOfValue(new Uint8Array(RECORD_BYTES)));
  topics.topic("default").append(...bodies);
  const session = await connect2(t, port);
  const stream = session.request({
    ":method": "POST",
    ":path": CONSUME_STREAM,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end(streamRequest(30n));
  const over2 = readSlowly(stream);
  const over1 = new Promise<number>((resolve, reject) => {
    const headers = { "content-type": "application/grpc-web+proto" };
    const options = { host: "127.0.0.1", port, path: CONSUME_STREAM, method: "POST", headers };
    const sent = http.request(options, (answer) => resolve(readSlowly(answer)));
    sent.on("error", reject);
    sent.end(streamRequest(30n));
  });
  for (const bytes of await Promise.all([over1, over2])) {
    assert.ok(bytes > 30 * RECORD_BYTES && bytes < 31 * RECORD_BYTES, `${bytes}`);
  }
});

test("a request whose body stalls ends, over HTTP/2 too", async (t) => {
  const { port } = await startApi(t, { limits: { bodyTimeoutMs: 50 } });
  const session = await connect2(t, port);
  const stream = session.request({
    ":method": "POST",
    ":path": PRODUCE,
    "content-type": "application/json",
  });
  stream.write('{"topic":');
  let body = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    body += chunk;
  });
  stream.on("error", () => {});
  await until(() => body.endsWith("}"));
  assert.match(body, /"reason":"DEADLINE_EXCEEDED"/);
});

test("a stream of batches may be silent for longer than a body", async (t) => {
  const { port, topics } = await startApi(t, { limits: { bodyTimeoutMs: 20 } });
  const { log } = clientsOf(port);
  async function* requests() {
    yield { batches: [{ ...TOPIC, records: [{}] }] };
    await new Promise((resolve) => setTimeout(resolve, 100));
    yield { batches: [{ records: [{}] }] };
  }
  let acknowledged = 0;
  for await (const { acknowledgements } of log.produceStream(requests())) {
    acknowledged += acknowledgements.length;
  }
  assert.equal(acknowledged, 2);
  assert.equal(topics.topic("default").nextOffset, 2);
});

test("calls are limited in number, and an ended one makes room", async (t) => {
  const { port, topics } = await startApi(t, { limits: { callsMax: 2 } });
  const { log } = clientsOf(port);
  const topic = topics.topic("default");
  const wait = { seconds: 60n };
  const polls = [log.consume({ ...TOPIC, wait }), log.consume({ ...TOPIC, wait })];
  await until(() => topic.openWaits === 2);
  const metadata = await failsWith(log.consume(TOPIC), "RATE_LIMITED");
  assert.deepEqual(metadata, { callCountMax: "2" });
  topic.append(recordOfValue(new Uint8Array(1)));
  await Promise.all(polls);
  assert.equal((await log.consume(TOPIC)).records.length, 1);
});

test("a client may ask before it sends its body", async (t) => {
  const { port } = await startApi(t);
  const connection = await RawConnection.open(t, port);
  const body = '{"topic":"default","records":[{}]}';
  connection.socket.write(
    `POST ${PRODUCE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
      `Expect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  await connection.receives("HTTP/1.1 100 Continue");
  connection.socket.write(body);
  await connection.receives('"lastOffset":"0"');
});

test("a hook that fails is a defect, and no call gets by it", async (t) => {
  const logger = new MemoryLogger();
  const { port } = await startApi(t, {
    logger,
    hook: () => {
      throw new Error("secret");
    },
  });
  await failsWith(clientsOf(port).log.consume(TOPIC), "INTERNAL");
  assert.equal(logger.lines.length, 1);
});

test("a call that is refused by its status alone has an outcome too", async (t) => {
  const ended: string[] = [];
  const hook: CallHook = ({ method }) => {
    return ({ outcome }) => ended.push(`${method.split("/")[1]} ${outcome?.reason}`);
  };
  const { port } = await startApi(t, { hook });
  const path = "/proglog.v1.LogService/Produce";
  const send = async (status: number, options: Parameters<typeof request>[2], at = path) => {
    const before = ended.length;
    assert.equal((await request(port, at, options)).status, status);
    await until(() => ended.length > before);
    return ended.at(-1);
  };
  const type = (name: string) => ({ "content-type": name });
  const post = { method: "POST", body: "{}" };
  assert.equal(await send(415, { ...post, headers: type("text/plain") }), "Produce FIELD_INVALID");
  assert.equal(await send(415, { ...post }), "Produce FIELD_INVALID");
  assert.equal(await send(405, { method: "DELETE" }), "Produce UNIMPLEMENTED");
  const get = `${path}?connect=v1&encoding=json&message=%7B%7D`;
  assert.equal(await send(405, { method: "GET" }, get), "Produce UNIMPLEMENTED");
  const stream = { ...post, headers: type("application/connect+json") };
  assert.equal(await send(505, stream, `${path}Stream`), "ProduceStream UNIMPLEMENTED");
});

test("odd headers and addresses get an answer", async (t) => {
  const { port } = await startApi(t);
  const odd = { "content-type": "application/json", "x-odd": "\u00e9\u00ff", cookie: "a=1; b=2" };
  const body = '{"topic":"default"}';
  const path = "/proglog.v1.LogService/Consume";
  const one = await request(port, `${path}?a=%zz&b=//`, { method: "POST", headers: odd, body });
  assert.equal(one.status, 200, one.body);
  const session = await connect2(t, port);
  const two = await request2(session, { ":method": "POST", ":path": path, ...odd }, body);
  assert.equal(two.status, 200, two.body);
  const nothing = await request(port, path, { method: "POST", body: "" });
  assert.equal(nothing.status, 415);
});

test("answers are compressed for those who compress, not for all who could read it", async (t) => {
  const { port, topics } = await startApi(t);
  topics.topic("default").append(recordOfValue(new Uint8Array(50_000)));
  const message = create(ConsumeStreamRequestSchema, { ...TOPIC, endOffset: 1n });
  const bytes = toBinary(ConsumeStreamRequestSchema, message);
  const size = async (headers: Record<string, string>, body: Uint8Array) => {
    const session = await connect2(t, port);
    const path = { ":method": "POST", ":path": CONSUME_STREAM, te: "trailers" };
    const type = { "content-type": "application/grpc" };
    return (await request2(session, { ...path, ...type, ...headers }, body)).body.length;
  };
  const accept = { "grpc-accept-encoding": "gzip, identity" };
  const plain = await size(accept, envelope(bytes));
  const packed = await size({ ...accept, "grpc-encoding": "gzip" }, envelope(gzipSync(bytes), 1));
  assert.ok(plain > 50_000, `${plain}`);
  assert.ok(packed < 5_000, `${packed}`);
});
