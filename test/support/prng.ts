import type { Random } from "../../src/base/random.ts";

/** A seeded generator (mulberry32) of numbers in [0, 1): the same on every platform. */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Seeds of a random test: 1 to `count`, or the one in the environment, so that
 * a failure is replayed by `SEED=17 node --test FILE`. Put the seed in the test's name.
 */
export function seedsFromEnv(count: number): number[] {
  const text = process.env["SEED"];
  if (text === undefined) return Array.from({ length: count }, (_, at) => at + 1);
  const seed = Number(text);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`SEED is not a number: ${text}`);
  return [seed];
}

/** An integer from `min` to `max`, both included. */
export function integerFrom(random: () => number, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

/** The node's randomness from a seed. */
export class SeededRandom implements Random {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = makeRandom(seed);
  }

  safeInteger(): number {
    const high = Math.floor(this.#random() * 2 ** 21);
    const low = Math.floor(this.#random() * 2 ** 32);
    return high * 2 ** 32 + low;
  }

  bytes(count: number): Uint8Array {
    const result = new Uint8Array(count);
    for (let at = 0; at < count; at += 1) result[at] = Math.floor(this.#random() * 256);
    return result;
  }
}
