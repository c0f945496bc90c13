import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { bytesEqual } from "../../src/base/bytes.ts";
import { KIB, MIB } from "../../src/base/units.ts";
import { messageIndex } from "../../src/raft/core-messages.ts";
import { append, heartbeat, PeerWorld, QUICK, type TestNode } from "./peer-world.ts";

async function pair(t: TestContext): Promise<readonly [TestNode, TestNode]> {
  const world = new PeerWorld(t);
  return [await world.start("one"), await world.start("two")];
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("a peer that nobody had anything to say to is looked at by who asks", async (t) => {
  const [one] = await pair(t);
  assert.equal(one.network.isUp("two"), undefined);
  while (one.network.isUp("two") !== true) await nextTurn();
});

test("a node is up for itself, and does not dial itself", async (t) => {
  const [one] = await pair(t);
  one.host.admits = () => assert.fail("it has greeted itself");
  assert.equal(one.network.isUp("one"), true);
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  assert.equal(one.network.lastHeardMs("one"), undefined);
});

test("messages come in the order in which they were sent, of each stream", async (t) => {
  const [one, two] = await pair(t);
  const count = 2_000;
  for (let index = 0; index < count; index += 1) {
    assert.ok(one.network.send("two", heartbeat(index)));
    assert.ok(one.network.send("two", append(index, Uint8Array.of(index))));
    if (index % 100 === 0) await nextTurn();
  }
  await two.host.until(() => two.host.received.length === 2 * count);
  const indexes = (hasPayloads: boolean) =>
    two.host.received
      .filter(({ envelope }) => (envelope.payloads !== undefined) === hasPayloads)
      .map(({ envelope }) => messageIndex(envelope.message));
  const wanted = Array.from({ length: count }, (_, index) => index);
  assert.deepEqual(indexes(false), wanted);
  assert.deepEqual(indexes(true), wanted);
  assert.ok(two.host.received.every(({ from }) => from === "one"));
});

test("an append without entries does not overtake those with entries before it", async (t) => {
  const [one, two] = await pair(t);
  one.network.send("two", append(1, new Uint8Array(3 * MIB)));
  one.network.send("two", append(2));
  one.network.send("two", append(3, new Uint8Array(MIB)));
  await two.host.until(() => two.host.received.length === 3);
  const indexes = two.host.received.map(({ envelope }) => messageIndex(envelope.message));
  assert.deepEqual(indexes, [1, 2, 3]);
});

test("payloads come byte for byte, from none to 5 MiB", async (t) => {
  const [one, two] = await pair(t);
  const size = fc.oneof(
    fc.nat(2 * KIB),
    fc.integer({ min: 16 * KIB - 2, max: 16 * KIB + 2 }),
    fc.nat(300 * KIB),
    fc.nat(5 * MIB),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(size, { minLength: 1, maxLength: 6 }),
      fc.nat(),
      async (sizes, seed) => {
        two.host.received.length = 0;
        const sent = sizes.map((length, number) => patterned(length, seed + number));
        // One by itself, and then all of them in one message.
        for (const payload of sent) await sendAll(one, append(1, payload));
        await sendAll(one, append(2, ...sent));
        await two.host.until(() => two.host.received.length === sent.length + 1);
        const came = two.host.received.map(({ envelope }) => envelope.payloads ?? []);
        for (const [number, payload] of sent.entries()) {
          assert.ok(
            bytesEqual(came[number]?.[0] ?? new Uint8Array(0), payload),
            `${payload.length}`,
          );
          assert.ok(bytesEqual(came[sent.length]?.[number] ?? new Uint8Array(0), payload));
        }
      },
    ),
    { numRuns: 25 },
  );
});

test("a leader's last heartbeat before it rests says so", async (t) => {
  const [one, two] = await pair(t);
  one.network.send("two", { ...heartbeat(1), isQuiesce: true });
  one.network.send("two", heartbeat(2));
  await two.host.until(() => two.host.received.length === 2);
  assert.deepEqual(
    two.host.received.map(({ envelope }) => envelope.isQuiesce),
    [true, undefined],
  );
});

