/** Randomness as the node sees it. Seeded in tests, from the system otherwise. */
export interface Random {
  /** An integer from 0 to 2^53-1. */
  safeInteger(): number;
  /** `count` bytes. */
  bytes(count: number): Uint8Array;
}
