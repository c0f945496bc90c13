import assert from "node:assert/strict";
import { test } from "node:test";
import { concat } from "../../src/base/bytes.ts";
import type { LeanMethod } from "../../src/rpc/lean/lean-method.ts";
import { text, until } from "./api.ts";
import {
  BIDI,
  bidiRequest,
  SERVER_STREAM,
  serveBothWays,
  UNARY,
  unaryRequest,
} from "./lean-service.ts";
import {
  call2,
  callerOf,
  FORMS,
  type Form,
  GRPC_FORM,
  type WireAnswer,
  type WireCall,
} from "./lean-wire.ts";
import { connect2 } from "./ports.ts";
import { envelope } from "./raw-calls.ts";

// Goal: a request that has begun and does not go on costs others nothing, and ends.

const FORM_OF_JSON: Form = {
  name: "Connect JSON",
  unary: "application/json",
  streaming: "application/connect+json",
  hasEnvelopes: false,
  isHttp2: false,
  timeout: (ms) => ({ "connect-timeout-ms": `${ms}` }),
  encodingHeader: "content-encoding",
};

for (const lean of [true, false]) {
  const way = lean ? "lean" : "library";

  // Goal: who holds what he may leaves room for others. Method: connections that begin
  // messages until they are refused, and then one that asks for little.
  test(`connections that hold unfinished messages stop nobody else (${way})`, async (t) => {
    const served = await serveBothWays(t, { limits: { bodyBytesMax: 300_000 }, lean });
    const body = envelope(unaryRequest("", new Uint8Array(200_000)));
    const begin = (bytes: number): WireCall => {
      return {
        path: UNARY,
        type: "application/grpc",
        pieces: [body.subarray(0, bytes)],
        isOpen: true,
      };
    };
    for (let connection = 1; connection <= 8; connection += 1) {
      const session = await connect2(t, served.port);
      let refusal: WireAnswer | undefined;
      while (refusal === undefined) {
        const settled = new Promise<undefined>((resolve) =>
          setTimeout(() => resolve(undefined), 20),
        );
        refusal = await Promise.race([call2(session, begin(15_000)), settled]);
      }
      assert.match(
        String(refusal.fields["grpc-message"]),
        /^Cannot take the request: \d+ bytes of requests on this connection are in flight, at most \d+ may be/,
      );
      assert.equal(refusal.fields["grpc-status"], "8");
      // What was refused counts no more.
      const other = await connect2(t, served.port);
      const pieces = [envelope(unaryRequest("", new Uint8Array(2_000)))];
      const fine = await call2(other, { path: UNARY, type: "application/grpc", pieces });
      assert.equal(fine.fields["grpc-status"], "0", `${connection} connections`);
    }
  });

  test(`a message of a stream that falls silent ends the call, a pause between two does not (${way})`, async (t) => {
    const served = await serveBothWays(t, { limits: { bodyTimeoutMs: 60 }, lean });
    const session = await connect2(t, served.port);
    const whole = envelope(bidiRequest("", text("hello")));
    for (const begun of [1, 7]) {
      const stream = session.request({
        ":method": "POST",
        ":path": BIDI,
        "content-type": "application/grpc",
      });
      let answered = 0;
      let trailers: Record<string, unknown> = {};
      stream.on("data", () => (answered += 1));
      stream.on("trailers", (found) => {
        trailers = found;
      });
      stream.write(concat([whole, whole.subarray(0, begun)]));
      await until(() => answered === 1);
      stream.write(whole.subarray(begun));
      await until(() => answered === 2);
      await new Promise((resolve) => setTimeout(resolve, 150));
      stream.write(whole);
      await until(() => answered === 3);
      stream.write(whole.subarray(0, begun));
      await new Promise((resolve) => stream.once("close", resolve));
      assert.equal(trailers["grpc-status"], "4");
      assert.match(String(trailers["grpc-message"]), /^Nothing of the request came for 60 ms/);
    }
  });

  test(`a deadline is kept while the request is incomplete (${way})`, async (t) => {
    const served = await serveBothWays(t, { lean });
    const gzip = { "grpc-encoding": "gzip" };
    const json = [FORM_OF_JSON, { ...FORM_OF_JSON, isHttp2: true }];
    const cases = [...FORMS, ...json].map((form) => [form, {}] as const);
    for (const [form, extra] of [...cases, [GRPC_FORM, gzip] as const]) {
      const ask = await callerOf(t, served.port, form);
      for (const [path, type] of pathsOf(form)) {
        const headers = { ...form.timeout(50), ...extra };
        const call = { path, type, pieces: [Uint8Array.of(0, 0, 0)], headers, isOpen: true };
        const { fields, body } = await ask(call);
        assert.match(
          JSON.stringify(fields) + body,
          /The call took longer than its deadline of 50 ms/,
          `${form.name} ${path}`,
        );
      }
    }
  });
}

/** Methods that a form can call, with the media types. */
function pathsOf(form: Form): (readonly [string, string])[] {
  return [
    [UNARY, form.unary],
    [SERVER_STREAM, form.streaming],
    ...(form.isHttp2 ? [[BIDI, form.streaming] as const] : []),
  ];
}

test("what a stream has begun to send counts, whatever was taken of it before", async (t) => {
  const gate = Promise.withResolvers<void>();
  let taken = 0;
  const produceStream: LeanMethod = {
    kind: "bidi_streaming",
    async run(input) {
      for await (const messages of input) {
        taken += messages.length;
        await gate.promise;
      }
    },
  };
  const limits = { bodyBytesMax: 300_000 };
  const served = await serveBothWays(t, { limits, methods: { produceStream } });
  const session = await connect2(t, served.port);
  const stream = session.request({
    ":method": "POST",
    ":path": BIDI,
    "content-type": "application/grpc",
  });
  const whole = envelope(bidiRequest("", text("hello")));
  stream.write(whole);
  await until(() => taken === 1);
  // It has all come before the handler asks for more.
  stream.write(concat([whole, envelope(new Uint8Array(200_000)).subarray(0, 90_000)]));
  await new Promise((resolve) => setTimeout(resolve, 50));
  gate.resolve();
  await until(() => taken === 2);
  await new Promise((resolve) => setTimeout(resolve, 10));
  const pieces = [envelope(unaryRequest("", new Uint8Array(30_000)))];
  const refused = await call2(session, { path: UNARY, type: "application/grpc", pieces });
  assert.equal(refused.fields["grpc-status"], "8");
});

test("small messages of a stream count for what they cost while they wait", async (t) => {
  const served = await serveBothWays(t, { limits: { bodyBytesMax: 300_000 } });
  const session = await connect2(t, served.port);
  const pieces = [new Uint8Array(5 * 2_000)];
  const refused = await call2(session, { path: BIDI, type: "application/grpc", pieces });
  assert.equal(refused.fields["grpc-status"], "8");
});

test("an open body keeps its call alive as long as something comes", async (t) => {
  const served = await serveBothWays(t, { limits: { bodyTimeoutMs: 400 } });
  const session = await connect2(t, served.port);
  const body = envelope(unaryRequest("", text("a value of some length")));
  const headers = { ":method": "POST", ":path": UNARY, "content-type": "application/grpc" };
  const stream = session.request(headers);
  let trailers: Record<string, unknown> = {};
  stream.on("trailers", (found) => {
    trailers = found;
  });
  stream.resume();
  for (const byte of body.subarray(0, 12)) {
    stream.write(Uint8Array.of(byte));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  stream.end(body.subarray(12));
  await new Promise((resolve) => stream.once("close", resolve));
  assert.equal(trailers["grpc-status"], "0");
});
