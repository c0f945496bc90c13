import assert from "node:assert/strict";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { concat } from "../../src/base/bytes.ts";
import type { Logger } from "../../src/base/log.ts";
import { MIB } from "../../src/base/units.ts";
import type { JoinAnswer } from "../../src/cluster/peer-host.ts";
import {
  PayloadRequestSchema,
  PeerService,
} from "../../src/gen/proglog/internal/v1/peer_service_pb.ts";
import { type HttpCall, type HttpEnding, openCall } from "../../src/platform/http-client.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { encodeRequest, toOutgoing } from "../../src/rpc/peer/peer-encoder.ts";
import { errorOfEnding } from "../../src/rpc/peer/peer-errors.ts";
import { helloOf } from "../../src/rpc/peer/peer-hello.ts";
import { encodeMessage } from "../../src/rpc/peer/peer-messages.ts";
import { until } from "./api.ts";
import { append, heartbeat, PeerWorld, QUICK, type TestNode } from "./peer-world.ts";
import { openPort } from "./ports.ts";

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
const soon = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

/** A payload stream by hand, and how it ends. */
async function openByHand(node: TestNode): Promise<{ call: HttpCall; ended: Promise<HttpEnding> }> {
  const ended = Promise.withResolvers<HttpEnding>();
  const call = await openCall({
    address: node.address,
    attempt: 0,
    tls: undefined,
    timeoutMs: 2_000,
    clock: new SystemClock(),
    signal: new AbortController().signal,
    path: `/${PeerService.typeName}/Payload`,
    fields: { "content-type": "application/grpc", te: "trailers" },
    onData() {},
    onEnd: ended.resolve,
  });
  return { call, ended: ended.promise };
}

function greeting(changes: Partial<ReturnType<typeof helloOf>> = {}): Uint8Array {
  const hello = { ...helloOf({ nodeId: "one", clusterId: "cluster" }, "two", 1n), ...changes };
  return concat(encodeRequest(encodeMessage(PayloadRequestSchema, { hello }), []));
}

async function reasonOf(ended: Promise<HttpEnding>): Promise<string | undefined> {
  return errorOfEnding(await ended, "there")?.reason;
}

const REFUSALS = [
  ["CLUSTER_FOREIGN", { clusterId: "another" }],
  ["PEER_UNKNOWN", { targetServerId: "three" }],
  ["PEER_UNKNOWN", { sourceServerId: "removed" }],
  ["PEER_UNKNOWN", { sourceServerId: "two" }],
  ["PROTOCOL_UNKNOWN", { protocol: 2 }],
] as const;

for (const [reason, changes] of REFUSALS) {
  test(`a greeting with ${JSON.stringify(changes)} ends the stream with ${reason}`, async (t) => {
    const two = await new PeerWorld(t).start("two");
    two.host.admits = (nodeId) => nodeId !== "removed";
    const { call, ended } = await openByHand(two);
    call.write(greeting(changes));
    call.write(concat(encodeRequest(new Uint8Array(0), [toOutgoing(append(1))])));
    assert.equal(await reasonOf(ended), reason);
    assert.deepEqual(two.host.received, []);
  });
}

test("the stream of a server that is removed meanwhile ends, with what came before", async (t) => {
  const two = await new PeerWorld(t).start("two");
  const { call, ended } = await openByHand(two);
  const message = concat(encodeRequest(new Uint8Array(0), [toOutgoing(append(1))]));
  call.write(greeting());
  call.write(message);
  await until(() => two.host.received.length === 1);
  two.host.admits = () => false;
  call.write(message);
  assert.equal(await reasonOf(ended), "PEER_UNKNOWN");
  assert.equal(two.host.received.length, 1);
});

test("a stream that does not begin with a greeting is ended, and nothing of it is taken", async (t) => {
  const two = await new PeerWorld(t).start("two");
  const { call, ended } = await openByHand(two);
  call.write(concat(encodeRequest(new Uint8Array(0), [toOutgoing(append(1))])));
  assert.equal(await reasonOf(ended), "PEER_UNKNOWN");
  assert.deepEqual(two.host.received, []);
});

