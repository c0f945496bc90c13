import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { Health } from "../../src/gen/health/v1/health_pb.ts";
import { type ConsumeStreamResponse, LogService } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { type Method, marshal, toConnectError } from "../support/grpc-js.ts";
import { infoOf, startApi, text, until } from "./api.ts";
import { makeCertificates } from "./certificates.ts";

// Goal: the most used gRPC client of JavaScript, which shares no code with the
// server, understands every kind of answer.

function connect(t: TestContext, port: number, credentials = grpc.credentials.createInsecure()) {
  const client = new grpc.Client(`localhost:${port}`, credentials);
  t.after(() => client.close());
  return client;
}

function call<I extends DescMessage, O extends DescMessage>(
  client: grpc.Client,
  method: Method<I, O>,
  message: MessageInitShape<I>,
  options: grpc.CallOptions = {},
): Promise<MessageShape<O>> {
  const { path, write, read } = marshal(method);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      write,
      read,
      message,
      new grpc.Metadata(),
      options,
      (error, answer) => {
        if (answer === undefined) reject(error);
        else resolve(answer);
      },
    );
  });
}

/** The ErrorInfo of an error of grpc-js. */
const infoOfStatus = (error: grpc.ServiceError) => infoOf(toConnectError(error));

const TOPIC = { topic: "default" };

test("unary calls, and the details of their errors", async (t) => {
  const { port } = await startApi(t);
  const client = connect(t, port);
  const records = [{ value: text("a"), headers: [{ name: "h", value: text("1") }] }, {}];
  const produced = await call(client, LogService.method.produce, { ...TOPIC, records });
  assert.deepEqual([produced.firstOffset, produced.lastOffset], [0n, 1n]);
  const found = await call(client, LogService.method.consume, TOPIC);
  assert.equal(new TextDecoder().decode(found.records[0]?.record?.value), "a");
  const health = await call(client, Health.method.check, {});
  assert.equal(health.status, 1);
  const refused = call(client, LogService.method.produce, {
    ...TOPIC,
    records,
    expectedNextOffset: 9n,
  });
  await assert.rejects(refused, (error: grpc.ServiceError) => {
    assert.equal(error.code, grpc.status.FAILED_PRECONDITION);
    assert.match(error.details, /next offset/);
    assert.equal(infoOfStatus(error).metadata["nextOffset"], "2");
    return true;
  });
});

test("a message of more than 4 MiB in, and one record of it out", async (t) => {
  const { port } = await startApi(t);
  const client = connect(t, port);
  const records = Array.from({ length: 7 }, () => ({ value: new Uint8Array(1_000_000).fill(7) }));
  await call(client, LogService.method.produce, { ...TOPIC, records });
  // grpc-js refuses answers of more than 4 MiB, as all stock clients do.
  const found = await call(client, LogService.method.consume, TOPIC);
  assert.equal(found.records.length, 3);
  const over = Array.from({ length: 9 }, () => ({ value: new Uint8Array(1_000_000) }));
  const refused = call(client, LogService.method.produce, { ...TOPIC, records: over });
  await assert.rejects(refused, (error: grpc.ServiceError) => {
    assert.equal(error.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.equal(infoOfStatus(error).reason, "REQUEST_TOO_LARGE");
    return true;
  });
});

test("a tail, a client that leaves it, and one that is told to go", async (t) => {
  const { port, topics, state } = await startApi(t);
  const client = connect(t, port);
  const topic = topics.topic("default");
  const { path, write, read } = marshal(LogService.method.consumeStream);
  const tail = (seen: bigint[]) => {
    const stream = client.makeServerStreamRequest(path, write, read, TOPIC);
    stream.on("data", ({ records }: ConsumeStreamResponse) =>
      seen.push(...records.map(({ offset }) => offset)),
    );
    const end = new Promise<grpc.ServiceError>((resolve) => stream.on("error", resolve));
    return { stream, end };
  };
  const seen: [bigint[], bigint[]] = [[], []];
  const leaving = tail(seen[0]);
  const staying = tail(seen[1]);
  await until(() => topic.openWaits === 2);
  topic.append(recordOfValue(text("x")));
  await until(() => seen[0].length === 1 && seen[1].length === 1);
  leaving.stream.cancel();
  assert.equal((await leaving.end).code, grpc.status.CANCELLED);
  await until(() => topic.openWaits === 1);
  state.drain();
  const end = await staying.end;
  assert.equal(end.code, grpc.status.UNAVAILABLE);
  assert.equal(infoOfStatus(end).reason, "DRAINING");
});

test("many batches in both directions", async (t) => {
  const { port, topics } = await startApi(t);
  const client = connect(t, port);
  const { path, write, read } = marshal(LogService.method.produceStream);
  const stream = client.makeBidiStreamRequest(path, write, read);
  let acknowledged = 0;
  stream.on("data", ({ acknowledgements }) => {
    acknowledged += acknowledgements.length;
  });
  for (let count = 0; count < 500; count += 1) {
    stream.write({ batches: [{ ...TOPIC, records: [{ value: text(`${count}`) }, {}] }] });
  }
  stream.end();
  await new Promise((resolve, reject) => stream.on("end", resolve).on("error", reject));
  assert.equal(acknowledged, 500);
  assert.equal(topics.topic("default").nextOffset, 1000);
});

test("a deadline is answered by the server, with its reason", async (t) => {
  const { port, topics } = await startApi(t);
  const client = connect(t, port);
  topics.topic("default").hold = new Promise(() => {});
  const deadline = Date.now() + 100;
  const late = call(client, LogService.method.produce, { ...TOPIC, records: [{}] }, { deadline });
  // grpc-js may be first with its own, which has no details.
  await assert.rejects(late, (error: grpc.ServiceError) => {
    return error.code === grpc.status.DEADLINE_EXCEEDED;
  });
});

test("calls over mutual TLS", async (t) => {
  const { ca, server, client: peer } = makeCertificates();
  const { port } = await startApi(t, {}, { tls: { ...server, clientCa: ca } });
  const credentials = grpc.credentials.createSsl(
    Buffer.from(ca),
    Buffer.from(peer.key),
    Buffer.from(peer.cert),
  );
  const client = connect(t, port, credentials);
  assert.equal((await call(client, Health.method.check, {})).status, 1);
  const stranger = connect(t, port, grpc.credentials.createSsl(Buffer.from(ca)));
  await assert.rejects(call(stranger, Health.method.check, {}, { deadline: Date.now() + 2000 }));
});

test("thousands of calls on one connection leave nothing behind", async (t) => {
  const { port } = await startApi(t);
  const client = connect(t, port);
  const batch = { ...TOPIC, records: [{}] };
  for (let round = 0; round < 10; round += 1) {
    const calls = Array.from({ length: 200 }, () => call(client, LogService.method.produce, batch));
    const answers = await Promise.all(calls);
    assert.equal(new Set(answers.map(({ firstOffset }) => firstOffset)).size, 200);
  }
});
