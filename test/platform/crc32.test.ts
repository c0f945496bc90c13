import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { viewOf, writeU64 } from "../../src/base/bytes.ts";
import { crc32, crc32OfPair, crc32OfU64, crc32Range } from "../../src/platform/crc32.ts";
import { crc32Shift } from "../../src/platform/crc32-shift.ts";

const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });

// Both ways of it, by tables and built in: which one is taken depends on the length and on the runtime.
test("crc32Range() is crc32() of that range, of every length", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400, size: "max" }),
      fc.nat(40),
      seed,
      (bytes, skip, start) => {
        const end = Math.max(skip, bytes.length - skip);
        const wanted = crc32(bytes.subarray(skip, end), start);
        if (end <= bytes.length) assert.equal(crc32Range(bytes, skip, end, start), wanted);
      },
    ),
  );
  const bytes = Uint8Array.from({ length: 600 }, (_, at) => at * 7 + (at >> 8));
  for (let length = 0; length <= 600; length += 1) {
    assert.equal(crc32Range(bytes, 0, length), crc32(bytes.subarray(0, length)), `${length} bytes`);
  }
});

test("crc32OfU64() is crc32() of the number's eight bytes", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), seed, (value, start) => {
      const bytes = new Uint8Array(8);
      writeU64(viewOf(bytes), 0, value);
      assert.equal(crc32OfU64(value, start), crc32(bytes, start));
    }),
  );
});

test("crc32OfPair() is crc32() of two numbers with four zeros between them", () => {
  const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  fc.assert(
    fc.property(word, word, seed, (first, second, start) => {
      const view = new DataView(new ArrayBuffer(12));
      view.setUint32(0, first, true);
      view.setUint32(8, second, true);
      const wanted = crc32(new Uint8Array(view.buffer), start);
      assert.equal(crc32OfPair(first, second, start), wanted);
      assert.equal(crc32OfPair(first | 0, second | 0, start | 0), wanted);
    }),
  );
});

test("crc32Shift() makes the checksum of joined bytes out of those of the parts", () => {
  const bytes = fc.uint8Array({ maxLength: 5000, size: "max" });
  fc.assert(
    fc.property(bytes, bytes, (first, second) => {
      const joined = crc32(second, crc32(first));
      assert.equal((crc32Shift(crc32(first), second.length) ^ crc32(second)) >>> 0, joined);
    }),
  );
  const long = new Uint8Array(2 ** 21 + 77);
  assert.equal(
    (crc32Shift(crc32(long), long.length) ^ crc32(long)) >>> 0,
    crc32(long, crc32(long)),
  );
  assert.throws(() => crc32Shift(1, 2 ** 28), RangeError);
});