test("a server without a cluster takes no messages", async (t) => {
  const two = await new PeerWorld(t).start("two", { clusterId: "" });
  const { call, ended } = await openByHand(two);
  call.write(greeting({ clusterId: "" }));
  assert.equal(await reasonOf(ended), "CLUSTER_NOT_FOUNDED");
});

test("a payload that was changed on its way ends the stream; what came before it stays", async (t) => {
  const two = await new PeerWorld(t).start("two");
  const { call, ended } = await openByHand(two);
  call.write(greeting());
  const good = concat(encodeRequest(new Uint8Array(0), [toOutgoing(append(1, Uint8Array.of(1)))]));
  const bad = good.slice();
  bad[bad.length - 1] = 2;
  call.write(good);
  call.write(bad);
  call.write(good);
  assert.equal(await reasonOf(ended), "MESSAGE_INVALID");
  assert.equal(two.host.received.length, 1);
});

test("a message longer than any may be ends the stream before it is gathered", async (t) => {
  const limits = { ...QUICK, requestBytesMax: MIB };
  const two = await new PeerWorld(t).start("two", { limits });
  const { call, ended } = await openByHand(two);
  call.write(greeting());
  call.write(Uint8Array.of(0, 255, 255, 255, 255));
  assert.equal(await reasonOf(ended), "REQUEST_TOO_LARGE");
});

// Goal: nothing a peer sends takes the server down. Method: send noise, then see that it serves.
test("noise on streams ends them, and the server serves others", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one");
  const two = await world.start("two");
  for (let round = 0; round < 40; round += 1) {
    const { call, ended } = await openByHand(two);
    if (round % 2 === 0) call.write(greeting());
    const noise = Uint8Array.from({ length: 60 }, (_, at) => (at * round * 7 + round) & 255);
    call.write(concat([Uint8Array.of(0, 0, 0, 0, noise.length), noise]));
    call.end();
    await ended;
  }
  one.network.send("two", heartbeat(5));
  await two.host.until(() => two.host.received.length > 0);
});

test("a second stream of a server ends its first", async (t) => {
  const two = await new PeerWorld(t).start("two");
  const first = await openByHand(two);
  first.call.write(greeting());
  first.call.write(concat(encodeRequest(new Uint8Array(0), [toOutgoing(append(1))])));
  await two.host.until(() => two.host.received.length === 1);
  const second = await openByHand(two);
  second.call.write(greeting());
  assert.equal(await reasonOf(first.ended), undefined, "in good order");
  second.call.write(concat(encodeRequest(new Uint8Array(0), [toOutgoing(append(2))])));
  await two.host.until(() => two.host.received.length === 2);
  second.call.destroy();
});

test("a second process with a server's id gets nothing through while the first is connected", async (t) => {
  const two = await new PeerWorld(t).start("two");
  two.host.answerJoin = async () => ({ clusterId: "cluster", clusterReplicaId: 7, members: [] });
  const first = await openByHand(two);
  first.call.write(greeting());
  first.call.write(concat(encodeRequest(new Uint8Array(0), [toOutgoing(append(1))])));
  await two.host.until(() => two.host.received.length === 1);
  const second = await openByHand(two);
  second.call.write(greeting({ processNonce: 2n }));
  second.call.write(concat(encodeRequest(new Uint8Array(0), [toOutgoing(append(2))])));
  assert.equal(await reasonOf(second.ended), "SERVER_ID_IN_USE");
  const world = new PeerWorld(t);
  const copy = await world.start("one");
  world.places.set("two", two.address);
  const said = { nodeId: "one", address: "elsewhere:1", zone: "", version: "", featureLevel: 1 };
  const request = { ...said, clusterId: "cluster", folderNonce: "00" };
  await assert.rejects(copy.network.peers.join(two.address, request), {
    reason: "SERVER_ID_IN_USE",
    metadata: { serverId: "one" },
  });
  await assert.rejects(copy.network.peers.propose("two", new Uint8Array(1)), {
    reason: "SERVER_ID_IN_USE",
  });
  assert.equal(copy.network.isUp("two"), undefined);
  await until(() => copy.network.isDisowned());
  assert.equal(two.host.received.length, 1);
  first.call.destroy();
  let answer: JoinAnswer | undefined;
  for (let tries = 0; answer === undefined && tries < 100; tries += 1) {
    answer = await copy.network.peers.join(two.address, request).catch(() => undefined);
    await soon();
  }
  assert.equal(answer?.clusterReplicaId, 7, "the first one has gone");
  await until(() => copy.network.isUp("two") === true);
  assert.equal(copy.network.isDisowned(), false);
});

