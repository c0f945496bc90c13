import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { HttpStream, StreamHandler } from "../../src/platform/http-options.ts";
import { IS_BUN } from "../../src/platform/http-runtime.ts";
import { makeCertificates } from "./certificates.ts";
import { FrameClient, initialWindow, request, reset, windowUpdate } from "./http2-frames.ts";
import { bodiesInTurn, connect2, openPort } from "./ports.ts";

const { ca, server: certificate } = makeCertificates();
const MIB = 2 ** 20;
const STREAMS = 100;
const IDS = Array.from({ length: STREAMS }, (_, at) => 2 * at + 1);
/** What every stream sends: together far more than what a connection takes unread. */
const SHARED = Buffer.alloc(MIB, "x");
const WIDE = initialWindow(4 * MIB);
const SETTLE_MS = 100;
const CANCEL = 8;

const elapse = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

type Write = (chunk: Uint8Array, encoding: string, callback: (error?: Error) => void) => void;

/** Counts the bytes that the runtime has of its streams and has not told to be gone. */
function watchRuntime(t: TestContext) {
  const watched = { bytes: 0, peakBytes: 0 };
  let restore = () => {};
  t.after(() => restore());
  const begin = (stream: HttpStream) => {
    const own = Object.getPrototypeOf(stream) as { _write: Write };
    const original = own._write;
    own._write = function (this: unknown, chunk, encoding, callback) {
      watched.bytes += chunk.length;
      watched.peakBytes = Math.max(watched.peakBytes, watched.bytes);
      original.call(this, chunk, encoding, (error) => {
        watched.bytes -= chunk.length;
        callback(error);
      });
    };
    restore = () => {
      own._write = original;
    };
  };
  let isBegun = false;
  const watch = (stream: HttpStream): void => {
    if (!isBegun) begin(stream);
    isBegun = true;
  };
  return { watched, watch };
}

/** Answers with `SHARED` in one write, and with trailers on every second stream. */
function answerShared(stream: HttpStream): void {
  stream.on("error", () => {});
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-last": "1" }));
  stream.respond({ ":status": 200 }, { waitForTrailers: (stream.id ?? 0) % 4 === 1 });
  stream.end(SHARED);
}

