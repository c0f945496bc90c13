import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { concat } from "../../src/base/bytes.ts";
import { ProduceStreamResponseSchema } from "../../src/gen/proglog/v1/log_service_pb.ts";
import type { CallEnd } from "../../src/rpc/call.ts";
import { text, until } from "./api.ts";
import {
  BIDI,
  bidiRequest,
  SERVER_STREAM,
  serveBothWays,
  serverStreamRequest,
  UNARY,
  unaryRequest,
} from "./lean-service.ts";
import {
  call1,
  call2,
  callerOf,
  callFrame,
  dataFrame,
  FORMS,
  type Form,
  FRAMES_HELLO,
  GRPC_FORM,
  resetFrame,
} from "./lean-wire.ts";
import { connect2, RawConnection } from "./ports.ts";
import { envelope } from "./raw-calls.ts";

const bodyOf = (form: Form, message: Uint8Array) =>
  form.hasEnvelopes ? envelope(message) : message;

for (const form of FORMS) {
  // Goal: where packets end means nothing. Method: cut the body at every byte.
  test(`a message is found wherever its bytes are cut (${form.name})`, async (t) => {
    const served = await serveBothWays(t);
    const ask = await callerOf(t, served.port, form);
    const body = bodyOf(form, unaryRequest("", text("hello")));
    const expected = await ask({ path: UNARY, type: form.unary, pieces: [body] });
    for (let cut = 1; cut < body.length; cut += 1) {
      const pieces = [body.subarray(0, cut), body.subarray(cut)];
      assert.deepEqual(await ask({ path: UNARY, type: form.unary, pieces }), expected, `${cut}`);
    }
    const bytes = Array.from(body, (byte) => Uint8Array.of(byte));
    assert.deepEqual(await ask({ path: UNARY, type: form.unary, pieces: bytes }), expected);
    assert.equal(served.counts.lean, body.length + 1);
  });

  test(`a message too large is refused by its length, before it comes (${form.name})`, async (t) => {
    const served = await serveBothWays(t, { limits: { requestBytesMax: 1000 } });
    const ask = await callerOf(t, served.port, form);
    const length = 300_000;
    const promise = envelope(new Uint8Array(0));
    new DataView(promise.buffer).setUint32(1, length);
    const paths: [string, string][] = [
      [UNARY, form.unary],
      [SERVER_STREAM, form.streaming],
      ...(form.isHttp2 ? [[BIDI, form.streaming] as [string, string]] : []),
    ];
    for (const [path, type] of paths) {
      const isBare = !form.hasEnvelopes && path === UNARY;
      const headers = isBare ? { "content-length": `${length}` } : {};
      const pieces = [isBare ? new Uint8Array(3) : promise];
      const { fields, body } = await ask({ path, type, pieces, headers, isOpen: true });
      assert.match(JSON.stringify(fields) + body, /larger than 1000 bytes/, path);
    }
    assert.equal(served.counts.lean, form.isHttp2 ? 1 : 0, "only the stream had begun");
  });

  test(`a body that falls silent ends, one that goes on does not (${form.name})`, async (t) => {
    const served = await serveBothWays(t, { limits: { bodyTimeoutMs: 60 } });
    const ask = await callerOf(t, served.port, form);
    for (const [path, type] of [
      [UNARY, form.unary],
      [SERVER_STREAM, form.streaming],
    ] as const) {
      const call = { path, type, pieces: [Uint8Array.of(0, 0, 0)], isOpen: true };
      const { fields, body } = await ask(call);
      assert.match(JSON.stringify(fields) + body, /Nothing of the request came for 60 ms/);
    }
    assert.equal(served.counts.lean, 0);
  });

  test(`a call that the client breaks off inside a message never began (${form.name})`, async (t) => {
    const ends: CallEnd[] = [];
    const served = await serveBothWays(t, {
      hook: () => (end) => ends.push(end),
    });
    const body = bodyOf(form, unaryRequest("", text("one"), text("two")));
    for (const count of [1, 4, body.length - 1, body.length]) {
      const connection = await RawConnection.open(t, served.port);
      if (form.isHttp2) {
        const header = callFrame(1, UNARY, form.unary);
        const data = dataFrame(1, body.subarray(0, count));
        connection.socket.write(Buffer.concat([FRAMES_HELLO, header, data]));
        await new Promise((resolve) => setTimeout(resolve, 10));
        connection.socket.write(resetFrame(1, count % 2 === 0 ? 0 : 8));
      } else {
        const header = `POST ${UNARY} HTTP/1.1\r\nHost: x\r\nContent-Type: ${form.unary}\r\n`;
        connection.socket.write(`${header}Content-Length: ${body.length + 1}\r\n\r\n`);
        connection.socket.write(body.subarray(0, count));
        await new Promise((resolve) => setTimeout(resolve, 10));
        connection.socket.destroy();
      }
    }
    await until(() => ends.length === 4);
    assert.deepEqual(
      ends.map(({ outcome }) => outcome?.reason),
      ["CANCELED", "CANCELED", "CANCELED", "CANCELED"],
    );
    assert.equal(served.counts.lean, 0);
  });
}

