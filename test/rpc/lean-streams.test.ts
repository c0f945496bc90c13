import assert from "node:assert/strict";
import { test } from "node:test";
import { KIB, MIB } from "../../src/base/units.ts";
import { until } from "./api.ts";
import { bidi, message, open, serverStream } from "./lean-methods.ts";
import { BIDI, SERVER_STREAM, serveBothWays, serverStreamRequest } from "./lean-service.ts";
import { call1 } from "./lean-wire.ts";
import { envelope } from "./raw-calls.ts";

/** Resolves when `value` has stopped changing. */
async function settled(value: () => number): Promise<number> {
  let last = -1;
  for (let still = 0; still < 10; still = value() === last ? still + 1 : 0) {
    last = value();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return last;
}

test("a handler that is slow makes its client wait, and then gets everything", async (t) => {
  const messageBytes = 10_000;
  const count = 1_000;
  let taken = 0;
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { port } = await serveBothWays(
    t,
    bidi(async (input) => {
      for await (const messages of input) {
        taken += messages.length;
        await held;
      }
    }),
  );
  const stream = await open(t, port, BIDI);
  stream.resume();
  const body = envelope(new Uint8Array(messageBytes));
  let sent = 0;
  for (let n = 0; n < count; n += 1) stream.write(body, () => (sent += 1));
  stream.end();
  const inFlight = await settled(() => sent);
  assert.ok(inFlight * messageBytes < 4 * MIB, `${inFlight} messages left the client`);
  assert.ok(taken * messageBytes < MIB, `${taken} messages are with the handler`);
  release();
  await new Promise((resolve) => stream.once("close", resolve));
  assert.equal(taken, count);
});

test("what a slow handler has taken does not count as in flight, what waits does", async (t) => {
  const limits = { bodyBytesMax: 300 * KIB };
  let rounds = 0;
  const served = await serveBothWays(t, {
    limits,
    ...bidi(async (input) => {
      for await (const messages of input) rounds += messages.length;
    }),
  });
  const stream = await open(t, served.port, BIDI);
  let trailers: Record<string, unknown> = {};
  stream.on("trailers", (found) => {
    trailers = found;
  });
  stream.resume();
  for (let n = 1; n <= 20; n += 1) {
    stream.write(envelope(new Uint8Array(50 * KIB)));
    await until(() => rounds === n);
  }
  stream.end();
  await new Promise((resolve) => stream.once("close", resolve));
  assert.equal(trailers["grpc-status"], "0");
});

test("a client that is slow makes the handler wait, and then gets everything", async (t) => {
  const messageBytes = 50_000;
  const count = 400;
  let written = 0;
  const { port } = await serveBothWays(
    t,
    serverStream(async (output) => {
      for (; written < count; written += 1) {
        if (!output.write(message(messageBytes))) await output.whenRoom();
      }
    }),
  );
  for (const isHttp2 of [true, false]) {
    written = 0;
    let bytes = 0;
    const type = isHttp2 ? "application/grpc" : "application/grpc-web+proto";
    if (isHttp2) {
      const stream = await open(t, port, SERVER_STREAM);
      stream.end(envelope(serverStreamRequest("", 0)));
      await until(() => written > 0);
      const ahead = await settled(() => written);
      assert.ok(ahead * messageBytes < 2 * MIB, `${ahead} messages ahead`);
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      await new Promise((resolve) => stream.once("close", resolve));
    } else {
      const pieces = [envelope(serverStreamRequest("", 0))];
      bytes = (await call1(port, { path: SERVER_STREAM, type, pieces })).body.length;
    }
    assert.equal(Math.floor(bytes / (messageBytes + 5)), count);
  }
});

test("messages of one turn go out together", async (t) => {
  const { port } = await serveBothWays(
    t,
    serverStream(async (output) => {
      for (let n = 0; n < 2_000; n += 1) output.write(message(10));
    }),
  );
  const stream = await open(t, port, SERVER_STREAM);
  stream.end(envelope(serverStreamRequest("", 0)));
  let chunks = 0;
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    chunks += 1;
    bytes += chunk.length;
  });
  await new Promise((resolve) => stream.once("close", resolve));
  assert.equal(bytes, 2_000 * 15);
  assert.ok(chunks < 20, `${chunks} chunks`);
});

test("a burst of small messages comes as few items", async (t) => {
  let items = 0;
  let messages = 0;
  const { port } = await serveBothWays(
    t,
    bidi(async (input) => {
      for await (const found of input) {
        items += 1;
        messages += found.length;
      }
    }),
  );
  const stream = await open(t, port, BIDI);
  stream.resume();
  const one = envelope(new Uint8Array(10));
  stream.end(Buffer.concat(Array.from({ length: 1_000 }, () => one)));
  await new Promise((resolve) => stream.once("close", resolve));
  assert.equal(messages, 1_000);
  assert.ok(items < 20, `${items} items`);
});