test("a server takes no process in that says to be itself", async (t) => {
  const world = new PeerWorld(t);
  const original = await world.start("one");
  original.host.answerJoin = async () => ({
    ...{ clusterId: "cluster", clusterReplicaId: 7, members: [] },
  });
  const copy = await world.start("one");
  const said = { nodeId: "one", address: "elsewhere:1", zone: "", version: "", featureLevel: 1 };
  const request = { ...said, clusterId: "cluster", folderNonce: "00" };
  const joined = copy.network.peers.join(original.address, request);
  await assert.rejects(joined, { reason: "SERVER_ID_IN_USE" });
  await original.network.peers.join(original.address, request); // by the way of a seed
});

test("a server of another cluster at a peer's address is told, and gets nothing", async (t) => {
  const { lines, logger } = remember();
  const world = new PeerWorld(t);
  const one = await world.start("one", { logger });
  const two = await world.start("two", { clusterId: "another" });
  one.network.send("two", heartbeat());
  await one.host.until(() => one.host.lost.length > 0);
  assert.match(lines.join("\n"), /CLUSTER_FOREIGN/);
  assert.equal(one.network.isUp("two"), false);
  assert.deepEqual(two.host.received, []);
});

test("a peer that is gone and comes back on another port is found", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one");
  const two = await world.start("two");
  one.network.send("two", heartbeat(1));
  one.network.send("two", append(1, Uint8Array.of(1)));
  await two.host.until(() => two.host.received.length === 2);
  await two.listener.close(0);
  await one.host.until(() => one.host.lost.length > 0);
  const again = await world.start("two");
  assert.notEqual(again.address, two.address);
  while (!again.host.received.some(({ envelope }) => envelope.payloads !== undefined)) {
    one.network.send("two", append(2, Uint8Array.of(2)));
    await soon();
  }
  while (one.network.isUp("two") !== true) await soon();
});

test("nobody at a peer's address: what is sent is dropped, and the host is told each time", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one");
  const unused = await closedPort();
  world.places.set("two", `127.0.0.1:${unused}`);
  one.network.send("two", heartbeat());
  await one.host.until(() => one.host.lost.length >= 3);
  assert.equal(one.network.isUp("two"), false);
  assert.deepEqual(new Set(one.host.lost), new Set(["two"]));
});

test("a member that is removed is not dialled any more", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one");
  const two = await world.start("two");
  one.network.send("two", heartbeat());
  await two.host.until(() => two.host.received.length === 1);
  world.places.delete("two");
  while (two.listener.connectionCount > 0) await soon();
  assert.equal(one.network.send("two", heartbeat()), false);
  assert.deepEqual(one.host.lost, []);
});

