import { randomBytes } from "node:crypto";
import { readU64, viewOf } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";

/** The machine's randomness; good enough for keys. */
export class SystemRandom implements Random {
  safeInteger(): number {
    const bytes = this.bytes(8);
    // 53 of the 64 bits: the top byte goes, and three bits of the next.
    bytes[7] = 0;
    bytes[6] = (bytes[6] ?? 0) & 0x1f;
    return readU64(viewOf(bytes), 0);
  }

  bytes(count: number): Uint8Array {
    // A copy: small Buffers share memory with others.
    return new Uint8Array(randomBytes(count));
  }
}
