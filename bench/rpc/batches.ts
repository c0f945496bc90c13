/**
 * Unary Produce of 100 records of 100 B a call, synced before the answer, with 1, 8, 16
 * and 64 calls in flight: the server beside a bare handler with the same journal.
 *
 *   node bench/rpc/batches.ts [--rounds 5] [--seconds 2] [--runtimes bun,node]
 *
 * Prints JSON lines; `toBare` is a ratio of records/s in one round. Takes about 3 minutes.
 */
import { printBanner } from "../support/banner.ts";
import { withBench } from "./bench-folder.ts";
import { runClient, type Sample } from "./load.ts";
import { compare, type Entrant } from "./rounds.ts";
import { parseRunOptions } from "./run-options.ts";
import { type Server, startBare, startProglog } from "./servers.ts";
import { buildClient } from "./tools.ts";

const RECORD_BYTES = 100;
const BATCH_RECORDS = 100;
const IN_FLIGHT = [1, 8, 16, 64];
/** More connections than calls would leave some idle. */
const CONNECTIONS_MAX = 4;

const options = parseRunOptions({ rounds: 5, seconds: 2 });
const client = buildClient();

function load(server: Server, inflight: number): Promise<Sample> {
  const flags = {
    inflight,
    conns: Math.min(inflight, CONNECTIONS_MAX),
    batch: BATCH_RECORDS,
    size: RECORD_BYTES,
    dur: `${options.seconds}s`,
    warm: "200ms",
  };
  return runClient(client, server, { workload: "produce", flags, per: "record" });
}

await withBench("rpc-batches", async (bench) => {
  printBanner({ disk: bench.dir, sync: "always", runtimes: options.runtimes });
  const servers = new Map<string, Server>();
  for (const runtime of options.runtimes) {
    const lean = startProglog(runtime, bench.folder(`lean-${runtime}`));
    servers.set(`lean-${runtime}`, await bench.start(lean));
    const bare = startBare(runtime, bench.folder(`bare-${runtime}`));
    servers.set(`bare-${runtime}`, await bench.start(bare));
  }
  for (const server of servers.values()) await load(server, 16);
  for (const inFlight of IN_FLIGHT) {
    const entrants: Entrant[] = [...servers].map(([name, server]) => ({
      name,
      fields: { inFlight },
      run: () => load(server, inFlight),
      ...(name.startsWith("lean-") ? { ratios: { toBare: name.replace("lean", "bare") } } : {}),
    }));
    const what = `batches-${inFlight}`;
    await compare(entrants, { what, rounds: options.rounds, rate: "recordsPerSecond" });
  }
});
