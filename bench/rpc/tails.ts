/**
 * From append to delivery: 1, 100 and 1,000 tails of one topic, records of 100 B at a
 * fixed rate (open loop), each synced before it is delivered.
 *
 *   node bench/rpc/tails.ts [--rounds 3] [--seconds 4] [--runtimes bun,node]
 *
 * Latency is from before the call to the moment that a tail has the record; medians of
 * the runs' p50 and p99. Prints JSON lines. Takes about 2 minutes.
 */
import { printBanner } from "../support/banner.ts";
import { withBench } from "./bench-folder.ts";
import { runClient, type Sample } from "./load.ts";
import { compare, type Entrant } from "./rounds.ts";
import { parseRunOptions } from "./run-options.ts";
import { type Server, startProglog } from "./servers.ts";
import { buildClient } from "./tools.ts";

/** Appends a second; the first two rates are those of the peers' kit. */
const CASES = [
  { tails: 1, perSecond: 200, connections: 1 },
  { tails: 100, perSecond: 50, connections: 1 },
  { tails: 1000, perSecond: 10, connections: 10 },
];

const options = parseRunOptions({ rounds: 3, seconds: 4 });
const client = buildClient();

function load(server: Server, load: (typeof CASES)[number]): Promise<Sample> {
  const flags = {
    subs: load.tails,
    rate: load.perSecond,
    conns: load.connections,
    dur: `${options.seconds}s`,
  };
  return runClient(client, server, { workload: "tails", flags, per: "record" });
}

await withBench("rpc-tails", async (bench) => {
  printBanner({ disk: bench.dir, sync: "always", runtimes: options.runtimes });
  const servers = new Map<string, Server>();
  for (const runtime of options.runtimes) {
    servers.set(runtime, await bench.start(startProglog(runtime, bench.folder(runtime))));
  }
  for (const fields of CASES) {
    for (const server of servers.values()) await load(server, fields);
    const entrants: Entrant[] = [...servers].map(([name, server]) => ({
      name,
      fields,
      run: () => load(server, fields),
    }));
    const what = `tails-${fields.tails}`;
    await compare(entrants, { what, rounds: options.rounds, rate: "recordsPerSecond" });
  }
});
