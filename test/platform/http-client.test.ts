import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { promises as dns } from "node:dns";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { resolveAddress } from "../../src/platform/http-client-names.ts";
import { dial } from "../../src/platform/http-client-socket.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";

async function openServer(t: TestContext, host: string): Promise<number> {
  const server = net.createServer((socket) => socket.on("error", () => {}));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  t.after(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

const options = {
  attempt: 0,
  tls: undefined,
  timeoutMs: 2_000,
  clock: new SystemClock(),
  signal: new AbortController().signal,
};

test("addresses are an IP address or a name, with a port", async () => {
  assert.deepEqual(await resolveAddress("10.1.2.3:80"), [
    { host: "10.1.2.3", port: 80, name: "10.1.2.3" },
  ]);
  assert.deepEqual(await resolveAddress("[::1]:65535"), [
    { host: "::1", port: 65_535, name: "::1" },
  ]);
  const [first] = await resolveAddress("localhost:8400");
  assert.equal(first?.port, 8400);
  assert.equal(first?.name, "localhost");
});

test("what is no address is refused", async () => {
  for (const address of ["", "host", "host:", ":80", "host:0", "host:65536", "::1:80", "a b:x"]) {
    await assert.rejects(resolveAddress(address), { code: "ERR_INVALID_URL" }, address);
  }
});

test("all places of a name are tried, whichever comes first", async (t) => {
  // `localhost` has one place or two; the server is at one of them.
  const port = await openServer(t, "127.0.0.1");
  for (const attempt of [0, 1, 2]) {
    const socket = await dial({ ...options, address: `localhost:${port}`, attempt });
    assert.equal(socket.remotePort, port);
    socket.destroy();
  }
});

/** Answers every question with SRV records for `localhost`: priority and port of each. */
async function openNameServer(t: TestContext, records: readonly (readonly [number, number])[]) {
  const socket = createSocket("udp4");
  socket.on("message", (query, { address, port }) => {
    const head = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
    head.writeUInt16BE(records.length, 6);
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const answers = records.map(([priority, target]) => {
      const fields = [0xc00c, 33, 1, 0, 0, 6 + LOCALHOST.length, priority, 1, target];
      const record = Buffer.alloc(2 * fields.length);
      for (const [number, field] of fields.entries()) record.writeUInt16BE(field, 2 * number);
      return Buffer.concat([record, LOCALHOST]);
    });
    socket.send(Buffer.concat([head, question, ...answers]), port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const before = dns.getServers();
  dns.setServers([`127.0.0.1:${socket.address().port}`]);
  t.after(() => {
    dns.setServers(before);
    socket.close();
  });
}

const LOCALHOST = Buffer.from("\u0009localhost\0");

test("a name of SRV records leads to their places, by priority, and the first that answers is taken", async (t) => {
  const port = await openServer(t, "127.0.0.1");
  await openNameServer(t, [
    [2, port],
    [1, 1],
  ]);
  const address = "_peer._tcp.proglog.test";
  const places = await resolveAddress(address);
  assert.deepEqual([...new Set(places.map((place) => place.port))], [1, port]);
  assert.ok(places.every(({ name }) => name === "localhost"));
  for (const attempt of [0, 1]) {
    const socket = await dial({ ...options, address, attempt });
    assert.equal(socket.remotePort, port);
    socket.destroy();
  }
});

test("nobody there: the platform's error", async () => {
  await assert.rejects(dial({ ...options, address: "127.0.0.1:1" }), { code: "ECONNREFUSED" });
});

test("a dial is given up by its signal", async (t) => {
  const port = await openServer(t, "127.0.0.1");
  const controller = new AbortController();
  const dialling = dial({ ...options, address: `127.0.0.1:${port}`, signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(dialling, /enough/);
});
