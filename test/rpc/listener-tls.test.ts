import assert from "node:assert/strict";
import https from "node:https";
import { test } from "node:test";
import tls from "node:tls";
import type { RequestHandler } from "../../src/platform/http-options.ts";
import { makeCertificates } from "./certificates.ts";
import { connect2, openPort, RawConnection, request2 } from "./ports.ts";

const certificates = makeCertificates();
const { ca, server, secondServer, client, stranger } = certificates;

/** Says which protocol was spoken and who the client says it is. */
const introduce: RequestHandler = (request, response) => {
  request.resume();
  const peer = (request.socket as tls.TLSSocket).getPeerCertificate();
  response.end(`${request.httpVersion} ${String(peer?.subject?.CN ?? "nobody")}`);
};

function get(port: number, options: https.RequestOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = https.get({ host: "127.0.0.1", port, ca, agent: false, ...options }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        body += chunk;
      });
      answer.on("end", () => resolve(body));
    });
    sent.on("error", reject);
  });
}

/** The name in the certificate that the server shows. */
function shownBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: "127.0.0.1", port, ca }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

test("TLS answers HTTP/1.1 and HTTP/2 on one port, by ALPN", async (t) => {
  const { port } = await openPort(t, introduce, { tls: server });
  assert.equal(await get(port), "1.1 nobody");
  const session = await connect2(t, port, { ca }, "https");
  assert.equal((await request2(session, { ":path": "/" })).body, "2.0 nobody");
});

test("plaintext on a TLS port is refused, and harms nobody", async (t) => {
  const { port } = await openPort(t, introduce, { tls: server });
  const connection = await RawConnection.open(t, port);
  connection.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await connection.closed;
  assert.equal(await get(port), "1.1 nobody");
});

test("a connection that never begins TLS is dropped", async (t) => {
  const limits = { headerTimeoutMs: 100, scanIntervalMs: 20 };
  const { port } = await openPort(t, introduce, { tls: server, limits });
  await (await RawConnection.open(t, port)).closed;
});

test("a TLS connection that sends no request is dropped", async (t) => {
  const limits = { headerTimeoutMs: 300, scanIntervalMs: 20 };
  const { port } = await openPort(t, introduce, { tls: server, limits });
  for (const protocol of ["http/1.1", "h2"]) {
    const socket = tls.connect({ host: "127.0.0.1", port, ca, ALPNProtocols: [protocol] });
    t.after(() => socket.destroy());
    socket.resume();
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    await new Promise((resolve) => socket.once("close", resolve));
  }
});

test("with a client CA only its clients get in, and the handler sees who they are", async (t) => {
  const { port } = await openPort(t, introduce, { tls: { ...server, clientCa: ca } });
  await assert.rejects(get(port));
  await assert.rejects(get(port, stranger));
  assert.equal(await get(port, client), "1.1 client");
  const session = await connect2(t, port, { ca, ...client }, "https");
  assert.equal((await request2(session, { ":path": "/" })).body, "2.0 client");
});

test("reloaded certificates serve new connections, and old connections live on", async (t) => {
  const listener = await openPort(t, introduce, { tls: { ...server, clientCa: ca } });
  const plain = await openPort(t, introduce, { tls: server });
  const session = await connect2(t, listener.port, { ca, ...client }, "https");
  assert.equal(await shownBy(plain.port), "server");
  plain.reloadTls(secondServer);
  listener.reloadTls({ ...secondServer, clientCa: ca });
  assert.equal(await shownBy(plain.port), "second-server");
  assert.equal((await request2(session, { ":path": "/" })).body, "2.0 client");
  await assert.rejects(get(listener.port), "client certificates are still demanded");
  assert.equal(await get(listener.port, client), "1.1 client");
});

test("a bad certificate is refused at once, and a reload of one changes nothing", async (t) => {
  const bad = { key: server.key, cert: "not a certificate" };
  await assert.rejects(openPort(t, introduce, { tls: bad }));
  const listener = await openPort(t, introduce, { tls: server });
  assert.throws(() => listener.reloadTls(bad));
  assert.equal(await get(listener.port), "1.1 nobody");
  const plaintext = await openPort(t, introduce);
  assert.throws(() => plaintext.reloadTls(server), /plaintext/);
});
