import { readFileSync } from "node:fs";
import type { Clock } from "../../src/base/clock.ts";
import { WasmCore } from "../../src/raft/wasm-core.ts";
import { makeRandom } from "../support/prng.ts";

const FILE = new URL("../../src/raft/wasm/raft.wasm", import.meta.url);

const module = new WebAssembly.Module(readFileSync(FILE));

/** The real core; the same seed gives the same run. */
export function makeCore(seed: number, clock: Clock): WasmCore {
  const random = makeRandom(seed);
  return WasmCore.create(module, {
    random: (bytes) => {
      for (let at = 0; at < bytes.length; at += 1) bytes[at] = Math.floor(random() * 256);
    },
    monotonicNs: () => BigInt(Math.round(clock.monotonicMs() * 1e6)) + 1n,
    ...(process.env["RAFT_LOG"] === undefined
      ? {}
      : { log: (line: string) => console.error(line), logLevel: "info" as const }),
  });
}
