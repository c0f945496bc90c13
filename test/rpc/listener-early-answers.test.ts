import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import http2 from "node:http2";
import { test } from "node:test";
import { MIB } from "../../src/base/units.ts";
import { drainHttp2 } from "../../src/platform/http-early-answer.ts";
import { SimClock } from "../support/sim-clock.ts";
import { connect2, openPort } from "./ports.ts";

/** A stream that is answered but for its trailers, and whose client goes on sending. */
class UnendedStream extends EventEmitter {
  readonly state = { localClose: 0 };
  readonly closedWith: number[] = [];

  get closed(): boolean {
    return this.closedWith.length > 0;
  }

  resume(): void {}

  close(code: number): void {
    this.closedWith.push(code);
    this.emit("close");
  }
}

for (const [why, sendMore] of [
  ["sends a lot", (stream: UnendedStream) => stream.emit("data", Buffer.alloc(2 * MIB))],
  ["sends for long", () => {}],
] as const) {
  test(`a client that ${why} after its answer is told to stop, but not before its trailers are out`, async () => {
    const clock = new SimClock();
    const stream = new UnendedStream();
    drainHttp2(stream as unknown as ServerHttp2Stream, clock);
    stream.emit("finish");
    sendMore(stream);
    sendMore(stream);
    await clock.advance(10_000);
    assert.deepEqual(stream.closedWith, []);
    stream.state.localClose = 1;
    await clock.advance(100);
    assert.deepEqual(stream.closedWith, [http2.constants.NGHTTP2_NO_ERROR]);
    await clock.advance(10_000);
    assert.equal(stream.closedWith.length, 1);
  });
}

test("an answer before the end of its request arrives with its trailers", async (t) => {
  const { port } = await openPort(t, (request, response) => {
    request.once("data", () => {
      (response as http2.Http2ServerResponse).addTrailers({ "x-last": "1" });
      response.end("early");
    });
  });
  const session = await connect2(t, port);
  const calls = Array.from({ length: 10 }, async () => {
    const stream = session.request({ ":path": "/", ":method": "POST" });
    let trailers: http2.IncomingHttpHeaders = {};
    let body = "";
    stream.on("trailers", (found) => {
      trailers = found;
    });
    stream.on("error", () => {});
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      body += chunk;
    });
    const closed = new Promise((resolve) => stream.once("close", resolve));
    for (let n = 0; n < 20; n += 1) stream.write(Buffer.alloc(100_000));
    await closed;
    assert.deepEqual([body, trailers["x-last"]], ["early", "1"]);
  });
  await Promise.all(calls);
});
