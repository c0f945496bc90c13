import assert from "node:assert/strict";
import { test } from "node:test";
import { isClockFar } from "../../src/cluster/clock-check.ts";

const HOUR_US = 3_600_000_000;

test("a clock is far when most peers say so, and never when there is none", () => {
  assert.equal(isClockFar([]), false);
  assert.equal(isClockFar([1_000, -2_000_000]), false);
  assert.equal(isClockFar([HOUR_US, 10]), false);
  assert.equal(isClockFar([-HOUR_US, HOUR_US]), true);
  assert.equal(isClockFar([HOUR_US]), true);
});
