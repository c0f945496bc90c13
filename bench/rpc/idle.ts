/**
 * What a server costs that does nothing: time from the start of the process to "ready",
 * memory when idle, and memory of each open tail. The executable, and the sources on
 * both runtimes.
 *
 *   node bench/rpc/idle.ts [--rounds 7] [--runtimes bun,node]
 *
 * Prints JSON lines. Needs `npm run build`. Takes about 2 minutes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { printBanner } from "../support/banner.ts";
import { type Bench, withBench } from "./bench-folder.ts";
import { holdTails, type Sample } from "./load.ts";
import { compare, type Entrant } from "./rounds.ts";
import { parseRunOptions } from "./run-options.ts";
import { rssBytesOf, type Server, startExecutable, startProglog } from "./servers.ts";
import { buildClient } from "./tools.ts";

const TAILS = 1000;
const CONNECTIONS = 10;
/** Until a process that just started is idle. */
const SETTLE_MS = 1500;

const options = parseRunOptions({ rounds: 7, seconds: 1 });
const client = buildClient();

/** Start, idle memory, then a thousand tails. */
async function measure(start: (dir: string) => Promise<Server>, dir: string): Promise<Sample> {
  const server = await start(dir);
  try {
    await sleep(SETTLE_MS);
    const idleBytes = rssBytesOf(server.pid);
    const held = await holdTails(client, server, { tails: TAILS, connections: CONNECTIONS });
    await sleep(SETTLE_MS);
    const tailedBytes = rssBytesOf(server.pid);
    await held.close();
    return {
      readyMs: server.readyMs,
      idleMb: idleBytes / 1e6,
      tailsMb: tailedBytes / 1e6,
      kbPerTail: (tailedBytes - idleBytes) / TAILS / 1e3,
    };
  } finally {
    await server.stop();
  }
}

function entrant(bench: Bench, name: string, start: (dir: string) => Promise<Server>): Entrant {
  let run = 0;
  return {
    name,
    fields: { tails: TAILS },
    run: () => {
      run += 1;
      return measure(start, bench.folder(`${name}-${run}`));
    },
  };
}

await withBench("rpc-idle", async (bench) => {
  printBanner({ disk: bench.dir, sync: "always", runtimes: options.runtimes });
  const entrants = [
    entrant(bench, "executable", startExecutable),
    ...options.runtimes.map((runtime) =>
      entrant(bench, runtime, (dir) => startProglog(runtime, dir)),
    ),
  ];
  await compare(entrants, { what: "idle", rounds: options.rounds, rate: "readyMs" });
});