test("a flood of small messages comes whole, and what the queue does not take is told", async (t) => {
  const [one, two] = await pair(t);
  let sent = 0;
  for (let index = 0; sent < 40_000; index += 1) {
    if (one.network.send("two", heartbeat(index))) sent += 1;
    else await nextTurn();
  }
  await two.host.until(() => two.host.received.length === sent);
  let last = -1;
  for (const { envelope } of two.host.received) {
    const index = messageIndex(envelope.message);
    assert.ok(index > last);
    last = index;
  }
});

test("a large batch under way does not hold a heartbeat up", async (t) => {
  const [one, two] = await pair(t);
  one.network.send("two", heartbeat(0));
  one.network.send("two", append(0, Uint8Array.of(1)));
  await two.host.until(() => two.host.received.length === 2);
  for (let index = 0; index < 3; index += 1) {
    one.network.send("two", append(index, new Uint8Array(4 * MIB)));
  }
  one.network.send("two", heartbeat(9));
  await two.host.until(() => two.host.received.length === 6);
  const order = two.host.received.slice(2).map(({ envelope }) => envelope.payloads !== undefined);
  assert.ok(order.indexOf(false) <= 1, `the heartbeat was number ${order.indexOf(false)}`);
});

test("who is not at home is told back, and the stream goes on", async (t) => {
  const lines: string[] = [];
  const world = new PeerWorld(t);
  const one = await world.start("one", {
    logger: {
      debug: (message, fields) => lines.push(`${message} ${fields?.["replicaId"]}`),
      info() {},
      warn() {},
      error() {},
    },
  });
  const two = await world.start("two");
  two.host.has = ({ toReplica }) => toReplica !== 77;
  one.network.send("two", { ...heartbeat(), toReplica: 77 });
  one.network.send("two", heartbeat());
  await two.host.until(() => two.host.received.length === 1);
  while (lines.length === 0) await nextTurn();
  assert.deepEqual(lines, ["A peer does not have a replica 77"]);
});

test("nothing is sent to who is no member, and nothing by who has no cluster", async (t) => {
  const [one, two] = await pair(t);
  assert.equal(one.network.send("three", heartbeat()), false);
  assert.equal(one.network.isUp("three"), undefined);
  one.host.clusterId = "";
  assert.equal(one.network.send("two", heartbeat()), false);
  assert.equal(two.host.received.length, 0);
});

test("health and clock of a peer are known when something came of it", async (t) => {
  const [one, two] = await pair(t);
  assert.equal(one.network.isUp("two"), undefined);
  one.network.send("two", heartbeat());
  await two.host.until(() => two.host.received.length === 1);
  while (one.network.clockOffsetUs("two") === undefined) await nextTurn();
  assert.equal(one.network.isUp("two"), true);
  assert.notEqual(one.network.lastHeardMs("two"), undefined);
  assert.ok(Math.abs(one.network.clockOffsetUs("two") ?? 1e9) < 1e6);
});

test("a peer that is idle stays up: it answers when it is asked", async (t) => {
  const [one, two] = await pair(t);
  one.network.send("two", heartbeat());
  one.network.send("two", append(1));
  await two.host.until(() => two.host.received.length === 2);
  while (one.network.lastHeardMs("two") === undefined) await nextTurn();
  const heardMs = one.network.lastHeardMs("two") ?? 0;
  const { pingIntervalMs = 0, pingTimeoutMs = 0 } = QUICK;
  // Longer than a silent peer would be borne.
  while ((one.network.lastHeardMs("two") ?? 0) < heardMs + 2 * (pingIntervalMs + pingTimeoutMs)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(one.network.isUp("two"), true);
  assert.deepEqual(one.host.lost, []);
});

async function sendAll(node: TestNode, envelope: ReturnType<typeof append>): Promise<void> {
  while (!node.network.send("two", envelope)) await nextTurn();
}

function patterned(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (at * 31 + seed + (at >>> 8)) & 255;
  return bytes;
}