test("messages of a stream are found wherever their bytes are cut", async (t) => {
  const served = await serveBothWays(t);
  const ask = await callerOf(t, served.port, GRPC_FORM);
  const sizes = [3, 0, 200, 1];
  const body = concat(
    sizes.map((size) => envelope(bidiRequest("", new Uint8Array(size), new Uint8Array(1)))),
  );
  const answersTo = async (pieces: readonly Uint8Array[]) => {
    const answer = await ask({ path: BIDI, type: GRPC_FORM.streaming, pieces });
    assert.equal(answer.fields["grpc-status"], "0");
    return sizesIn(Buffer.from(answer.body, "latin1"));
  };
  const expected = sizes.map((size) => size + 1);
  for (let cut = 1; cut < body.length; cut += 1) {
    assert.deepEqual(await answersTo([body.subarray(0, cut), body.subarray(cut)]), expected);
  }
  const bytes = Array.from(body, (byte) => Uint8Array.of(byte));
  assert.deepEqual(await answersTo(bytes), expected);
});

function sizesIn(body: Uint8Array): number[] {
  const found: number[] = [];
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  for (let at = 0; at < body.length; at += 5 + view.getUint32(at + 1)) {
    const message = body.subarray(at + 5, at + 5 + view.getUint32(at + 1));
    const { acknowledgements } = fromBinary(ProduceStreamResponseSchema, message);
    for (const { firstOffset } of acknowledgements) found.push(Number(firstOffset));
  }
  return found;
}

test("other calls than binary ones in the clear go to the library", async (t) => {
  const served = await serveBothWays(t);
  const session = await connect2(t, served.port);
  const json = text('{"records":[{"value":"aGVsbG8="}]}');
  const binary = unaryRequest("", text("hello"));
  const take = async (type: string, body: Uint8Array, headers = {}) => {
    const before = served.counts.lean;
    await call2(session, { path: UNARY, type, pieces: [body], headers });
    return served.counts.lean > before ? "lean" : "library";
  };
  assert.equal(await take("application/json", json), "library");
  assert.equal(await take("application/grpc+json", envelope(json)), "library");
  assert.equal(await take("application/grpc;charset=utf-8", envelope(binary)), "library");
  assert.equal(await take("Application/GRPC", envelope(binary)), "library");
  assert.equal(await take("application/connect+proto", envelope(binary)), "library");
  const gzip = { "grpc-encoding": "gzip" };
  assert.equal(await take("application/grpc", envelope(binary), gzip), "library");
  const identity = { "grpc-encoding": "identity", "grpc-accept-encoding": "gzip" };
  assert.equal(await take("application/grpc", envelope(binary), identity), "lean");
  assert.equal(served.counts.library, 4);
  const stream = envelope(serverStreamRequest("", 1));
  const grpc1 = { path: SERVER_STREAM, type: "application/grpc", pieces: [stream] };
  assert.equal((await call1(served.port, grpc1)).status, 200);
  assert.equal(served.counts.lean, 1);
});
