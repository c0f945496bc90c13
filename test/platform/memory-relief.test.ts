import assert from "node:assert/strict";
import { test } from "node:test";
import { MIB } from "../../src/base/units.ts";
import { MemoryRelief } from "../../src/platform/memory-relief.ts";
import { SimClock } from "../support/sim-clock.ts";

/** A process whose memory the test sets; a collection leaves `needed`. */
function fakeProcess() {
  const memory = { rss: 60 * MIB, needed: 60 * MIB, collections: 0, waited: 0 };
  const source = {
    rssBytes: () => memory.rss,
    collect: (waits: boolean) => {
      memory.collections += 1;
      if (waits) memory.waited += 1;
      memory.rss = memory.needed;
    },
  };
  return { memory, source };
}

test("a process that grows is collected, and one that does not is left alone", async () => {
  const clock = new SimClock();
  const { memory, source } = fakeProcess();
  const relief = new MemoryRelief(clock, source);
  relief.start();
  await clock.advance(10_000);
  assert.equal(memory.collections, 0);
  memory.rss += 30 * MIB;
  await clock.advance(10_000);
  assert.equal(memory.collections, 0, "little garbage is not worth a collection");
  memory.rss += 30 * MIB;
  await clock.advance(1_000);
  assert.equal(memory.collections, 1);
  assert.equal(memory.waited, 0, "everybody else goes on");
  assert.equal(memory.rss, memory.needed);
  relief.stop();
});

test("what is needed is not collected again and again, and what is given back is noticed", async () => {
  const clock = new SimClock();
  const { memory, source } = fakeProcess();
  const relief = new MemoryRelief(clock, source);
  relief.start();
  memory.needed = 500 * MIB;
  memory.rss = 500 * MIB;
  await clock.advance(60_000);
  assert.equal(memory.collections, 1, "all of it is needed");
  memory.needed = 80 * MIB;
  memory.rss = 80 * MIB;
  await clock.advance(1_000);
  memory.rss = 200 * MIB;
  await clock.advance(1_000);
  assert.equal(memory.collections, 2, "it had shrunk, and grew anew");
  relief.stop();
});

test("nothing is left behind when it stops, or where the runtime collects by itself", async () => {
  const clock = new SimClock();
  const { source } = fakeProcess();
  const relief = new MemoryRelief(clock, source);
  relief.start();
  relief.start();
  assert.equal(clock.timerCount, 1);
  relief.stop();
  assert.equal(clock.timerCount, 0);
  new MemoryRelief(clock, { rssBytes: source.rssBytes, collect: undefined }).start();
  assert.equal(clock.timerCount, 0);
});

test("when garbage comes faster than it goes, a collection is waited for", async () => {
  const clock = new SimClock();
  const { memory, source } = fakeProcess();
  const relief = new MemoryRelief(clock, {
    ...source,
    collect: (waits) => {
      const { rss } = memory;
      source.collect(waits);
      if (!waits) memory.rss = rss; // it has not come to it yet
    },
  });
  relief.start();
  for (let mib = 0; mib < 250; mib += 5) {
    memory.rss += 5 * MIB;
    await clock.advance(100);
  }
  assert.equal(memory.waited, 2);
  assert.ok(memory.rss < 200 * MIB, `${memory.rss}`);
  assert.equal(memory.collections, 2 + 5);
  relief.stop();
});
