/**
 * ConsumeStream from the start of a topic whose data is in the page cache, records of
 * 100 B and of 1 KiB: the server beside a bare handler that pushes one message, made
 * before, over and over.
 *
 *   node bench/rpc/catch-up.ts [--rounds 5] [--runtimes bun,node] [--gib 1] [--stock]
 *
 * `--gib` is the data of each topic; a server writes two, without sync, before it is
 * read. The client has windows of 8 MiB; with `--stock` it raises them as it goes. Prints JSON lines; `toBare` is a ratio of records/s in one round. Takes about 5
 * minutes.
 */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { TopicService } from "../../src/gen/proglog/v1/topic_service_pb.ts";
import { printBanner } from "../support/banner.ts";
import { withBench } from "./bench-folder.ts";
import { runClient, type Sample } from "./load.ts";
import { compare, type Entrant, say } from "./rounds.ts";
import { parseRunOptions } from "./run-options.ts";
import { type Server, startBare, startProglog } from "./servers.ts";
import { buildClient } from "./tools.ts";

const GIB = 2 ** 30;
const SIZES = [100, 1024];
/** Bytes of a batch while the topics are filled. */
const FILL_BATCH_BYTES = 256 * 1024;

const options = parseRunOptions({ rounds: 5, seconds: 1, gib: 1 });
const client = buildClient();

const topicOf = (recordBytes: number): string => `bytes-${recordBytes}`;
const recordsOf = (recordBytes: number): number => Math.floor((options.gib * GIB) / recordBytes);

async function fill(server: Server, runtime: string, recordBytes: number): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://${server.address}` });
  const topic = topicOf(recordBytes);
  await createClient(TopicService, transport).createTopic({ topic });
  const batch = Math.ceil(FILL_BATCH_BYTES / recordBytes);
  // Whole batches, so that the topic has at least as many records as are read.
  const records = Math.ceil(recordsOf(recordBytes) / batch) * batch;
  const flags = { topic, records, batch, size: recordBytes, inflight: 4 };
  const filled = await runClient(client, server, { workload: "fill", flags, per: "record" });
  say({ what: "filled, not synced", name: `lean-${runtime}`, recordBytes, records, ...filled });
}

function load(server: Server, recordBytes: number): Promise<Sample> {
  const flags = {
    topic: topicOf(recordBytes),
    records: recordsOf(recordBytes),
    stock: `${options.isStock}`,
  };
  return runClient(client, server, { workload: "consume", flags, per: "record" });
}

await withBench("rpc-catch-up", async (bench) => {
  printBanner({ disk: bench.dir, sync: "none", runtimes: options.runtimes });
  const servers = new Map<string, Server>();
  for (const runtime of options.runtimes) {
    const dir = bench.folder(`lean-${runtime}`);
    const lean = await bench.start(startProglog(runtime, dir, ["--sync", "none"]));
    for (const recordBytes of SIZES) await fill(lean, runtime, recordBytes);
    servers.set(`lean-${runtime}`, lean);
    const mend = options.isStock ? ["--mend-windows"] : [];
    const bare = startBare(runtime, bench.folder(`bare-${runtime}`), mend);
    servers.set(`bare-${runtime}`, await bench.start(bare));
  }
  for (const recordBytes of SIZES) {
    for (const server of servers.values()) await load(server, recordBytes);
    const entrants: Entrant[] = [...servers].map(([name, server]) => ({
      name,
      fields: { recordBytes },
      run: () => load(server, recordBytes),
      ...(name.startsWith("lean-") ? { ratios: { toBare: name.replace("lean", "bare") } } : {}),
    }));
    const what = `catch-up-${recordBytes}`;
    await compare(entrants, { what, rounds: options.rounds, rate: "recordsPerSecond" });
  }
});
