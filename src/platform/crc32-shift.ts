import { POLYNOMIAL } from "./crc32.ts";

/** The polynomials 1 and x^8, with the highest power in the lowest bit, as CRC-32 has them. */
const ONE = 0x80000000;
const X_8 = 0x00800000;

/** Lengths are taken apart into digits of 4 bits, seven of them. */
const DIGIT_BITS = 4;
const DIGIT_VALUES = 1 << DIGIT_BITS;
const BYTES_MAX = 2 ** 28 - 1;

/** For each digit at each place: what each byte of a checksum becomes. Made when first needed, 4 KiB each. */
const tables: (Int32Array | undefined)[] = [];

/**
 * What a checksum becomes by `count` bytes that follow: `crc32(a ‖ b)` is
 * `crc32Shift(crc32(a), b.length) ^ crc32(b)`.
 *
 * Costs 4 looks into a table for each hexadecimal digit of `count` that is not 0.
 *
 * @param count at most 2^28 - 1
 * @returns 32 bits, signed
 */
export function crc32Shift(crc: number, count: number): number {
  let shifted = crc;
  let place = 0;
  for (let rest = count; rest > 0; rest >>>= DIGIT_BITS, place += DIGIT_VALUES) {
    const digit = rest & (DIGIT_VALUES - 1);
    if (digit === 0) continue;
    const table = tables[place + digit] ?? makeTable(place, digit);
    shifted =
      (table[shifted & 255] ?? 0) ^
      (table[256 + ((shifted >>> 8) & 255)] ?? 0) ^
      (table[512 + ((shifted >>> 16) & 255)] ?? 0) ^
      (table[768 + (shifted >>> 24)] ?? 0);
  }
  return shifted;
}

function makeTable(place: number, digit: number): Int32Array {
  const factor = powerOfX8(digit * 2 ** ((place / DIGIT_VALUES) * DIGIT_BITS));
  const table = new Int32Array(4 * 256);
  for (let byte = 0; byte < 4; byte += 1) {
    for (let value = 1; value < 256; value += 1) {
      table[byte * 256 + value] = multiply(factor, value << (8 * byte));
    }
  }
  tables[place + digit] = table;
  return table;
}

/** x^(8 exponent) modulo the polynomial. */
function powerOfX8(exponent: number): number {
  if (exponent > BYTES_MAX) throw new RangeError(`Cannot shift by ${exponent} bytes`);
  let power = ONE;
  let square = X_8;
  for (let rest = exponent; rest > 0; rest >>>= 1) {
    if ((rest & 1) === 1) power = multiply(power, square);
    square = multiply(square, square);
  }
  return power;
}

/** left * right modulo the polynomial. */
function multiply(left: number, right: number): number {
  let product = 0;
  let factor = right;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((left & bit) !== 0) product ^= factor;
    factor = (factor & 1) === 1 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product;
}
