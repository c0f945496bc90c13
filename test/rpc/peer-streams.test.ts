import assert from "node:assert/strict";
import { test } from "node:test";
import { messageIndex } from "../../src/raft/core-messages.ts";
import { append, heartbeat, PeerWorld } from "./peer-world.ts";

test("messages come in the order in which they were sent, of each stream", async (t) => {
  const world = new PeerWorld(t);
  const one = await world.start("one");
  const two = await world.start("two");
  const count = 2_000;
  for (let index = 0; index < count; index += 1) {
    assert.ok(one.network.send("two", heartbeat(index)));
    assert.ok(one.network.send("two", append(index, Uint8Array.of(index))));
    if (index % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
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