test("a peer that takes connections and reads nothing costs no more than what may wait", async (t) => {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => sockets.push(socket.pause()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const world = new PeerWorld(t);
  const one = await world.start("one", { limits: { ...QUICK, dialTimeoutMs: 60_000 } });
  world.places.set("two", `127.0.0.1:${(server.address() as net.AddressInfo).port}`);
  assert.equal(floodUntilRefused(one), 16);
  const { heapUsed } = process.memoryUsage();
  for (let count = 0; count < 100_000; count += 1) one.network.send("two", append(1));
  await nextTurn();
  assert.ok(process.memoryUsage().heapUsed - heapUsed < 64 * MIB);
});

test("a peer that speaks and then reads nothing costs no more than what may wait", async (t) => {
  const world = new PeerWorld(t);
  const proxy = await openProxy(t);
  const one = await world.start("one", { limits: { ...QUICK, pingTimeoutMs: 60_000 } });
  const two = await world.start("two");
  proxy.target = two.listener.port;
  world.places.set("two", `127.0.0.1:${proxy.port}`);
  one.network.send("two", append(1, Uint8Array.of(1)));
  await two.host.until(() => two.host.received.length === 1);
  proxy.freeze();
  let sent = 0;
  for (let refused = 0; refused < 20; ) {
    if (one.network.send("two", append(1, new Uint8Array(MIB)))) sent += 1;
    else refused += 1;
    await nextTurn();
  }
  // What waits, what is under way, and one more.
  assert.ok(sent <= 16 + 4 + 1, `${sent}`);
});

test("a connection that carries nothing any more is found, though nobody closes it", async (t) => {
  const world = new PeerWorld(t);
  const proxy = await openProxy(t);
  const one = await world.start("one");
  const two = await world.start("two");
  proxy.target = two.listener.port;
  world.places.set("two", `127.0.0.1:${proxy.port}`);
  one.network.send("two", heartbeat(1));
  one.network.send("two", append(1));
  await two.host.until(() => two.host.received.length === 2);
  proxy.freeze();
  await one.host.until(() => one.host.lost.length >= 2);
  while (one.network.isUp("two") !== false) await soon();
  proxy.thaw();
  while (two.host.received.length < 3) {
    one.network.send("two", heartbeat(2));
    await soon();
  }
  while (one.network.isUp("two") !== true) await soon();
});

test("a peer that answers nonsense is given up", async (t) => {
  const { lines, logger } = remember();
  const world = new PeerWorld(t);
  const one = await world.start("one", { logger });
  const liar = await openLiar(t);
  world.places.set("two", `127.0.0.1:${liar}`);
  one.network.send("two", heartbeat());
  await one.host.until(() => one.host.lost.length > 1);
  assert.match(lines.join("\n"), /PROTOCOL_UNKNOWN|MESSAGE_INVALID/);
});

test("a network that is closed sends and takes nothing", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one");
  const two = await world.start("two");
  one.network.send("two", heartbeat());
  two.network.send("one", heartbeat());
  await two.host.until(() => two.host.received.length === 1);
  await one.host.until(() => one.host.received.length === 1);
  await one.network.close();
  assert.equal(one.network.send("two", heartbeat()), false);
  while (one.listener.connectionCount > 0 || two.listener.connectionCount > 0) await soon();
  await two.host.until(() => two.host.lost.length > 0);
});

/** @returns how many payloads of a MiB were taken */
function floodUntilRefused(node: TestNode): number {
  let taken = 0;
  while (node.network.send("two", append(1, new Uint8Array(MIB - 200)))) taken += 1;
  return taken;
}

function remember(): { readonly lines: string[]; readonly logger: Logger } {
  const lines: string[] = [];
  const note: Logger["info"] = (message, fields = {}) => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { lines, logger: { debug: note, info: note, warn: note, error: note } };
}

async function closedPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Proxy {
  readonly port: number;
  target: number;
  /** Connections stay open, and nothing goes through them. */
  freeze(): void;
  /** New connections are carried again. */
  thaw(): void;
}

async function openProxy(t: TestContext): Promise<Proxy> {
  const pairs: (readonly [net.Socket, net.Socket])[] = [];
  let isFrozen = false;
  const server = net.createServer((near) => {
    near.on("error", () => {});
    if (isFrozen) return;
    const far = net.connect(proxy.target, "127.0.0.1");
    far.on("error", () => {});
    near.pipe(far);
    far.pipe(near);
    pairs.push([near, far]);
  });
  const proxy = {
    port: 0,
    target: 0,
    freeze() {
      isFrozen = true;
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near);
        near.pause();
        far.pause();
      }
    },
    thaw() {
      isFrozen = false;
    },
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy.port = (server.address() as net.AddressInfo).port;
  t.after(() => {
    for (const sockets of pairs) for (const socket of sockets) socket.destroy();
    server.close();
  });
  return proxy;
}

/** Answers every call with a message that is none. */
async function openLiar(t: TestContext): Promise<number> {
  const listener = await openPort(t, () => {}, {
    onStream(stream) {
      stream.respond({ ":status": 200, "content-type": "application/grpc+proto" });
      stream.write(Uint8Array.of(0, 0, 0, 0, 3, 0x08, 0xff, 0xff));
      stream.on("data", () => {});
      return true;
    },
  });
  return listener.port;
}
