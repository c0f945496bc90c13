import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import { type TestContext, test } from "node:test";
import tls from "node:tls";
import type { HttpResponse, RequestHandler } from "../../src/platform/http-options.ts";
import { until } from "./api.ts";
import { makeCertificates } from "./certificates.ts";
import { connect2, openPort, RawConnection, request, request2 } from "./ports.ts";

/** Long enough that a test fails by it, not by chance. */
const FOR_EVER_MS = 60_000;

/** Keeps every request open until the test answers it. */
class OpenCalls {
  readonly responses: HttpResponse[] = [];
  readonly handler: RequestHandler = (request, response) => {
    request.resume();
    this.responses.push(response);
  };

  async arrived(count: number): Promise<void> {
    while (this.responses.length < count) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  answerAll(): void {
    for (const response of this.responses) response.end("done");
  }
}

/** Preface and empty SETTINGS. */
const HTTP2_HELLO = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/** A client that does not answer the end of its connection. */
class KeptOpen {
  readonly socket: net.Socket;

  private constructor(socket: net.Socket) {
    this.socket = socket;
  }

  static async open(t: TestContext, port: number, sent: string, isAnswered = true) {
    const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    t.after(() => socket.destroy());
    socket.on("error", () => {});
    socket.write(Buffer.from(sent, "latin1"));
    if (isAnswered) await new Promise((resolve) => socket.once("data", resolve));
    return new KeptOpen(socket);
  }
}

test("close() ends idle connections and refuses new ones", async (t) => {
  const listener = await openPort(t, (_request, response) => response.end("hi"));
  const idle = await RawConnection.open(t, listener.port);
  idle.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await idle.receives("hi");
  const silent = await RawConnection.open(t, listener.port);
  const session = await connect2(t, listener.port);
  const closed = new Promise((resolve) => session.once("close", resolve));
  await listener.close(FOR_EVER_MS);
  await idle.closed;
  await silent.closed;
  await closed;
  assert.equal(listener.connectionCount, 0);
  await assert.rejects(request(listener.port, "/"));
});

test("close() does not wait for idle clients that keep their side open", async (t) => {
  const listener = await openPort(t, (_request, response) => response.end("hi"));
  const one = await KeptOpen.open(t, listener.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const two = await KeptOpen.open(t, listener.port, HTTP2_HELLO);
  const half = await KeptOpen.open(t, listener.port, "GET / HTTP/1.1\r\nHos", false);
  await until(() => listener.connectionCount === 3);
  await listener.close(FOR_EVER_MS);
  for (const { socket } of [one, two, half]) socket.destroy();
  assert.equal(listener.connectionCount, 0);
});

for (const protocol of ["http/1.1", "h2", "none"]) {
  test(`close() does not wait for idle TLS clients (${protocol})`, async (t) => {
    const { ca, server } = makeCertificates();
    const answer: RequestHandler = (_request, response) => response.end("hi");
    const listener = await openPort(t, answer, { tls: server });
    const options = { host: "127.0.0.1", port: listener.port, allowHalfOpen: true };
    const bare = net.connect(options);
    t.after(() => bare.destroy());
    bare.on("error", () => {});
    if (protocol !== "none") {
      const socket = tls.connect({ socket: bare, ca, ALPNProtocols: [protocol] });
      socket.on("error", () => {});
      await new Promise((resolve) => socket.once("secureConnect", resolve));
    }
    await until(() => listener.connectionCount === 1);
    await listener.close(FOR_EVER_MS);
    assert.equal(listener.connectionCount, 0);
  });
}

test("while calls are under way, close() lets others ask how it is, and then no more", async (t) => {
  const calls = new OpenCalls();
  const listener = await openPort(t, (asked, response, connection) => {
    if (asked.url === "/readyz") response.end("draining");
    else calls.handler(asked, response, connection);
  });
  const { port } = listener;
  const call = request(port, "/");
  await calls.arrived(1);
  let isClosed = false;
  const closed = listener.close(FOR_EVER_MS).then(() => {
    isClosed = true;
  });
  for (let count = 0; count < 3; count += 1) {
    assert.equal((await request(port, "/readyz")).body, "draining");
    const session = await connect2(t, port);
    assert.equal((await request2(session, { ":path": "/readyz" })).body, "draining");
    assert.equal((await request2(session, { ":path": "/readyz" })).body, "draining");
  }
  const idle = await KeptOpen.open(t, port, HTTP2_HELLO);
  const keepAlive = await RawConnection.open(t, port);
  keepAlive.socket.write("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
  await keepAlive.receives("draining");
  assert.equal(isClosed, false);
  calls.answerAll();
  assert.equal((await call).body, "done");
  await closed;
  await keepAlive.closed;
  idle.socket.destroy();
  assert.equal(listener.connectionCount, 0);
  await assert.rejects(request(port, "/readyz"));
});

test("close() lets calls under way finish, and tells HTTP/2 clients to go", async (t) => {
  const calls = new OpenCalls();
  const listener = await openPort(t, calls.handler);
  const session = await connect2(t, listener.port);
  const goaway = new Promise((resolve) => session.once("goaway", resolve));
  const one = request(listener.port, "/");
  const two = request2(session, { ":path": "/" });
  await calls.arrived(2);
  const closed = listener.close(FOR_EVER_MS);
  await goaway;
  calls.answerAll();
  assert.equal((await one).body, "done");
  assert.equal((await two).body, "done");
  await closed;
});

test("close() ends what is still open after the grace", async (t) => {
  const calls = new OpenCalls();
  const listener = await openPort(t, calls.handler);
  const session = await connect2(t, listener.port);
  const one = request(listener.port, "/");
  const two = request2(session, { ":path": "/" });
  const cut = assert.rejects(one);
  await calls.arrived(2);
  await listener.close(50);
  await cut;
  assert.equal((await two).status, 0);
  assert.equal(listener.connectionCount, 0);
});

test("a port that is taken, or a host that is not here, is an error", async (t) => {
  const { port } = await openPort(t, () => {});
  await assert.rejects(
    openPort(t, () => {}, { port }),
    { code: "EADDRINUSE" },
  );
  await assert.rejects(
    openPort(t, () => {}, { host: "203.0.113.1" }),
    { code: "EADDRNOTAVAIL" },
  );
});

test("a client that vanishes ends its calls", async (t) => {
  let ended = 0;
  const listener = await openPort(t, (_request, response) => {
    response.on("close", () => {
      ended += 1;
    });
  });
  const one = net.connect(listener.port, "127.0.0.1");
  one.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const two = http2.connect(`http://127.0.0.1:${listener.port}`);
  two.on("error", () => {});
  two.request({ ":path": "/" }).on("error", () => {});
  two.request({ ":path": "/" }).on("error", () => {});
  await new Promise((resolve) => setTimeout(resolve, 100));
  one.destroy();
  two.destroy();
  while (ended < 3) await new Promise((resolve) => setTimeout(resolve, 2));
});
