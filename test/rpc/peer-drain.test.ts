import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { KIB, MIB } from "../../src/base/units.ts";
import { append, heartbeat, PeerWorld } from "./peer-world.ts";

// A server that stops hands its leaderships over meanwhile: its streams, and those to it, must live on.
test("streams between servers outlive the stop of the port, until the network is closed", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one");
  const two = await world.start("two");
  one.network.send("two", heartbeat(1));
  one.network.send("two", append(1, Uint8Array.of(1)));
  two.network.send("one", heartbeat(1));
  await two.host.until(() => two.host.received.length === 2);
  await one.host.until(() => one.host.received.length === 1);
  let isClosed = false;
  const closed = two.listener.close(30_000).then(() => {
    isClosed = true;
  });
  for (let index = 2; index < 12; index += 1) {
    one.network.send("two", heartbeat(index));
    one.network.send("two", append(index, new Uint8Array(300 * KIB)));
    two.network.send("one", heartbeat(index));
    await two.host.until(() => two.host.received.length === 2 * index);
    await one.host.until(() => one.host.received.length === index);
  }
  assert.equal(isClosed, false);
  assert.deepEqual([...one.host.lost, ...two.host.lost], []);
  await two.network.close();
  await closed;
  await one.host.until(() => one.host.lost.length > 0);
});

test("calls of clients do not keep servers from speaking: they count apart", async (t) => {
  const world = new PeerWorld(t);
  const callLimits = { callsMax: 0, streamsMax: 0, bodyBytesMax: 0 };
  const one = await world.start("one", { callLimits });
  const two = await world.start("two", { callLimits });
  one.network.send("two", append(1, new Uint8Array(MIB)));
  await two.host.until(() => two.host.received.length === 1);
});

test("servers speak when the lean path is off for clients", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one", { lean: false });
  const two = await world.start("two", { lean: false });
  one.network.send("two", append(1, Uint8Array.of(1)));
  await two.host.until(() => two.host.received.length === 1);
  await assert.rejects(one.network.peers.propose("two", Uint8Array.of(1)));
});

test("more calls of servers than there may be are refused, and tried again", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one");
  const two = await world.start("two", { callLimits: { peerCallsMax: 1 } });
  one.network.send("two", heartbeat());
  await two.host.until(() => two.host.received.length === 1);
  await assert.rejects(
    one.network.peers.propose("two", Uint8Array.of(1)),
    (thrown) => thrown instanceof ProglogError && thrown.reason === "RATE_LIMITED",
  );
  one.network.send("two", append(1));
  await one.host.until(() => one.host.lost.length > 1);
  assert.equal(two.host.received.length, 1);
});
