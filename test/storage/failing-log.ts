import { SILENT_LOGGER } from "../../src/base/log.ts";
import type { Log } from "../../src/storage/log.ts";
import type { LogOptions } from "../../src/storage/log-types.ts";
import { makeRandom } from "../support/prng.ts";
import { SimClock } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { logOptions, utf8 } from "./fixture.ts";

/** A simulated disk and clock, and what a log on it says. */
export interface Machine {
  readonly fs: SimFileSystem;
  readonly clock: SimClock;
  readonly failures: unknown[];
  /** Messages of the log at "warn". */
  readonly warnings: string[];
  readonly options: LogOptions;
}

/** @param seed of the disk */
export function machine(seed = 1, changes: Partial<LogOptions> = {}): Machine {
  const fs = new SimFileSystem(makeRandom(seed));
  const clock = new SimClock();
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => failures.push(error);
  const warnings: string[] = [];
  const logger = { ...SILENT_LOGGER, warn: (message: string) => warnings.push(message) };
  const options = logOptions(fs, { clock, onFailure, logger, ...changes });
  return { fs, clock, failures, warnings, options };
}

/** Records. */
export const TEXTS = ["a", "bb", "ccc", "dddd", "eeeee", "ffffff"];

/** Appends {@link TEXTS} one by one in segments of 2 records, written one by one. */
export async function appendAll(log: Log, clock: SimClock): Promise<void> {
  for (const record of TEXTS) {
    log.appendData([utf8(record)]);
    await clock.advance(10_000);
  }
  await log.written();
}
