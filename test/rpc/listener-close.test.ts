import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import { test } from "node:test";
import type { HttpResponse, RequestHandler } from "../../src/platform/http-options.ts";
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
