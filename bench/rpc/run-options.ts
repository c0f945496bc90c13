import { parseArgs } from "node:util";
import { RUNTIMES, type Runtime } from "./servers.ts";

export interface RunOptions {
  /** How often everything runs; medians are taken over them. */
  readonly rounds: number;
  /** Length of one run. */
  readonly seconds: number;
  readonly runtimes: readonly Runtime[];
  /** Data of a topic that is read, in GiB. */
  readonly gib: number;
  /** Whether the client sets its flow control windows as grpc-go does by itself. */
  readonly isStock: boolean;
}

const ROUNDS_MAX = 101;
const SECONDS_MAX = 60;
const GIB_MAX = 16;

/**
 * Reads `--rounds N --seconds N --runtimes bun,node --gib N --stock`. Exits with 2 when they
 * make no sense.
 */
export function parseRunOptions(fallback: {
  readonly rounds: number;
  readonly seconds: number;
  readonly gib?: number;
}): RunOptions {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: `${fallback.rounds}` },
      seconds: { type: "string", default: `${fallback.seconds}` },
      runtimes: { type: "string", default: RUNTIMES.join(",") },
      stock: { type: "boolean", default: false },
      gib: { type: "string", default: `${fallback.gib ?? 1}` },
    },
  });
  const rounds = Number(values.rounds);
  const seconds = Number(values.seconds);
  const gib = Number(values.gib);
  const named = values.runtimes.split(",");
  const runtimes = RUNTIMES.filter((runtime) => named.includes(runtime));
  const isUsable =
    Number.isSafeInteger(rounds) &&
    rounds >= 1 &&
    rounds <= ROUNDS_MAX &&
    seconds > 0 &&
    seconds <= SECONDS_MAX &&
    gib > 0 &&
    gib <= GIB_MAX &&
    runtimes.length === named.length;
  if (!isUsable) {
    process.stderr.write(
      `Cannot run: --rounds is 1 to ${ROUNDS_MAX}, --seconds above 0 and at most ${SECONDS_MAX}, ` +
        `--runtimes of ${RUNTIMES.join(",")}, --gib above 0 and at most ${GIB_MAX}\n`,
    );
    process.exit(2);
  }
  return { rounds, seconds, runtimes, gib, isStock: values.stock };
}
