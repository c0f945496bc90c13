import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GIB, KIB, MIB, toOffset, toPosition } from "../../src/base/units.ts";

test("toOffset() and toPosition() refuse what is no safe integer of 0 or more", () => {
  const wrong = [-1, -0.5, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY];
  for (const value of wrong) {
    assert.throws(() => toOffset(value), new RangeError(message(value, "an offset")));
    assert.throws(() => toPosition(value), new RangeError(message(value, "a position")));
  }
  assert.throws(() => toOffset("1" as never), RangeError);
});

test("toOffset() and toPosition() give safe integers back as they are", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      assert.equal(toOffset(value), value);
      assert.equal(toPosition(value), value);
    }),
  );
  assert.equal(toOffset(0), 0);
  assert.equal(toOffset(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
  assert.equal(toPosition(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
});

test("sizes are powers of two", () => {
  assert.deepEqual([KIB, MIB, GIB], [1024, 1024 ** 2, 1024 ** 3]);
});

function message(value: number, what: string): string {
  return `Cannot use ${value} as ${what}: must be an integer from 0 to 2^53-1`;
}
