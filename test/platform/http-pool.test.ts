import assert from "node:assert/strict";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import type { Clock } from "../../src/base/clock.ts";
import { type HttpOutgoing, HttpPool, type HttpPoolLimits } from "../../src/platform/http-pool.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { startRelay } from "../support/held-relay.ts";

const FIELDS = { ":method": "POST", ":path": "/x" };

/** A server that answers when it is told to, and knows its connections. */
async function startPeer(t: TestContext, settings: http2.Settings = {}) {
  const server = http2.createServer({ settings });
  const sessions: http2.ServerHttp2Session[] = [];
  server.on("session", (session) => {
    sessions.push(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sessions, server };
}

function openPool(
  t: TestContext,
  limits: Partial<HttpPoolLimits> = {},
  clock: Clock = new SystemClock(),
): HttpPool {
  const pool = new HttpPool({ clock, limits });
  t.after(() => pool.close());
  return pool;
}

/** Opens a call and waits for the header of its answer. */
async function call(pool: HttpPool, address: string): Promise<HttpOutgoing> {
  const stream = await pool.open(address, FIELDS);
  stream.on("error", () => {});
  await new Promise<void>((resolve, reject) => {
    stream.once("response", () => resolve());
    stream.once("close", () => reject(new Error("closed")));
  });
  return stream;
}

const closed = (stream: HttpOutgoing) =>
  new Promise<void>((resolve) => {
    if (stream.closed) resolve();
    else stream.once("close", () => resolve());
  });

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("nobody at the address is an error, and the next call tries again", async (t) => {
  const pool = openPool(t);
  const probe = net.createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const address = `127.0.0.1:${port}`;
  await assert.rejects(Promise.all([call(pool, address), call(pool, address)]));
  const server = http2.createServer();
  server.on("stream", (stream) => stream.respond({ ":status": 200 }));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  t.after(() => server.close());
  (await call(pool, address)).close();
});

test("one who takes connections and says nothing is given up", async (t) => {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const pool = openPool(t, { dialTimeoutMs: 50 });
  await assert.rejects(
    call(pool, `127.0.0.1:${(server.address() as AddressInfo).port}`),
    /No HTTP\/2 within 50 ms/,
  );
});

test("calls share a connection until it is full, and are refused when all are", async (t) => {
  const { address, sessions } = await startPeer(t);
  const pool = openPool(t, { callsPerConnectionMax: 2, connectionsPerAddressMax: 2 });
  const calls = await Promise.all([1, 2, 3, 4].map(() => call(pool, address)));
  assert.equal(sessions.length, 2);
  await assert.rejects(call(pool, address), /are full/);
  const [first] = calls;
  assert.ok(first);
  const over = closed(first);
  first.close();
  await over;
  await call(pool, address);
  assert.equal(sessions.length, 2);
});

test("a connection that goes away is replaced, and a call on it ends", async (t) => {
  const { address, sessions } = await startPeer(t);
  const pool = openPool(t);
  const first = await call(pool, address);
  sessions[0]?.goaway();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const second = await call(pool, address);
  assert.equal(sessions.length, 2);
  sessions[1]?.destroy();
  await closed(second);
  await call(pool, address);
  assert.equal(sessions.length, 3);
  first.close();
});

test("a connection on which calls wait for nobody is found out", async (t) => {
  const { address, sessions } = await startPeer(t);
  const relay = await startRelay(t, address);
  const pool = openPool(t, { pingIntervalMs: 40, pingTimeoutMs: 80 });
  const stream = await call(pool, relay.address);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(stream.closed, false, "it answers");
  assert.equal(pool.isSilent(stream), false);
  relay.hold();
  await until(() => pool.isSilent(stream));
  assert.equal(stream.closed, false, "it may come back yet");
  await closed(stream);
  assert.equal(sessions.length, 1);
});

test("a connection is not given up because this process stood still", async (t) => {
  const { address } = await startPeer(t);
  const relay = await startRelay(t, address);
  const system = new SystemClock();
  let skewMs = 0;
  const clock = {
    wallUs: () => system.wallUs(),
    monotonicMs: () => system.monotonicMs() + skewMs,
    schedule: system.schedule.bind(system),
  };
  const pool = openPool(t, { pingIntervalMs: 40, pingTimeoutMs: 400 }, clock);
  const stream = await call(pool, relay.address);
  relay.hold();
  await until(() => relay.heldCount() > 0);
  skewMs = 1_000; // what was asked before is answered, and read, after that
  await new Promise((resolve) => setTimeout(resolve, 100));
  relay.letGo();
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.equal(stream.closed, false);
});

test("a connection that nobody needs is closed", async (t) => {
  const { address, sessions } = await startPeer(t);
  const pool = openPool(t, { pingIntervalMs: 20, idleMs: 60 });
  const stream = await call(pool, address);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(sessions[0]?.destroyed, false, "a call is on it");
  stream.close();
  await until(() => sessions[0]?.destroyed === true);
});

test("the end of the pool is the end of its calls", async (t) => {
  const { address } = await startPeer(t);
  const pool = openPool(t);
  const stream = await call(pool, address);
  pool.close();
  await closed(stream);
  await assert.rejects(call(pool, address));
});
