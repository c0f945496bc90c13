import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerProcesses } from "../../src/rpc/peer/peer-processes.ts";
import { SimClock, SimLifeClock } from "../support/sim-clock.ts";

const FRESH_MS = 1_500;
const IN_USE = { reason: "SERVER_ID_IN_USE", metadata: { serverId: "a" } };

function setUp() {
  const world = new SimClock();
  const processes = new PeerProcesses(new SimLifeClock(world, { offsetUs: 0 }), FRESH_MS);
  return { world, processes };
}

test("a second process of a server is refused while the first one is there", async () => {
  const { world, processes } = setUp();
  const first = processes.entered("a", 1n);
  const again = processes.entered("a", 1n);
  assert.equal(again, first, "it has two streams");
  assert.throws(() => processes.entered("a", 2n), IN_USE);
  assert.throws(() => processes.check("a", 2n), IN_USE);
  processes.check("a", 1n);
  processes.check("b", 2n);
  await world.advance(FRESH_MS - 1);
  processes.heard("a", first);
  await world.advance(FRESH_MS);
  assert.throws(() => processes.entered("a", 2n), IN_USE);
});

test("what takes the place of a process that ended is let in at once", () => {
  const { processes } = setUp();
  const first = processes.entered("a", 1n);
  processes.entered("a", 1n);
  processes.left("a", first);
  assert.throws(() => processes.entered("a", 2n), IN_USE, "one of its streams is open");
  processes.left("a", first);
  processes.check("a", 2n);
  processes.entered("a", 2n);
});

test("a process that went without a word is replaced, and takes its place back from nobody", async () => {
  const { world, processes } = setUp();
  const first = processes.entered("a", 1n);
  await world.advance(FRESH_MS + 1);
  processes.check("a", 2n);
  const second = processes.entered("a", 2n);
  assert.throws(() => processes.heard("a", first), IN_USE);
  processes.left("a", first);
  processes.heard("a", second);
  assert.throws(() => processes.entered("a", 1n), IN_USE);
  processes.left("a", second);
  processes.entered("a", 1n);
});
