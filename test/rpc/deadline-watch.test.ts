import assert from "node:assert/strict";
import { test } from "node:test";
import { type Deadlined, DeadlineWatch } from "../../src/rpc/deadline-watch.ts";
import { SimClock } from "../support/sim-clock.ts";

class Ended implements Deadlined {
  readonly dueMs: number;
  readonly #clock: SimClock;
  atMs: number | undefined;

  constructor(dueMs: number, clock: SimClock) {
    this.dueMs = dueMs;
    this.#clock = clock;
  }

  expire(): void {
    assert.equal(this.atMs, undefined, "expired twice");
    this.atMs = this.#clock.monotonicMs();
  }
}

function setUp(...dueMs: readonly number[]) {
  const clock = new SimClock();
  const watch = new DeadlineWatch(clock);
  const calls = dueMs.map((due) => new Ended(due, clock));
  for (const call of calls) watch.watch(call);
  return { clock, watch, calls };
}

test("deadlines come when they should or up to 2 ms later, never before", async () => {
  const dues = [7_000, 3, 100.25, 100.5, 101, 102.25, 499.9, 500, 500.1, 1_000, 2.5, 3, 1];
  const { clock, calls } = setUp(...dues);
  await clock.advance(10_000);
  for (const { dueMs, atMs = Number.NaN } of calls) {
    assert.ok(atMs >= dueMs && atMs <= dueMs + 2, `${dueMs} came at ${atMs}`);
  }
});

test("an earlier deadline that comes later is not kept waiting", async () => {
  const { clock, watch, calls } = setUp(5_000);
  await clock.advance(3);
  const soon = new Ended(10, clock);
  watch.watch(soon);
  await clock.advance(7);
  assert.deepEqual([soon.atMs, calls[0]?.atMs], [10, undefined]);
});

test("who has left is not told, and when all have left no timer stays", async () => {
  const { clock, watch, calls } = setUp(20, 30);
  const [gone, kept] = calls;
  if (gone !== undefined) watch.leave(gone);
  await clock.advance(1_000);
  assert.deepEqual([gone?.atMs, kept?.atMs, clock.timerCount], [undefined, 30, 0]);
});

test("however many calls there are, there is one timer, and short calls make none", async () => {
  const { clock, watch } = setUp(...Array.from({ length: 1_000 }, (_, at) => 10_000 + at));
  assert.equal(clock.timerCount, 1);
  let scheduled = 0;
  const schedule = clock.schedule.bind(clock);
  clock.schedule = (delayMs, callback) => {
    scheduled += 1;
    return schedule(delayMs, callback);
  };
  for (let at = 0; at < 1_000; at += 1) {
    const call = new Ended(clock.monotonicMs() + 10_000, clock);
    watch.watch(call);
    watch.leave(call);
  }
  assert.equal(scheduled, 0);
});

test("a call that begins while others expire is watched as well", async () => {
  const { clock, watch } = setUp();
  const next = new Ended(20, clock);
  watch.watch({ dueMs: 10, expire: () => watch.watch(next) });
  await clock.advance(100);
  assert.equal(next.atMs, 20);
});
