import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { InvariantError } from "../../src/base/assert.ts";
import {
  ByteReader,
  ByteWriter,
  bytesEqual,
  concat,
  EMPTY_BYTES,
  MalformedBytesError,
  readU64,
  readVarint,
  VARINT_BYTES_MAX,
  type Varint,
  varintSize,
  viewOf,
  writeU64,
  writeVarint,
} from "../../src/base/bytes.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** Where the number of bytes or of halves changes, and the neighbours. */
const EDGES = [7, 14, 21, 28, 31, 32, 35, 42, 49, 53]
  .flatMap((bits) => [2 ** bits - 1, 2 ** bits, 2 ** bits + 1])
  .concat([0, 1, 127, 128])
  .filter((value) => value <= MAX);

const safeIntegers = fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.constantFrom(...EDGES));

describe("varints", () => {
  test("readVarint() finds none in bytes that are empty, cut or too long", () => {
    const cases = [[], [0x80], [0xff, 0xff], new Array<number>(20).fill(0x80)];
    for (const given of cases) assert.deepEqual(decode(given), { value: 0, next: -1 });
    // The ninth byte would begin bit 56.
    assert.deepEqual(decode([128, 128, 128, 128, 128, 128, 128, 128, 0]), { value: 0, next: -1 });
    assert.deepEqual(decode([128, 128, 128, 128, 128, 128, 128, 0]), { value: 0, next: 8 });
  });

  test("readVarint() takes 2^53-1 and nothing above it", () => {
    assert.deepEqual(decode([255, 255, 255, 255, 255, 255, 255, 15]), { value: MAX, next: 8 });
    assert.equal(decode([128, 128, 128, 128, 128, 128, 128, 16]).next, -1);
    assert.equal(decode([129, 128, 128, 128, 128, 128, 128, 16]).next, -1);
    assert.equal(decode([255, 255, 255, 255, 255, 255, 255, 127]).next, -1);
  });

  test("readVarint() forgets what it found before", () => {
    const result: Varint = { value: 5, next: 6 };
    readVarint(new Uint8Array([0x80]), 0, result);
    assert.equal(result.next, -1);
    readVarint(new Uint8Array([3]), 1, result);
    assert.equal(result.next, -1);
  });

  test("every safe integer comes back, and takes the bytes that varintSize() says", () => {
    const check = (value: number) => {
      const target = new Uint8Array(VARINT_BYTES_MAX + 2).fill(0xee);
      const next = writeVarint(target, 1, value);
      assert.equal(next, 1 + varintSize(value));
      assert.ok(varintSize(value) <= VARINT_BYTES_MAX);
      assert.ok(target.subarray(next).every((byte) => byte === 0xee));
      const result: Varint = { value: -1, next: -1 };
      readVarint(target, 1, result);
      assert.deepEqual(result, { value, next });
      assert.equal(decode([...target.subarray(1, next - 1)]).next, -1);
    };
    for (const value of EDGES) check(value);
    fc.assert(fc.property(safeIntegers, check));
  });

  // The dumb twin: protobuf's definition, by big integers.
  test("the bytes are protobuf's", () => {
    fc.assert(
      fc.property(safeIntegers, (value) => {
        const wanted: number[] = [];
        let rest = BigInt(value);
        for (; rest >= 128n; rest >>= 7n) wanted.push(Number(rest & 127n) + 128);
        wanted.push(Number(rest));
        const target = new Uint8Array(varintSize(value));
        writeVarint(target, 0, value);
        assert.deepEqual([...target], wanted);
      }),
    );
  });
});

describe("64-bit integers", () => {
  test("are those of getBigUint64(), little-endian, at any place", () => {
    fc.assert(
      fc.property(safeIntegers, fc.nat(9), (value, at) => {
        const view = viewOf(new Uint8Array(24).subarray(3));
        writeU64(view, at, value);
        assert.equal(view.getBigUint64(at, true), BigInt(value));
        assert.equal(readU64(view, at), value);
      }),
    );
    for (const value of EDGES) {
      const view = viewOf(new Uint8Array(8));
      writeU64(view, 0, value);
      assert.equal(readU64(view, 0), value);
      assert.equal(view.getBigUint64(0, true), BigInt(value));
    }
  });

  test("above 2^53-1 are never read as a safe integer", () => {
    const view = viewOf(new Uint8Array(8));
    const unsafe = fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(unsafe, (value) => {
        view.setBigUint64(0, value, true);
        assert.equal(Number.isSafeInteger(readU64(view, 0)), false);
      }),
    );
    for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      view.setBigUint64(0, value, true);
      assert.equal(Number.isSafeInteger(readU64(view, 0)), false);
    }
  });
});

