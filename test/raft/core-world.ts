import type { WasmCoreOptions } from "../../src/raft/wasm-instance.ts";
import { SeededRandom } from "../support/prng.ts";

/** What a core sees of the world, out of a seed: the same seed gives the same run. */
export function seededWorld(seed: number): WasmCoreOptions {
  const random = new SeededRandom(seed);
  let now = 0n;
  return {
    random: (bytes) => bytes.set(random.bytes(bytes.length)),
    monotonicNs: () => {
      now += 1000n;
      return now;
    },
  };
}
