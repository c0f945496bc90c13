import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { ProduceStreamRequestSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import type { Call } from "../../src/rpc/call.ts";
import type { ErrorMap } from "../../src/rpc/error-map.ts";
import { REQUEST_SLACK_BYTES } from "../../src/rpc/limits.ts";
import { decodeWebText } from "../../src/rpc/web-text.ts";
import { startApi, text } from "./api.ts";
import { request } from "./ports.ts";
import { envelope, produceRequest } from "./raw-calls.ts";
import {
  assertReason,
  base64,
  CONSUME,
  callText,
  PRODUCE,
  PRODUCE_STREAM,
  produceText,
  TEXT_TYPE as TYPE,
} from "./text-calls.ts";

// Goal: a text is measured, refused and counted by the bytes it stands for.

const GOOD = produceText();

test("a request in text may ask for bytes", async (t) => {
  const { port } = await startApi(t);
  for (const accept of ["application/grpc-web", "application/grpc-web+proto"]) {
    const { headers, body } = await request(port, PRODUCE, {
      method: "POST",
      headers: { "content-type": TYPE, accept },
      body: GOOD,
    });
    assert.equal(headers["content-type"], "application/grpc-web+proto");
    assert.match(body, /grpc-status: 0\r\n/);
  }
});

test("JSON in text, and text in other protocols, are refused as media types", async (t) => {
  const { port } = await startApi(t);
  for (const type of [`${TYPE}+json`, `${TYPE}+thrift`, "application/grpc-web-texture"]) {
    const headers = { "content-type": type };
    const { status } = await request(port, PRODUCE, { method: "POST", headers, body: GOOD });
    assert.equal(status, 415, type);
  }
  const headers = { "content-type": "application/json", accept: TYPE };
  const json = await request(port, CONSUME, { method: "POST", headers, body: "{}" });
  assert.equal(json.headers["content-type"], "application/json");
});

test("a method that is not here is UNIMPLEMENTED in the header, which needs no text", async (t) => {
  const { port } = await startApi(t);
  const path = "/proglog.v1.LogService/Nothing";
  const options = { method: "POST", headers: { "content-type": TYPE }, body: GOOD };
  const { status, headers, body } = await request(port, path, options);
  assert.equal(status, 200);
  assert.equal(headers["content-type"], TYPE);
  assert.equal(headers["grpc-status"], "12");
  assert.equal(body, "");
});

test("a message is as large as its bytes, not as its text", async (t) => {
  const requestBytesMax = 100_000;
  const { port } = await startApi(t, { limits: { requestBytesMax } });
  const most = requestBytesMax + REQUEST_SLACK_BYTES;
  const overhead = produceRequest(most).length - most;
  const large = await callText(t, port, "HTTP/2", {
    path: PRODUCE,
    pieces: [produceText(most - overhead)],
  });
  assert.equal(large.error, undefined);
  const tooLarge = { path: PRODUCE, pieces: [produceText(most - overhead + 1)] };
  assertReason(
    await callText(t, port, "HTTP/2", tooLarge),
    "REQUEST_TOO_LARGE",
    Code.ResourceExhausted,
  );
});

test("what is in flight is counted by its bytes, and let go afterwards", async (t) => {
  const bytesMax = 200_000;
  const limits = { bodyBytesMax: 3 * bytesMax }; // of which one connection may hold a third
  const { port } = await startApi(t, { limits });
  const piecesOf = (valueBytes: number) => produceText(valueBytes).match(/.{1,4096}/g) ?? [];
  const tooMuch = await callText(t, port, "HTTP/2", { path: PRODUCE, pieces: piecesOf(bytesMax) });
  assertReason(tooMuch, "RATE_LIMITED", Code.ResourceExhausted);
  // Its text is larger than all that may be in flight.
  const pieces = piecesOf(bytesMax - 8_000);
  for (let count = 0; count < 3; count += 1) {
    assert.equal((await callText(t, port, "HTTP/2", { path: PRODUCE, pieces })).error, undefined);
  }
});

test("a stream of batches may be text, and ends where its text is none", async (t) => {
  const { port, topics } = await startApi(t);
  const batches = [{ topic: "default", records: [{ value: text("a") }] }];
  const batch = base64(
    envelope(toBinary(ProduceStreamRequestSchema, create(ProduceStreamRequestSchema, { batches }))),
  );
  const pieces = [batch, batch.slice(0, 5), batch.slice(5)];
  const good = await callText(t, port, "HTTP/2", { path: PRODUCE_STREAM, pieces });
  assert.equal(good.error, undefined);
  assert.equal(good.messages.length, 2);
  const bad = await callText(t, port, "HTTP/2", { path: PRODUCE_STREAM, pieces: [batch, "****"] });
  assertReason(bad, "MESSAGE_INVALID", Code.InvalidArgument);
  assert.equal(topics.topic("default").batches.length, 3, "what came before counts");
});

test("any bytes, padded anywhere and cut anywhere, come out as they went in", async () => {
  const cutTogether = fc.tuple(
    fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }),
    fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 20 }),
  );
  await fc.assert(
    fc.asyncProperty(cutTogether, async ([parts, sizes]) => {
      const whole = text(parts.map(base64).join(""));
      let released = 0;
      const call = {
        headers: { "content-type": TYPE },
        releaseBody: (byteCount: number) => {
          released += byteCount;
        },
      };
      async function* cut(): AsyncGenerator<Uint8Array> {
        for (let at = 0, piece = 0; at < whole.length; piece += 1) {
          const size = sizes[piece % sizes.length] ?? 0;
          yield whole.subarray(at, at + size);
          at += Math.max(size, piece % 2);
          if (size === 0 && piece % 2 === 1) yield whole.subarray(at - 1, at);
        }
      }
      const header = new Headers();
      const body = decodeWebText(call as unknown as Call, header, cut(), {} as ErrorMap);
      const found: Uint8Array[] = [];
      for await (const bytes of body) found.push(bytes);
      const bytes = concat(found);
      assert.deepEqual(bytes, concat(parts));
      assert.equal(released, whole.length - bytes.length);
      assert.equal(header.get("content-type"), "application/grpc-web+proto");
    }),
    { numRuns: 300 },
  );
});
