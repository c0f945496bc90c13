import assert from "node:assert/strict";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import { KIB } from "../../src/base/units.ts";
import { BunWrites } from "../../src/platform/http-bun-writes.ts";
import { settle } from "../support/sim-clock.ts";

/** Notes what reaches the system: one item for each call. */
class FakeSocket extends Writable {
  readonly sent: string[] = [];

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.sent.push(shortened(chunk));
    setImmediate(done);
  }

  override _writev(parts: { chunk: Buffer }[], done: () => void): void {
    this.sent.push(parts.map(({ chunk }) => shortened(chunk)).join("+"));
    setImmediate(done);
  }
}

/** As Bun's: what is written to a stream goes on to the socket at once. */
class FakeStream extends Writable {
  readonly #socket: FakeSocket;

  constructor(socket: FakeSocket) {
    super();
    this.#socket = socket;
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.#socket.write(chunk);
    setImmediate(done);
  }
}

const shortened = (chunk: Buffer) => `${String.fromCharCode(chunk[0] ?? 0)}${chunk.length}`;

function setUp(count: number) {
  const socket = new FakeSocket({ highWaterMark: 64 * KIB });
  const writes = new BunWrites(socket as unknown as Socket);
  const streams = Array.from({ length: count }, () => {
    const stream = new FakeStream(socket);
    writes.attach(stream as unknown as ServerHttp2Stream);
    return stream;
  });
  return { socket, streams };
}

test("short answers of one turn reach the socket together, in order", async () => {
  const { socket, streams } = setUp(3);
  for (const [at, stream] of streams.entries()) stream.write("abc".charAt(at).repeat(10 + at));
  assert.deepEqual(socket.sent, []);
  await settle();
  await settle();
  assert.deepEqual(socket.sent, ["a10+b11+c12"]);
  streams[0]?.write("d");
  await settle();
  await settle();
  assert.deepEqual(socket.sent, ["a10+b11+c12", "d1"]);
});

test("a long write waits for no turn, and what was gathered goes before it", () => {
  const { socket, streams } = setUp(2);
  streams[0]?.write("a");
  streams[1]?.write(Buffer.alloc(9 * KIB, "b"));
  assert.deepEqual(socket.sent, ["a1"]);
  assert.equal(socket.writableCorked, 0);
});

test("many short writes do not gather for ever", () => {
  const { socket, streams } = setUp(20);
  for (const stream of streams) stream.write(Buffer.alloc(KIB, "a"));
  assert.ok(socket.sent.length > 0);
  assert.ok((socket.sent[0]?.split("+").length ?? 0) <= 10, socket.sent[0]);
});

test("a socket that ends or goes while something is gathered is left alone", async () => {
  for (const way of ["end", "destroy"] as const) {
    const { socket, streams } = setUp(1);
    socket.on("error", () => {});
    streams[0]?.write("a");
    socket[way]();
    await settle();
    await settle();
    assert.deepEqual(socket.sent, way === "end" ? ["a1"] : []);
  }
});
