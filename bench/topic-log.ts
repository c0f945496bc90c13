/**
 * How fast a topic's log takes batches of 100 records of 100 B, without sync: framed,
 * checksummed, written to the page cache. And how fast it gives them back in order.
 *
 *   bun bench/topic-log.ts; node bench/topic-log.ts
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { SILENT_LOGGER } from "../src/base/log.ts";
import { toOffset } from "../src/base/units.ts";
import { openFileSystem } from "../src/platform/open-file-system.ts";
import { SystemClock } from "../src/platform/system-clock.ts";
import { checkFrame, encodeBatch } from "../src/storage/frame.ts";
import { Log } from "../src/storage/log.ts";
import { printBanner } from "./support/banner.ts";

const RUNS = 5;
const BATCHES = 20_000;
const BATCH_RECORDS = 100;
const RECORD_BYTES = 100;
const READ_BYTES = 1 << 20;

mkdirSync("dist/bench", { recursive: true });
const root = mkdtempSync(resolve("dist/bench/topic-log-"));
printBanner({ disk: root, sync: "none" });
const records = {
  bytes: new Uint8Array(BATCH_RECORDS * RECORD_BYTES).fill(7),
  starts: Uint32Array.from({ length: BATCH_RECORDS }, (_, at) => at * RECORD_BYTES),
  ends: Uint32Array.from({ length: BATCH_RECORDS }, (_, at) => (at + 1) * RECORD_BYTES),
  count: BATCH_RECORDS,
};
const appended: number[] = [];
const read: number[] = [];
try {
  for (let run = 0; run < RUNS; run += 1) {
    const log = await Log.open({
      fs: openFileSystem(root),
      dir: `run-${run}`,
      clock: new SystemClock(),
      logger: SILENT_LOGGER,
      segmentBytesMax: 64 << 20,
      segmentRecordsMax: 1 << 20,
      check: checkFrame,
    });
    appended.push(await append(log));
    read.push(await readAll(log));
    await log.close();
    rmSync(`${root}/run-${run}`, { recursive: true });
  }
} finally {
  rmSync(root, { recursive: true });
}
say("append, records/s", appended);
say("read in order, records/s", read);

async function append(log: Log): Promise<number> {
  const began = performance.now();
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const firstOffset = log.nextOffset;
    const raftIndex = batch + 2;
    log.append(
      encodeBatch({ firstOffset, raftIndex, appendTimeUs: 1_800_000_000_000_000, records }),
    );
    if (!log.hasRoom()) await log.whenRoom();
  }
  await log.written();
  return (BATCHES * BATCH_RECORDS * 1000) / (performance.now() - began);
}

/** As the topic layer reads: every frame is checked and taken apart. */
async function readAll(log: Log): Promise<number> {
  const began = performance.now();
  let next = 0;
  while (next < log.nextOffset) {
    const first = toOffset(next);
    const run = await log.readRun(first, { bytesMax: READ_BYTES, recordsMax: 100_000 });
    next = run?.resumeOffset ?? next;
  }
  return (next * 1000) / (performance.now() - began);
}

function say(what: string, runs: readonly number[]): void {
  const sorted = [...runs].sort((a, b) => a - b).map(Math.round);
  const median = sorted[Math.floor(sorted.length / 2)];
  process.stdout.write(`${JSON.stringify({ what, median, runs: sorted })}\n`);
}
