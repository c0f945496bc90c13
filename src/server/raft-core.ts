import { randomFillSync } from "node:crypto";
import type { Logger } from "../base/log.ts";
import type { RaftCore } from "../raft/core.ts";
import { WasmCore } from "../raft/wasm-core.ts";
import { loadRaftModule } from "./raft-module.ts";

export interface RaftCoreOptions {
  readonly logger: Logger;
  /** True when all that the library says is wanted: some lines for each entry. Default false. */
  readonly isVerbose?: boolean;
  /** The core is of no use any more: the process must end. */
  readonly onFailure: (error: unknown) => void;
}

/** Raft for this process, with the machine's time and randomness. */
export async function openRaftCore({
  logger,
  isVerbose = false,
  onFailure,
}: RaftCoreOptions): Promise<RaftCore> {
  return WasmCore.create(await loadRaftModule(), {
    random: (bytes) => void randomFillSync(bytes),
    monotonicNs: () => process.hrtime.bigint(),
    log: (line, level) => logger.debug("Raft", { line, level }),
    logLevel: isVerbose ? "info" : "warn",
    onTrap: onFailure,
  });
}
