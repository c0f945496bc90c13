import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { crc32 } from "../../src/platform/crc32.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { SystemRandom } from "../../src/platform/system-random.ts";

test("crc32() gives the check value of the standard", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});

test("crc32() goes on where another one ended", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (first, second) => {
      assert.equal(crc32(second, crc32(first)), crc32(concat([first, second])));
    }),
  );
});

test("crc32() reads a view, not all of its memory", () => {
  const around = new TextEncoder().encode("..123456789..");
  assert.equal(crc32(around.subarray(2, 11)), 0xcbf43926);
});

test("a cancelled timer does not fire, also one that is longer than a timer can be", async () => {
  const clock = new SystemClock();
  const fired: string[] = [];
  clock.schedule(0, () => fired.push("cancelled"))();
  const cancel = clock.schedule(2 ** 40, () => fired.push("at once"));
  await new Promise<void>((resolve) => {
    clock.schedule(2, resolve);
  });
  cancel();
  cancel();
  assert.deepEqual(fired, []);
});

test("a timer longer than the platform's runs in several steps and can be cancelled in each", (t) => {
  const longest = 2 ** 31 - 1;
  let pending: (() => void) | undefined;
  const delays: number[] = [];
  t.mock.method(globalThis, "setTimeout", (callback: () => void, delayMs: number) => {
    pending = callback;
    delays.push(delayMs);
    return { callback };
  });
  t.mock.method(globalThis, "clearTimeout", (timer: { callback: () => void }) => {
    if (pending === timer.callback) pending = undefined;
  });
  const clock = new SystemClock();
  let fired = 0;
  const fire = () => {
    fired += 1;
  };
  const start = () => clock.schedule(2 * longest + 7, fire);
  start();
  for (let step = 0; step < 3; step += 1) {
    assert.equal(fired, 0);
    pending?.();
  }
  assert.equal(fired, 1);
  assert.deepEqual(delays, [longest, longest, 7]);
  const cancel = start();
  pending?.();
  cancel();
  assert.equal(pending, undefined);
});

test("a timer fires once, not before its time", async () => {
  const clock = new SystemClock();
  const startMs = clock.monotonicMs();
  let count = 0;
  await new Promise<void>((resolve) => {
    clock.schedule(-5, () => {
      count += 1;
    });
    clock.schedule(20, resolve);
  });
  assert.equal(count, 1);
  // Timers are cut to whole milliseconds.
  assert.ok(clock.monotonicMs() - startMs >= 19);
});

test("the clocks give integers of microseconds near the system's time, and never go back", () => {
  const clock = new SystemClock();
  let lastMs = clock.monotonicMs();
  let lastUs = clock.wallUs();
  for (let count = 0; count < 10_000; count += 1) {
    const systemUs = Date.now() * 1000;
    const us = clock.wallUs();
    assert.ok(Number.isSafeInteger(us));
    assert.ok(us > systemUs - 2000, `${us} is long before ${systemUs}`);
    assert.ok(us < Date.now() * 1000 + 3000);
    assert.ok(us >= lastUs - 2000);
    lastUs = us;
    const ms = clock.monotonicMs();
    assert.ok(ms >= lastMs);
    lastMs = ms;
  }
});

test("the wall clock follows when the system's is set", (t) => {
  const clock = new SystemClock();
  clock.wallUs();
  const anHourMs = 3_600_000;
  const wall = Date.now() + anHourMs;
  t.mock.method(Date, "now", () => wall);
  assert.equal(clock.wallUs(), wall * 1000);
  const back = wall - 2 * anHourMs;
  t.mock.method(Date, "now", () => back);
  assert.equal(clock.wallUs(), back * 1000);
});

test("SystemRandom gives safe integers over the whole range, and as many bytes as asked", () => {
  const random = new SystemRandom();
  const numbers = Array.from({ length: 1000 }, () => random.safeInteger());
  assert.ok(numbers.every((number) => Number.isSafeInteger(number) && number >= 0));
  assert.ok(new Set(numbers).size === 1000);
  // Each half has one of a thousand with a chance beyond doubt.
  assert.ok(numbers.some((number) => number >= 2 ** 52));
  assert.ok(numbers.some((number) => number < 2 ** 52));
  for (const count of [0, 1, 8, 1000]) {
    const made = random.bytes(count);
    assert.equal(made.length, count);
    assert.equal(made.buffer.byteLength, count);
  }
  assert.notDeepEqual(random.bytes(16), random.bytes(16));
});
