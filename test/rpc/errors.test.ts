import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { InvariantError } from "../../src/base/assert.ts";
import { ProglogError } from "../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { REASONS, type Reason, type ReasonInfo } from "../../src/base/reasons.ts";
import { MIB } from "../../src/base/units.ts";
import { RequestInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { ErrorMap } from "../../src/rpc/error-map.ts";
import { clientsOf, collect, failsWith, MemoryLogger, startApi, text, WAYS } from "./api.ts";
import { request } from "./ports.ts";
import { assertReason, callRaw, envelope, produceRequest, RAW_PROTOCOLS } from "./raw-calls.ts";

const PRODUCE = "/proglog.v1.LogService/Produce";
const CONSUME_STREAM = "/proglog.v1.LogService/ConsumeStream";
const PRODUCE_STREAM = "/proglog.v1.LogService/ProduceStream";

for (const reason of Object.keys(REASONS) as Reason[]) {
  test(`${reason} is encoded with one ErrorInfo and each detail once`, () => {
    const info: ReasonInfo = REASONS[reason];
    const metadata = Object.fromEntries((info.metadata ?? []).map((key) => [key, "7"]));
    const errors = new ErrorMap(SILENT_LOGGER, "test", () => {});
    const error = errors.encode(new ProglogError(reason, "Cannot do it: because", { metadata }));
    assert.notEqual(error.code, Code.Unknown);
    const names = error.details.map((detail) => ("desc" in detail ? detail.desc.typeName : ""));
    assert.equal(names.filter((name) => name === "google.rpc.ErrorInfo").length, 1);
    assert.equal(new Set(names).size, names.length);
    const { code, retry } = info;
    const has = (name: string) => names.includes(`google.rpc.${name}`);
    assert.equal(has("BadRequest"), code === "invalid_argument");
    assert.equal(has("PreconditionFailure"), code === "failed_precondition");
    assert.equal(has("QuotaFailure"), code === "resource_exhausted");
    assert.equal(has("RetryInfo"), retry === "after-backoff" || retry === "at-leader");
  });
}

test("why a call was given up is told, also when a layer below only knows that it was", () => {
  const errors = new ErrorMap(SILENT_LOGGER, "test", () => {});
  const late = new ProglogError("DEADLINE_EXCEEDED", "Too late", { metadata: { deadlineMs: "5" } });
  const signal = AbortSignal.abort(late);
  const given = new ProglogError("CANCELED", "Gave up", { metadata: { outcome: "unknown" } });
  const told = errors.toProglogError(given, "a.B/C", signal);
  assert.equal(told.reason, "DEADLINE_EXCEEDED");
  assert.deepEqual(told.metadata, { deadlineMs: "5", outcome: "unknown" });
  assert.equal(errors.toProglogError(late, "a.B/C", signal), late);
  const abort = new DOMException("This operation was aborted", "AbortError");
  assert.equal(errors.toProglogError(abort, "a.B/C", signal), late);
  const other = new ProglogError("DISK_FULL", "No room");
  assert.equal(errors.toProglogError(other, "a.B/C", signal), other);
  assert.equal(errors.toProglogError(abort, "a.B/C").reason, "INTERNAL");
});

for (const protocol of RAW_PROTOCOLS) {
  const { name, encodingHeader, hasEnvelopes } = protocol;
  const wrap = (message: Uint8Array, flags = 0) =>
    hasEnvelopes ? envelope(message, flags) : message;
  const produce = { path: PRODUCE, type: protocol.unary };

  test(`a message that does not decode is the client's fault (${name})`, async (t) => {
    const { port } = await startApi(t);
    const broken = Uint8Array.of(0x0a, 99, 1);
    const unary = await callRaw(t, port, { ...produce, body: wrap(broken) });
    assertReason(unary, "MESSAGE_INVALID", Code.InvalidArgument);
    if (!hasEnvelopes) assert.equal(unary.httpStatus, 400);
    for (const path of [CONSUME_STREAM, PRODUCE_STREAM]) {
      const call = { path, type: protocol.streaming, body: envelope(broken) };
      assertReason(await callRaw(t, port, call), "MESSAGE_INVALID", Code.InvalidArgument);
    }
  });

  test(`a message over the limit is refused, one at the limit is not (${name})`, async (t) => {
    const limits = { requestBytesMax: 100_000, batchBytesMax: 10 * MIB };
    const { port } = await startApi(t, { limits });
    const fits = await callRaw(t, port, { ...produce, body: wrap(produceRequest(100_000)) });
    assert.equal(fits.error, undefined);
    const body = wrap(produceRequest(500_000));
    const over = await callRaw(t, port, { ...produce, body });
    const metadata = assertReason(over, "REQUEST_TOO_LARGE", Code.ResourceExhausted);
    assert.deepEqual(metadata, { requestBytesMax: "100000" });
    const call = {
      path: PRODUCE_STREAM,
      type: protocol.streaming,
      body: envelope(new Uint8Array(500_000)),
    };
    assertReason(await callRaw(t, port, call), "REQUEST_TOO_LARGE", Code.ResourceExhausted);
  });

  test(`compression works, and what is wrong with it is said (${name})`, async (t) => {
    const { port } = await startApi(t, { limits: { requestBytesMax: 100_000 } });
    const flags = 1;
    const send = (encoding: string, body: Uint8Array) =>
      callRaw(t, port, {
        ...produce,
        body: wrap(body, flags),
        headers: { [encodingHeader]: encoding },
      });
    assert.equal((await send("gzip", gzipSync(produceRequest(1000)))).error, undefined);
    assertReason(await send("snappy", produceRequest(1)), "UNIMPLEMENTED", Code.Unimplemented);
    assertReason(await send("gzip", produceRequest(9)), "MESSAGE_INVALID", Code.InvalidArgument);
    const bomb = gzipSync(new Uint8Array(50 * MIB));
    assertReason(await send("gzip", bomb), "REQUEST_TOO_LARGE", Code.ResourceExhausted);
  });

  test(`a time-out that is none is refused (${name})`, async (t) => {
    const { port } = await startApi(t);
    const headers = { [protocol.timeoutHeader]: "soon" };
    const answer = await callRaw(t, port, { ...produce, body: wrap(produceRequest(1)), headers });
    const metadata = assertReason(answer, "FIELD_INVALID", Code.InvalidArgument);
    assert.deepEqual(metadata, { field: protocol.timeoutHeader });
  });

  test(`a method or service that is not here is unimplemented (${name})`, async (t) => {
    const { port } = await startApi(t);
    for (const path of ["/proglog.v1.LogService/Nope", "/some.Other/Method"]) {
      const answer = await callRaw(t, port, { path, type: protocol.unary, body: wrap(text("")) });
      assertReason(answer, "UNIMPLEMENTED", Code.Unimplemented);
    }
  });

  if (hasEnvelopes) {
    test(`a call without a message, or with half of one, is refused (${name})`, async (t) => {
      const { port } = await startApi(t);
      const none = await callRaw(t, port, { ...produce, body: new Uint8Array(0) });
      assertReason(none, "UNIMPLEMENTED", Code.Unimplemented);
      const half = await callRaw(t, port, {
        ...produce,
        body: wrap(produceRequest(9)).subarray(0, 9),
      });
      assertReason(half, "MESSAGE_INVALID", Code.InvalidArgument);
    });
  }
}

for (const way of WAYS) {
  test(`a defect shows no inner text, and is in the log (${way.name})`, async (t) => {
    const logger = new MemoryLogger();
    const { port, topics } = await startApi(t, { logger });
    const { log } = clientsOf(port, way);
    const defect = new Error("secret path /var/lib");
    topics.topic("default").refuseNext = defect;
    const failed = log.produce({ topic: "default", records: [{}] });
    await failsWith(failed, "INTERNAL");
    await assert.rejects(failed, (thrown) => {
      const error = ConnectError.from(thrown);
      assert.equal(error.rawMessage, "Internal error");
      assert.doesNotMatch(JSON.stringify(error.details), /secret/);
      assert.equal(error.findDetails(RequestInfoSchema).length, 1);
      return true;
    });
    assert.deepEqual(
      logger.lines.map(({ level, cause }) => [level, cause]),
      [["error", defect]],
    );
  });
}

test("a broken invariant is told to who must end the process", async (t) => {
  const told: unknown[] = [];
  const { port, topics } = await startApi(t, { onFatal: (error) => told.push(error) });
  const broken = new InvariantError("2 is 3");
  topics.topic("default").refuseNext = broken;
  await failsWith(clientsOf(port).log.produce({ topic: "default", records: [{}] }), "INTERNAL");
  assert.deepEqual(told, [broken]);
});

test("JSON that is none, or has unknown fields, is refused where that matters", async (t) => {
  const { port } = await startApi(t);
  const send = async (path: string, body: string) => {
    const headers = { "content-type": "application/json" };
    const answer = await request(port, path, { method: "POST", body, headers });
    const parsed = JSON.parse(answer.body) as {
      details?: { debug: { reason?: string; metadata?: Record<string, string> } }[];
    };
    return { status: answer.status, info: parsed.details?.[0]?.debug };
  };
  const cut = await send(PRODUCE, '{"topic":');
  assert.deepEqual([cut.status, cut.info?.reason], [400, "MESSAGE_INVALID"]);
  for (const body of [
    '{"topic":"default","records":[{}],"ifNoneMatch":"x"}',
    '{"topic":"default","records":[{}],"producer":{"id":"a","ifNoneMatch":"1"}}',
    '{"topic":"default","records":[{"value":"","ifNoneMatch":"1"}]}',
  ]) {
    const unknown = await send(PRODUCE, body);
    assert.deepEqual([unknown.status, unknown.info?.reason], [400, "FIELD_UNKNOWN"]);
    assert.equal(unknown.info?.metadata?.["field"], "ifNoneMatch");
  }
  const read = await send("/proglog.v1.LogService/Consume", '{"topic":"default","new":1}');
  assert.equal(read.status, 200);
});

test("a request that is cut off by its client harms nobody", async (t) => {
  const logger = new MemoryLogger();
  const { port, topics } = await startApi(t, { logger });
  for (const protocol of RAW_PROTOCOLS) {
    const cut = envelope(produceRequest(1000)).subarray(0, 500);
    await callRaw(t, port, { path: PRODUCE_STREAM, type: protocol.streaming, body: cut });
  }
  const headers = { "content-type": "application/proto", "content-length": "1000" };
  const cutOff = request(port, PRODUCE, { method: "POST", headers, body: text("x"), timeout: 50 });
  await assert.rejects(Promise.race([cutOff, new Promise((_, reject) => setTimeout(reject, 100))]));
  assert.equal((await collectOne(port)).length, 1);
  assert.equal(topics.topic("default").nextOffset, 0);
  assert.deepEqual(logger.lines, []);
});

function collectOne(port: number): Promise<unknown[]> {
  return collect(clientsOf(port).log.consumeStream({ topic: "default", endOffset: 0n }));
}
