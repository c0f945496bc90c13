/** A record's place in a topic, counted from 0. Never the same thing as a {@link Position}. */
export type Offset = number & { readonly __brand: "Offset" };

/** A byte's place in a file, counted from 0. */
export type Position = number & { readonly __brand: "Position" };

/**
 * Checks that `value` can be an offset: a safe integer, 0 or more.
 *
 * Offsets are `number`, not `bigint`: an index entry decodes several times
 * faster as two 32-bit halves than through `getBigUint64`, and 2^53 records at
 * a million a second last 285 years.
 *
 * @throws {RangeError} when it is not. That is a bug or a damaged file, so
 *   callers that read files check first and report STORE_CORRUPT.
 */
export function toOffset(value: number): Offset {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`Cannot use ${value} as an offset: must be an integer from 0 to 2^53-1`);
  }
  return value as Offset;
}

/** As {@link toOffset}, for a byte's place in a file. */
export function toPosition(value: number): Position {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`Cannot use ${value} as a position: must be an integer from 0 to 2^53-1`);
  }
  return value as Position;
}

export const KIB = 2 ** 10;
export const MIB = 2 ** 20;
export const GIB = 2 ** 30;
