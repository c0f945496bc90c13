import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerProcesses } from "../../src/rpc/peer/peer-processes.ts";
import { SimClock, SimLifeClock } from "../support/sim-clock.ts";

const SILENT_MS = 3_000;
const DOUBT_MS = 500;
const IN_USE = { reason: "SERVER_ID_IN_USE", metadata: { serverId: "a" } };

function setUp() {
  const world = new SimClock();
  const clock = new SimLifeClock(world, { offsetUs: 0 });
  return {
    world,
    processes: new PeerProcesses({ clock, silentMs: SILENT_MS, doubtMs: DOUBT_MS }),
  };
}

test("a second process of a server is refused while the first one is there", async () => {
  const { world, processes } = setUp();
  const first = processes.entered("a", 1n);
  processes.entered("a", 1n);
  assert.throws(() => processes.entered("a", 2n), IN_USE);
  assert.throws(() => processes.check("a", 2n), IN_USE);
  processes.check("a", 1n);
  processes.check("b", 2n);
  await world.advance(SILENT_MS - 1);
  first.heard();
  await world.advance(SILENT_MS);
  assert.throws(() => processes.entered("a", 2n), IN_USE);
});

test("what takes the place of a process that ended is let in at once", () => {
  const { processes } = setUp();
  const streams = [processes.entered("a", 1n), processes.entered("a", 1n)];
  streams[0]?.left();
  assert.throws(() => processes.entered("a", 2n), IN_USE, "one of its streams is open");
  streams[1]?.left();
  processes.check("a", 2n);
  processes.entered("a", 2n);
});

test("a process that went without a word is replaced, and takes its place back from nobody", async () => {
  const { world, processes } = setUp();
  const first = processes.entered("a", 1n);
  await world.advance(SILENT_MS + 1);
  assert.throws(() => processes.check("a", 2n), IN_USE);
  await world.advance(DOUBT_MS);
  const second = processes.entered("a", 2n);
  assert.throws(() => first.heard(), IN_USE);
  first.left();
  second.heard();
  assert.throws(() => processes.entered("a", 1n), IN_USE);
  second.left();
  processes.entered("a", 1n);
});

test("a process whose words lay unread, since this one stood still, keeps its place", async () => {
  const { world, processes } = setUp();
  const first = processes.entered("a", 1n);
  await world.advance(10 * SILENT_MS);
  assert.throws(() => processes.entered("a", 2n), IN_USE);
  first.heard();
  await world.advance(DOUBT_MS);
  assert.throws(() => processes.entered("a", 2n), IN_USE);
});
