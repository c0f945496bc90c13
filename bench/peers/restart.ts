import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "../rpc/bench-folder.ts";
import { median, say } from "../rpc/rounds.ts";
import { runGenerator, startGenerator } from "./generator.ts";
import { PeerProcess } from "./peer-process.ts";
import type { Peer } from "./peers.ts";

const RECORDS = 2_000_000;
const RECORD_BYTES = 1024;
/** Appends go on for so long before the process is killed under them. */
const LOAD_MS = 2_000;

/** The generator's figures of a start: `p50_ms` is the first read, `p99_ms` the first write. */
interface Probe {
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/**
 * Fills each peer with 2 GB, then as often as there are rounds: kill -9 under load, start,
 * and the time from the start of the process to the first read and to the first write.
 */
export async function measureRestarts(
  bench: Bench,
  options: {
    readonly peers: readonly Peer[];
    readonly kit: string;
    readonly generator: string;
    readonly rounds: number;
    /** Part of the 2 GB. */
    readonly scale: number;
  },
): Promise<void> {
  const { kit, generator, rounds, scale } = options;
  const n = Math.floor(RECORDS * scale);
  for (const peer of options.peers) {
    const dir = bench.folder(`restart-${peer.name}`);
    const process = await PeerProcess.start(peer, { kit, dir, setting: "relaxed" });
    bench.onEnd(() => process.stop());
    const fill = { mode: "fill", n, size: RECORD_BYTES, batch: peer.fillBatch };
    await runGenerator(generator, process, { ...fill, inflight: 4 });
    const starts: Probe[] = [];
    for (let round = 0; round < rounds; round += 1) {
      starts.push(await killAndProbe(generator, process));
    }
    say({
      what: "restart after kill -9",
      gb: (n * RECORD_BYTES) / 1e9,
      name: peer.name,
      setting: peer.relaxed,
      firstReadMs: Math.round(median(starts.map((start) => start.p50_ms))),
      firstWriteMs: Math.round(median(starts.map((start) => start.p99_ms))),
    });
    await process.stop();
  }
}

async function killAndProbe(generator: string, process: PeerProcess): Promise<Probe> {
  const load = startGenerator(generator, process, { size: RECORD_BYTES, dur: "10s" });
  const loaded = new Promise<void>((done) => load.once("exit", () => done()));
  await sleep(LOAD_MS);
  await process.kill();
  load.kill("SIGKILL");
  await loaded;
  // It starts first, so that its clock includes the whole start of the peer.
  const probe = startGenerator(generator, process, { mode: "probe", size: RECORD_BYTES });
  const said = new Promise<string>((done) => {
    let output = "";
    probe.stdout?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    probe.once("close", () => done(output));
  });
  process.launch();
  return JSON.parse(await said) as Probe;
}
