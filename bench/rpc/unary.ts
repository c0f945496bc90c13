/**
 * Unary Produce of 100 B, synced before the answer: the server, the same with the
 * library's path alone (`--lean-path off`), and a bare handler of `node:http2` with the
 * same journal and fixed answers. And grpc-go, which stores nothing.
 *
 *   node bench/rpc/unary.ts [--rounds 5] [--seconds 2] [--runtimes bun,node]
 *
 * - ghz-50: `ghz -c 50 --connections 4`, which costs more than the server does, on the same cores.
 * - client-50: the same load by a generator that costs little.
 * - one: one call in flight, so one sync a call.
 *
 * Prints JSON lines; `toBare`, `toLibrary` and `toGrpcGo` are ratios of calls/s in one
 * round. Takes about 5 minutes.
 */
import { printBanner } from "../support/banner.ts";
import { type Bench, withBench } from "./bench-folder.ts";
import { runClient, runGhz, type Sample } from "./load.ts";
import { compare, type Entrant } from "./rounds.ts";
import { parseRunOptions } from "./run-options.ts";
import { type Server, startBare, startGrpcGo, startProglog } from "./servers.ts";
import { buildClient, installGhz } from "./tools.ts";

const RECORD_BYTES = 100;
const WARM_SECONDS = 2;

const options = parseRunOptions({ rounds: 5, seconds: 2 });
const client = buildClient();
const ghz = installGhz();

interface Target {
  readonly name: string;
  readonly kind: string;
  readonly runtime: string;
  readonly server: Server;
}

type Load = (server: Server, seconds: number) => Promise<Sample>;

const LOADS: Readonly<Record<string, Load>> = {
  "ghz-50": (server, seconds) => runGhz(ghz, server, { seconds, recordBytes: RECORD_BYTES }),
  "client-50": (server, seconds) => byClient(server, { seconds, inFlight: 50, connections: 4 }),
  one: (server, seconds) => byClient(server, { seconds, inFlight: 1, connections: 1 }),
};

function byClient(
  server: Server,
  load: { readonly seconds: number; readonly inFlight: number; readonly connections: number },
): Promise<Sample> {
  const { seconds, inFlight: inflight, connections: conns } = load;
  const flags = { inflight, conns, size: RECORD_BYTES, dur: `${seconds}s`, warm: "200ms" };
  return runClient(client, server, { workload: "produce", flags, per: "call" });
}

async function startTargets(bench: Bench): Promise<readonly Target[]> {
  const targets: Target[] = [];
  for (const runtime of options.runtimes) {
    const starts = {
      lean: startProglog(runtime, bench.folder(`lean-${runtime}`)),
      library: startProglog(runtime, bench.folder(`library-${runtime}`), ["--lean-path", "off"]),
      bare: startBare(runtime, bench.folder(`bare-${runtime}`)),
    };
    for (const [kind, starting] of Object.entries(starts)) {
      const server = await bench.start(starting);
      targets.push({ name: `${kind}-${runtime}`, kind, runtime, server });
    }
  }
  const server = await bench.start(startGrpcGo(client));
  return [...targets, { name: "grpc-go", kind: "grpc-go", runtime: "go", server }];
}

function entrantOf({ name, kind, runtime, server }: Target, load: Load): Entrant {
  const ratios = {
    lean: { toBare: `bare-${runtime}`, toLibrary: `library-${runtime}`, toGrpcGo: "grpc-go" },
    library: { toBare: `bare-${runtime}`, toGrpcGo: "grpc-go" },
    bare: { toGrpcGo: "grpc-go" },
  }[kind];
  const run = (): Promise<Sample> => load(server, options.seconds);
  return { name, fields: { runtime }, run, ...(ratios === undefined ? {} : { ratios }) };
}

await withBench("rpc-unary", async (bench) => {
  printBanner({ disk: bench.dir, sync: "always", runtimes: options.runtimes });
  const targets = await startTargets(bench);
  // Compiled code first: what follows is of servers that run since a while.
  for (const { server } of targets) {
    await byClient(server, { seconds: WARM_SECONDS, inFlight: 50, connections: 4 });
  }
  for (const [what, load] of Object.entries(LOADS)) {
    const entrants = targets.map((target) => entrantOf(target, load));
    await compare(entrants, { what, rounds: options.rounds, rate: "callsPerSecond" });
  }
});
