import type { RaftCore } from "../../src/raft/core.ts";
import { WasmCore } from "../../src/raft/wasm-core.ts";
import { loadRaftModule } from "../../src/server/raft-module.ts";
import { integerFrom, makeRandom } from "./prng.ts";

const module = await loadRaftModule();

/** Raft with randomness of its own and a clock that only counts: the same at each run. */
export function seededCore(seed: number): RaftCore {
  const random = makeRandom(seed);
  let ns = 0n;
  return WasmCore.create(module, {
    random: (bytes) => {
      for (let at = 0; at < bytes.length; at += 1) bytes[at] = integerFrom(random, 0, 255);
    },
    monotonicNs: () => {
      ns += 1_000n;
      return ns;
    },
  });
}

/** One for all nodes of a test: its groups are theirs, and a core takes some time and memory. */
export const TEST_CORE = seededCore(1);
