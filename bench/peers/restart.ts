import { setTimeout as sleep } from "node:timers/promises";
import { median, say } from "../rpc/rounds.ts";
import { type Contestants, flushDisk, sayFailed } from "./contest.ts";
import { type Generator, outputOf } from "./generator.ts";
import { PeerProcess } from "./peer-process.ts";
import type { Peer } from "./peers.ts";
import { RESTART, scaled } from "./workloads.ts";

/** Appends go on for so long before the process is killed under them. */
const LOAD_MS = 1_500;
const PROBE_MS_MAX = 60_000;

/** The generator's figures of a start: `p50_ms` is the first read, `p99_ms` the first write. */
interface Probe {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly err?: string;
}

/**
 * Fills each peer with 2 GB, then as often as there are rounds: kill -9 under load, start,
 * and the time from the start of the process to the first read and to the first write.
 * Peers that take minutes to fill get a part of it, and the line says so.
 */
export async function measureRestarts(contestants: Contestants): Promise<void> {
  for (const peer of contestants.peers) {
    const dir = contestants.bench.folder(`restart-${peer.name}`);
    try {
      const { kit } = contestants;
      const process = await PeerProcess.start(peer, { kit, dir, setting: "relaxed" });
      contestants.bench.onEnd(() => process.stop());
      try {
        await measurePeer(contestants, peer, process);
      } finally {
        await process.discard();
      }
    } catch (error) {
      sayFailed("restart", peer, `${error}`);
    }
  }
}

async function measurePeer(
  contestants: Contestants,
  peer: Peer,
  process: PeerProcess,
): Promise<void> {
  const { generator, rounds, scale } = contestants;
  const { size, records } = RESTART;
  const n = scaled(records, scale * peer.fillPart);
  const began = performance.now();
  const fill = { mode: "fill", n, size, batch: peer.fillBatch, inflight: peer.fillInFlight };
  await generator.run(process, fill);
  const fillSeconds = Math.round((performance.now() - began) / 1000);
  flushDisk(contestants);
  const starts: Probe[] = [];
  for (let round = 0; round < rounds; round += 1) {
    starts.push(await killAndProbe(generator, process));
  }
  const reads = starts.map((start) => Math.round(start.p50_ms));
  const writes = starts.map((start) => Math.round(start.p99_ms));
  say({
    what: `with ${gigabytes(scaled(records, scale))} GB`,
    phase: "restart",
    name: peer.name,
    title: peer.title,
    setting: peer.relaxed,
    ...(peer.fillPart < 1 ? { gbOnly: gigabytes(n) } : {}),
    fillSeconds,
    firstReadMs: median(reads),
    firstWriteMs: median(writes),
    low: Math.min(...reads),
    high: Math.max(...reads),
  });
}

function gigabytes(records: number): number {
  return Number(((records * RESTART.size) / 1e9).toPrecision(2));
}

async function killAndProbe(generator: Generator, process: PeerProcess): Promise<Probe> {
  const load = generator.start(process, { size: RESTART.size, dur: "10s" });
  const loaded = new Promise<void>((done) => load.once("exit", () => done()));
  await sleep(LOAD_MS);
  await process.kill();
  load.kill("SIGKILL");
  await loaded;
  // It starts first, so that its clock includes the whole start of the peer.
  const probe = generator.start(process, { mode: "probe", size: RESTART.size });
  const said = outputOf(probe, PROBE_MS_MAX);
  process.launch();
  const found = JSON.parse(await said) as Probe;
  if (found.err !== undefined) throw new Error(`Cannot read after a start: ${found.err}`);
  return found;
}
