import assert from "node:assert/strict";
import { test } from "node:test";
import { Gifts } from "../../src/cluster/gifts.ts";

test("what comes back is given again after a minute, then later and later", () => {
  const gifts = new Gifts();
  assert.equal(gifts.mayGive(2, "a", 0), true);
  assert.equal(gifts.mayGive(2, "a", 59_999), false);
  assert.equal(gifts.mayGive(3, "a", 0), true, "another topic");
  assert.equal(gifts.mayGive(2, "a", 60_000), true);
  assert.equal(gifts.mayGive(2, "a", 179_999), false);
  assert.equal(gifts.mayGive(2, "a", 180_000), true);
  let nowMs = 180_000;
  for (const waitMs of [240_000, 480_000, 900_000, 900_000]) {
    assert.equal(gifts.mayGive(2, "a", nowMs + waitMs - 1), false);
    nowMs += waitMs;
    assert.equal(gifts.mayGive(2, "a", nowMs), true);
  }
});

test("another server is given it at once", () => {
  const gifts = new Gifts();
  assert.equal(gifts.mayGive(2, "a", 0), true);
  assert.equal(gifts.mayGive(2, "b", 10_000), true);
  assert.equal(gifts.mayGive(2, "b", 20_000), false);
});
