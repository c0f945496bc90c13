import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import { test } from "node:test";
import type { RequestHandler } from "../../src/platform/http-options.ts";
import { connect2, openPort, RawConnection, request, request2 } from "./ports.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS = "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
const SETTINGS_ACK = "\x00\x00\x00\x04\x01\x00\x00\x00\x00";
/** Long enough that a test fails by it, not by chance. */
const FOR_EVER_MS = 60_000;

/** Reads the whole request, then says what it was. */
const echo: RequestHandler = (request, response) => {
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on("end", () => response.end(`${request.httpVersion} ${request.url} ${bytes}`));
};

/** Answers at once, whatever is still to come. */
const hasty: RequestHandler = (_request, response) => {
  response.statusCode = 413;
  response.end("too much");
};

test("one port answers HTTP/1.1 and HTTP/2", async (t) => {
  const { port } = await openPort(t, echo);
  assert.equal((await request(port, "/a", { method: "POST", body: "abc" })).body, "1.1 /a 3");
  const session = await connect2(t, port);
  assert.equal(
    (await request2(session, { ":path": "/b", ":method": "POST" }, "abcd")).body,
    "2.0 /b 4",
  );
  assert.equal((await request2(session, { ":path": "/c" })).body, "2.0 /c 0");
});

test("the protocol is found when the bytes come one by one", async (t) => {
  const { port } = await openPort(t, echo);
  const one = await RawConnection.open(t, port);
  await one.writeSlowly("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  await one.receives("1.1 /slow 2");
  const two = await RawConnection.open(t, port);
  await two.writeSlowly(PREFACE + EMPTY_SETTINGS);
  await two.receives(SETTINGS_ACK);
});

test("a method that begins like the preface is HTTP/1.1", async (t) => {
  const { port } = await openPort(t, echo);
  const connection = await RawConnection.open(t, port);
  await connection.writeSlowly("PROPFIND /x HTTP/1.1\r\nHost: x\r\n\r\n");
  await connection.receives("1.1 /x 0");
});

test("many requests share one HTTP/1.1 connection", async (t) => {
  const listener = await openPort(t, echo);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  for (let count = 0; count < 20; count += 1) {
    const answer = await request(listener.port, `/${count}`, { agent, method: "POST", body: "x" });
    assert.equal(answer.body, `1.1 /${count} 1`);
  }
  assert.equal(listener.connectionCount, 1);
});

test("bytes of no protocol are refused and harm nobody", async (t) => {
  const { port } = await openPort(t, echo);
  for (const bytes of [
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "\x00\xff\r\n\r\n",
    `${PREFACE}garbage!!garbage!!`,
  ]) {
    const connection = await RawConnection.open(t, port);
    connection.socket.write(bytes, "latin1");
    await connection.closed;
  }
  assert.equal((await request(port, "/still")).body, "1.1 /still 0");
});

test("a connection that says nothing is dropped", async (t) => {
  const limits = { headerTimeoutMs: 50, scanIntervalMs: 20 };
  const { port } = await openPort(t, echo, { limits });
  await (await RawConnection.open(t, port)).closed;
});

test("a header that does not end is dropped, the first and a later one", async (t) => {
  const limits = { headerTimeoutMs: 50, scanIntervalMs: 20 };
  const { port } = await openPort(t, echo, { limits });
  const first = await RawConnection.open(t, port);
  first.socket.write("POST / HTTP/1.1\r\nHost: x\r\nX-A");
  await first.closed;
  const later = await RawConnection.open(t, port);
  later.socket.write("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
  await later.receives("1.1 /one 0");
  later.socket.write("GET /two HTTP/1.1\r\nHo");
  await later.closed;
});

test("an HTTP/1.1 connection is dropped when it is idle for too long", async (t) => {
  const limits = { keepAliveTimeoutMs: 50, headerTimeoutMs: FOR_EVER_MS, scanIntervalMs: 20 };
  const { port } = await openPort(t, echo, { limits });
  const connection = await RawConnection.open(t, port);
  connection.socket.write("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
  await connection.receives("1.1 /one 0");
  await connection.closed;
});

test("a request body that stalls is dropped, a call that takes long is not", async (t) => {
  const limits = { bodyTimeoutMs: 50, headerTimeoutMs: 50, scanIntervalMs: 10 };
  const slow: RequestHandler = (request, response) => {
    request.resume();
    request.on("end", () => setTimeout(() => response.end("slow but sure"), 200));
  };
  const { port } = await openPort(t, slow, { limits });
  const stalled = await RawConnection.open(t, port);
  stalled.socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  await stalled.closed;
  assert.equal((await request(port, "/")).body, "slow but sure");
});

test("an HTTP/2 connection without SETTINGS is dropped", async (t) => {
  const limits = { headerTimeoutMs: 50, scanIntervalMs: 20 };
  const { port } = await openPort(t, echo, { limits });
  const connection = await RawConnection.open(t, port);
  connection.socket.write(PREFACE);
  await connection.closed;
});

test("an HTTP/2 connection that does not answer PING is dropped, one that does stays", async (t) => {
  const limits = { pingIntervalMs: 30, pingTimeoutMs: 100, scanIntervalMs: 10 };
  const { port } = await openPort(t, echo, { limits });
  const session = await connect2(t, port);
  const dead = await RawConnection.open(t, port);
  dead.socket.write(PREFACE + EMPTY_SETTINGS + SETTINGS_ACK, "latin1");
  await dead.closed;
  assert.equal((await request2(session, { ":path": "/alive" })).body, "2.0 /alive 0");
});

test("an answer before the body is read reaches an HTTP/1.1 client", async (t) => {
  const { port } = await openPort(t, hasty);
  const whole = await request(port, "/", { method: "POST", body: new Uint8Array(1_000_000) });
  assert.deepEqual([whole.status, whole.body], [413, "too much"]);
  const stalled = await RawConnection.open(t, port);
  stalled.socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
  await stalled.receives("too much");
  await stalled.closed;
});

test("an answer before the body is read does not block other calls of the connection", async (t) => {
  const { port } = await openPort(t, (request, response, connection) =>
    (request.url === "/hasty" ? hasty : echo)(request, response, connection),
  );
  const session = await connect2(t, port);
  const body = new Uint8Array(8_000_000);
  const post = { ":method": "POST" };
  for (let count = 0; count < 4; count += 1) {
    assert.equal((await request2(session, { ...post, ":path": "/hasty" }, body)).status, 413);
  }
  const after = await request2(session, { ...post, ":path": "/after" }, body);
  assert.equal(after.body, "2.0 /after 8000000");
});

test("a header over the limit is refused", async (t) => {
  const { port } = await openPort(t, echo, { limits: { headerBytesMax: 4096 } });
  const large = "a".repeat(20_000);
  const one = await RawConnection.open(t, port);
  one.socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${large}\r\n\r\n`);
  await one.closed;
  assert.match(one.received, /^HTTP\/1.1 431 /);
  const session = await connect2(t, port);
  const two = await request2(session, { ":path": "/", "x-large": large });
  assert.equal(two.status, 0);
  assert.notEqual(two.rstCode, http2.constants.NGHTTP2_NO_ERROR);
});

test("connections over the limit are closed, and let in when there is room", async (t) => {
  const listener = await openPort(t, echo, { limits: { connectionsMax: 2 } });
  const first = await RawConnection.open(t, listener.port);
  await RawConnection.open(t, listener.port);
  await (await RawConnection.open(t, listener.port)).closed;
  first.socket.destroy();
  while (listener.connectionCount > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await request(listener.port, "/in")).body, "1.1 /in 0");
});

test("streams over the limit of a connection never reach the handler", async (t) => {
  let calls = 0;
  const count: RequestHandler = () => {
    calls += 1;
  };
  const { port } = await openPort(t, count, { limits: { streamsPerConnectionMax: 2 } });
  const session = await connect2(t, port);
  assert.equal(session.remoteSettings.maxConcurrentStreams, 2);
  // A client that does not care: three GET requests as HEADERS frames.
  const pushy = await RawConnection.open(t, port);
  pushy.socket.write(PREFACE + EMPTY_SETTINGS + SETTINGS_ACK, "latin1");
  for (const id of ["\x01", "\x03", "\x05"]) {
    const header = "\x82\x86\x84\x41\x01x"; // GET, http, "/", authority "x"
    pushy.socket.write(`\x00\x00\x06\x01\x05\x00\x00\x00${id}${header}`, "latin1");
  }
  // Bun refuses the stream (RST_STREAM, REFUSED_STREAM), Node the connection (GOAWAY).
  await pushy.receivesAnyOf(["\x05\x00\x00\x00\x07", "max concurrent streams exceeded"]);
  // On Node the connection may be gone before the handler hears of any of them.
  assert.ok(calls <= 2, `${calls}`);
});

test("pipelined requests over the limit of a connection close it", async (t) => {
  let calls = 0;
  const count: RequestHandler = () => {
    calls += 1;
  };
  const { port } = await openPort(t, count, { limits: { streamsPerConnectionMax: 2 } });
  const pushy = await RawConnection.open(t, port);
  pushy.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3));
  await pushy.closed;
  assert.equal(calls, 2);
});
