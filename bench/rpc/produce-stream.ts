/**
 * ProduceStream with one record of 100 B a message, synced before the answer: one
 * stream with 256, 512 and 1,024 records without an answer, and four streams.
 *
 *   node bench/rpc/produce-stream.ts [--rounds 5] [--seconds 2] [--runtimes bun,node]
 *
 * Prints JSON lines. Takes about 2 minutes.
 */
import { printBanner } from "../support/banner.ts";
import { withBench } from "./bench-folder.ts";
import { runClient, type Sample } from "./load.ts";
import { compare, type Entrant } from "./rounds.ts";
import { parseRunOptions } from "./run-options.ts";
import { type Server, startProglog } from "./servers.ts";
import { buildClient } from "./tools.ts";

const RECORD_BYTES = 100;
const CASES = [
  { streams: 1, window: 256 },
  { streams: 1, window: 512 },
  { streams: 1, window: 1024 },
  { streams: 4, window: 256 },
];

const options = parseRunOptions({ rounds: 5, seconds: 2 });
const client = buildClient();

function load(server: Server, { streams, window }: (typeof CASES)[number]): Promise<Sample> {
  const flags = {
    conns: streams,
    window,
    size: RECORD_BYTES,
    dur: `${options.seconds}s`,
    warm: "200ms",
  };
  return runClient(client, server, { workload: "produce-stream", flags, per: "record" });
}

await withBench("rpc-produce-stream", async (bench) => {
  printBanner({ disk: bench.dir, sync: "always", runtimes: options.runtimes });
  const servers = new Map<string, Server>();
  for (const runtime of options.runtimes) {
    servers.set(runtime, await bench.start(startProglog(runtime, bench.folder(runtime))));
  }
  for (const server of servers.values()) await load(server, { streams: 1, window: 256 });
  for (const fields of CASES) {
    const entrants: Entrant[] = [...servers].map(([name, server]) => ({
      name,
      fields,
      run: () => load(server, fields),
    }));
    const what = `produce-stream-${fields.streams}x${fields.window}`;
    await compare(entrants, { what, rounds: options.rounds, rate: "recordsPerSecond" });
  }
});