describe("arrays of bytes", () => {
  test("concat() joins copies", () => {
    const part = new Uint8Array([1, 2, 3]).subarray(1);
    const joined = concat([part, EMPTY_BYTES, part]);
    assert.deepEqual([...joined], [2, 3, 2, 3]);
    part[0] = 9;
    assert.deepEqual([...joined], [2, 3, 2, 3]);
    assert.equal(concat([]).length, 0);
  });

  test("bytesEqual() sees every difference", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (given, n, change) => {
          const other = given.slice();
          assert.equal(bytesEqual(given, other), true);
          const at = n % other.length;
          other[at] = (other[at] ?? 0) ^ change;
          assert.equal(bytesEqual(given, other), false);
          assert.equal(bytesEqual(given, given.subarray(1)), false);
          assert.equal(bytesEqual(given.subarray(1), given), false);
        },
      ),
    );
    assert.equal(bytesEqual(EMPTY_BYTES, new Uint8Array(0)), true);
  });

  test("viewOf() covers the view, not all of its memory", () => {
    const view = viewOf(new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
    assert.equal(view.byteLength, 2);
    assert.equal(view.getUint8(0), 2);
    assert.throws(() => view.getUint8(2), RangeError);
  });
});

describe("ByteReader", () => {
  test("throws at every cut of what ByteWriter wrote", () => {
    const whole = new ByteWriter()
      .u8(1)
      .u32(2)
      .u64(3)
      .varint(300)
      .text("ä")
      .raw(bytes(7, 8))
      .finish();
    for (let cut = 0; cut < whole.length; cut += 1) {
      assert.throws(() => readAll(new ByteReader(whole.subarray(0, cut))), MalformedBytesError);
    }
    assert.deepEqual(readAll(new ByteReader(whole)), [1, 2, 3, 300, "ä", 7, 8]);
  });

  test("refuses numbers above 2^53-1, lengths beyond the end and text that is not UTF-8", () => {
    const high = new Uint8Array(8).fill(0);
    high[6] = 0x20;
    assert.throws(() => new ByteReader(high).u64(), MalformedBytesError);
    assert.throws(() => new ByteReader(bytes(5, 1, 2, 3, 4)).sized(), MalformedBytesError);
    assert.throws(
      () => new ByteReader(bytes(255, 255, 255, 255, 255, 255, 255, 15, 1)).sized(),
      MalformedBytesError,
    );
    assert.throws(() => new ByteReader(bytes(1, 0xff)).text(), MalformedBytesError);
    assert.throws(() => new ByteReader(bytes(2, 0x61)).text(), MalformedBytesError);
    assert.throws(() => new ByteReader(bytes(1, 2)).raw(-1), MalformedBytesError);
  });

  test("stays where it was when it throws", () => {
    const reader = new ByteReader(bytes(9, 0x80));
    reader.u8();
    for (const read of [() => reader.u32(), () => reader.varint(), () => reader.raw(2)]) {
      assert.throws(read, MalformedBytesError);
      assert.equal(reader.at, 1);
      assert.equal(reader.remaining, 1);
    }
  });

  test("never fails otherwise, whatever it is given", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (given) => {
        for (const read of ["u8", "u32", "u64", "varint", "sized", "text"] as const) {
          const reader = new ByteReader(given);
          try {
            for (;;) reader[read]();
          } catch (error) {
            assert.ok(error instanceof MalformedBytesError, `${read}: ${error}`);
          }
          assert.ok(reader.at <= given.length);
        }
      }),
    );
  });

  test("keeps a byte order mark, so that a text comes back as it was", () => {
    const text = "\u{feff}x";
    assert.equal(new ByteReader(new ByteWriter().text(text).finish()).text(), text);
  });
});

describe("ByteWriter", () => {
  test("every value comes back, in order", () => {
    const steps = fc.array(
      fc.oneof(
        fc.nat(255).map((value) => ["u8", value] as const),
        fc.nat(2 ** 32 - 1).map((value) => ["u32", value] as const),
        safeIntegers.map((value) => ["u64", value] as const),
        safeIntegers.map((value) => ["varint", value] as const),
        fc.uint8Array({ maxLength: 600 }).map((value) => ["sized", value] as const),
        fc.string({ unit: "grapheme" }).map((value) => ["text", value] as const),
      ),
    );
    fc.assert(
      fc.property(steps, (given) => {
        const writer = new ByteWriter();
        for (const [kind, value] of given)
          (writer[kind] as (value: unknown) => unknown).call(writer, value);
        const reader = new ByteReader(writer.finish());
        for (const [kind, value] of given) assert.deepEqual(reader[kind](), value);
        assert.equal(reader.remaining, 0);
      }),
    );
  });

  test("finish() gives a copy", () => {
    const writer = new ByteWriter().u8(1);
    const first = writer.finish();
    writer.u8(2);
    assert.deepEqual([...first], [1]);
    first[0] = 9;
    assert.deepEqual([...writer.finish()], [1, 2]);
  });

  test("varint() refuses what is no safe integer of 0 or more", () => {
    for (const value of [-1, 1.5, 2 ** 53, Number.NaN]) {
      assert.throws(() => new ByteWriter().varint(value), InvariantError);
    }
  });
});

function decode(given: readonly number[]): Varint {
  const result: Varint = { value: -2, next: -2 };
  readVarint(new Uint8Array(given), 0, result);
  return result;
}

function readAll(reader: ByteReader): unknown[] {
  const [first, second, third] = [reader.u8(), reader.u32(), reader.u64()];
  return [first, second, third, reader.varint(), reader.text(), ...reader.raw(2)];
}

function bytes(...values: number[]): Uint8Array {
  return new Uint8Array(values);
}