for (const scheme of ["plaintext", "TLS"]) {
  const isTls = scheme === "TLS";
  const tls = isTls ? { tls: certificate } : {};
  /** A client that reads nothing once its requests are out. */
  const openUnread = async (t: TestContext, onStream: StreamHandler) => {
    const listener = await openPort(t, () => {}, { onStream, ...tls });
    const client = await FrameClient.open(t, listener.port, isTls ? ca : undefined);
    client.send(FrameClient.opening, WIDE);
    await client.settle();
    client.socket.pause();
    client.send(...IDS.map(request));
    return client;
  };
  const comesWhole = async (client: FrameClient, ids: readonly number[]) => {
    for (const id of ids) await client.until(() => client.ended.has(id));
    for (const id of ids) assert.equal(client.dataBytes(id), SHARED.length, `stream ${id}`);
  };

  test(`${scheme}: what streams share comes whole after a pause of the connection`, async (t) => {
    const client = await openUnread(t, (stream) => {
      answerShared(stream);
      return true;
    });
    await elapse();
    client.socket.resume();
    await comesWhole(client, IDS);
    assert.deepEqual(client.complaints, []);
  });

  test(`${scheme}: Bun gets little of what a full socket does not take`, {
    skip: !IS_BUN,
  }, async (t) => {
    const { watched, watch } = watchRuntime(t);
    const streams: HttpStream[] = [];
    const client = await openUnread(t, (stream) => {
      watch(stream);
      answerShared(stream);
      streams.push(stream);
      return true;
    });
    while (streams.length < STREAMS) await elapse();
    await elapse();
    const waiting = streams.filter((stream) => stream.writableLength === SHARED.length);
    assert.ok(waiting.length > STREAMS / 2, `${waiting.length} streams wait`);
    assert.ok(watched.peakBytes < 4 * MIB, `${watched.peakBytes} bytes`);
    client.socket.resume();
    await comesWhole(client, IDS);
    assert.equal(watched.bytes, 0);
    assert.ok(watched.peakBytes < 4 * MIB, `${watched.peakBytes} bytes while it was read`);
  });

  test(`${scheme}: Bun gets little of what the windows of many streams do not take`, {
    skip: !IS_BUN,
  }, async (t) => {
    const { watched, watch } = watchRuntime(t);
    const onStream: StreamHandler = (stream) => {
      watch(stream);
      answerShared(stream);
      return true;
    };
    const listener = await openPort(t, () => {}, { onStream, ...tls });
    const client = await FrameClient.open(t, listener.port, isTls ? ca : undefined);
    client.send(FrameClient.opening, initialWindow(100_000), ...IDS.map(request));
    for (const id of IDS) assert.equal(await client.dataUpTo(id, 100_000), 100_000);
    assert.ok(watched.bytes > 0, "something is held");
    assert.ok(watched.peakBytes < 4 * MIB, `${watched.peakBytes} bytes`);
    for (const id of IDS) client.send(windowUpdate(id, 2 * MIB));
    await comesWhole(client, IDS);
    assert.deepEqual(client.complaints, []);
  });

  test(`${scheme}: a stream that is reset while the socket is full holds nothing`, async (t) => {
    const streams = new Map<number, HttpStream>();
    const closed = new Set<number>();
    /** Whose write is over. */
    const told = new Set<number>();
    const client = await openUnread(t, (stream) => {
      const { id = 0 } = stream;
      streams.set(id, stream);
      stream.on("error", () => {});
      stream.on("close", () => closed.add(id));
      stream.respond({ ":status": 200 });
      stream.write(SHARED, () => told.add(id));
      stream.end();
      return true;
    });
    while (streams.size < STREAMS) await elapse();
    const byClient = IDS.slice(-20, -10);
    const byServer = IDS.slice(-10);
    for (const id of byServer) streams.get(id)?.close(CANCEL);
    client.send(...byClient.map((id) => reset(id, CANCEL)));
    const ended = [...byClient, ...byServer];
    while (!ended.every((id) => closed.has(id) && told.has(id)) && IS_BUN) await elapse();
    client.socket.resume();
    await comesWhole(client, IDS.slice(0, -20));
    while (closed.size < STREAMS) await elapse();
    for (const id of IS_BUN ? ended : []) {
      // Node may have all of it on its way
      assert.ok(client.dataBytes(id) < SHARED.length, `stream ${id} came whole`);
    }
  });

  test(`${scheme}: a connection that ends while it is full ends all its streams`, async (t) => {
    let opened = 0;
    let closed = 0;
    const client = await openUnread(t, (stream) => {
      opened += 1;
      stream.on("close", () => {
        closed += 1;
      });
      answerShared(stream);
      return true;
    });
    while (opened < STREAMS) await elapse();
    client.socket.destroy();
    while (closed < STREAMS) await elapse();
  });

  test(`${scheme}: writes of every length come in order when nothing is read at first`, async (t) => {
    const content = Buffer.alloc(3 * MIB);
    for (let at = 0; at < content.length; at += 4) content.writeUInt32BE(at, at);
    const lengths = [1, 16_384, 1_000_000, 3, 262_144, 262_145, 40_000];
    const { port } = await openPort(
      t,
      (_request, response) => {
        let at = 0;
        for (const length of lengths) {
          response.write(content.subarray(at, at + length));
          at += length;
        }
        response.end(content.subarray(at));
      },
      tls,
    );
    const session = await connect2(t, port, isTls ? { ca } : {}, isTls ? "https" : "http");
    for (const body of await bodiesInTurn(session, 6)) assert.ok(body.equals(content));
  });

  test(`${scheme}: a text that waits for a full socket is not ended before its last byte`, async (t) => {
    const text = "\u00e9".repeat(262_144); // as many characters as Bun gets bytes at a time
    const texts = IDS.slice(-5);
    const client = await openUnread(t, (stream) => {
      if (!texts.includes(stream.id ?? 0)) answerShared(stream);
      else {
        stream.respond({ ":status": 200 });
        stream.end(text);
      }
      return true;
    });
    await elapse();
    client.socket.resume();
    await comesWhole(client, IDS.slice(0, -5));
    for (const id of texts) {
      await client.until(() => client.ended.has(id));
      assert.equal(client.dataBytes(id), 2 * text.length);
    }
  });
}
