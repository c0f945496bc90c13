/**
 * What a node costs without the network: from `Topic.produce` to disk, and back.
 *
 *   bun bench/node.ts [--dir DIR] [--sync always|none] [--rounds 9] [--milliseconds 300]
 *     [--only REGEXP]
 *   node bench/node.ts
 *
 * All cases run interleaved, round by round; medians are printed as JSON lines. CPU is that of
 * the whole process, its I/O threads included, so also that of checkpoints.
 *
 * - bare: one O_DSYNC write of 4 KiB into a preallocated file, one after the other.
 * - callers-N xM: N callers, each with one batch of M records of 100 B in flight.
 * - stream-N: one caller with N batches of one record in flight.
 * - read: one reader of all of a topic, 1 MiB a read. tail: a reader that is told of each record.
 */
import { constants as fsConstants, mkdirSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SILENT_LOGGER } from "../src/base/log.ts";
import { Node } from "../src/cluster/node.ts";
import { openFileSystem } from "../src/platform/open-file-system.ts";
import { processIdentity } from "../src/platform/process-identity.ts";
import { SystemClock } from "../src/platform/system-clock.ts";
import { SystemRandom } from "../src/platform/system-random.ts";
import { openRaftCore } from "../src/server/raft-core.ts";
import type { RecordRun, Topic } from "../src/topics/topics.ts";
import { printBanner } from "./support/banner.ts";

const RECORD = new Uint8Array(100).fill(120);
const BLOCK = new Uint8Array(4096).fill(7);
const BARE_FILE_BYTES = 16 * 2 ** 20;
const READ_LIMITS = { recordsMax: 100_000, bytesMax: 2 ** 20 };

const { values } = parseArgs({
  options: {
    dir: { type: "string", default: "dist/bench" },
    sync: { type: "string", default: "always" },
    rounds: { type: "string", default: "9" },
    milliseconds: { type: "string", default: "300" },
    only: { type: "string", default: "" },
  },
});
const rounds = Number(values.rounds);
const durationMs = Number(values.milliseconds);
const sync = values.sync === "none" ? "none" : "always";

const isWanted = (name: string) => new RegExp(values.only).test(name);

interface Sample {
  readonly records: number;
  readonly seconds: number;
  readonly cpuUs: number;
}

interface Case {
  readonly name: string;
  /** Works until `endMs`. @returns how many records it moved */
  readonly run: (endMs: number) => Promise<number>;
  readonly samples: Sample[];
}

async function bareCase(dir: string): Promise<Case & { readonly file: FileHandle }> {
  const file = await open(
    join(dir, "bare"),
    fsConstants.O_CREAT | fsConstants.O_RDWR | fsConstants.O_DSYNC,
  );
  for (let at = 0; at < BARE_FILE_BYTES; at += 2 ** 20) {
    await file.write(new Uint8Array(2 ** 20), 0, 2 ** 20, at);
  }
  let at = 0;
  const run = async (endMs: number) => {
    let count = 0;
    for (; performance.now() < endMs; count += 1) {
      await file.write(BLOCK, 0, BLOCK.length, at);
      at = (at + BLOCK.length) % BARE_FILE_BYTES;
    }
    return count;
  };
  return { name: "bare", run, samples: [], file };
}

function callersCase(topic: Topic, callers: number, batchRecords: number): Case {
  const records = Array.from({ length: batchRecords }, () => RECORD);
  const run = async (endMs: number) => {
    let count = 0;
    const caller = async () => {
      while (performance.now() < endMs) {
        await topic.produce({ records });
        count += batchRecords;
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return count;
  };
  return { name: `callers-${callers} x${batchRecords}`, run, samples: [] };
}

function streamCase(topic: Topic, window: number): Case {
  const run = (endMs: number) =>
    new Promise<number>((resolve, reject) => {
      let inFlight = 0;
      let count = 0;
      const fill = () => {
        const isOver = performance.now() >= endMs;
        if (isOver && inFlight === 0) resolve(count);
        if (isOver) return;
        for (; inFlight < window; inFlight += 1) {
          topic.produce({ records: [RECORD] }).then(acknowledged, reject);
        }
      };
      let fillsSoon = false;
      const acknowledged = () => {
        inFlight -= 1;
        count += 1;
        if (fillsSoon) return;
        fillsSoon = true;
        queueMicrotask(() => {
          fillsSoon = false;
          fill();
        });
      };
      fill();
    });
  return { name: `stream-${window}`, run, samples: [] };
}

function readCase(topic: Topic): Case {
  const run = async (endMs: number) => {
    let count = 0;
    let at = topic.status().firstOffset;
    while (performance.now() < endMs) {
      const found = await topic.readRun(at, READ_LIMITS);
      count += found.count;
      at = found.count === 0 ? topic.status().firstOffset : found.resumeOffset;
    }
    return count;
  };
  return { name: "read", run, samples: [] };
}

function tailCase(topic: Topic, tails: number): Case {
  const run = async (endMs: number) => {
    let count = 0;
    let isOver = false;
    const take = (found: RecordRun) => {
      count += found.count;
      return found.resumeOffset;
    };
    const goOn = (from: number) => {
      let at = from;
      for (;;) {
        const found = topic.readTail(at, READ_LIMITS);
        if (found === undefined) break;
        at = take(found);
      }
      if (isOver) return;
      // Behind what is in memory: from the disk.
      if (at < topic.status().nextOffset) topic.readRun(at, READ_LIMITS).then((r) => goOn(take(r)));
      else topic.follow(at, { wake: () => goOn(at), fail: () => {} });
    };
    const end = topic.status().nextOffset;
    for (let left = tails; left > 0; left -= 1) goOn(end);
    while (performance.now() < endMs) await topic.produce({ records: [RECORD] });
    isOver = true;
    return count;
  };
  return { name: `tail-${tails}`, run, samples: [] };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function sample(one: Case): Promise<void> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  const records = await one.run(began + durationMs);
  const { user, system } = process.cpuUsage(cpu);
  one.samples.push({
    records,
    seconds: (performance.now() - began) / 1000,
    cpuUs: user + system,
  });
}

async function main(dir: string): Promise<void> {
  const node = await Node.open({
    fs: openFileSystem(dir),
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: SILENT_LOGGER,
    core: () => openRaftCore({ logger: SILENT_LOGGER, onFailure: () => {} }),
    settings: { sync },
    identity: processIdentity(),
    isAlive: () => false,
    onFailure: (error) => {
      throw error;
    },
  });
  for (const name of ["read", "tail"]) await node.topics.create(name, {});
  const written = node.topics.topic("default");
  const read = node.topics.topic("read");
  for (let batch = 0; batch < 100 && isWanted("read"); batch += 1) {
    await read.produce({ records: Array.from({ length: 10_000 }, () => RECORD) });
  }
  const bare = await bareCase(dir);
  const cases = [
    bare,
    callersCase(written, 1, 1),
    callersCase(written, 64, 1),
    streamCase(written, 500),
    callersCase(written, 1, 100),
    callersCase(written, 16, 100),
    readCase(read),
    tailCase(node.topics.topic("tail"), 1000),
  ].filter(({ name }) => isWanted(name));
  // Compiled code and a filled page cache first.
  for (const one of cases) await one.run(performance.now() + durationMs);
  for (let round = 0; round < rounds; round += 1) for (const one of cases) await sample(one);
  for (const { name, samples } of cases) {
    const fields = {
      what: name,
      recordsPerSecond: Math.round(median(samples.map((s) => s.records / s.seconds))),
      cpuUsPerRecord: Number(median(samples.map((s) => s.cpuUs / s.records)).toFixed(3)),
    };
    process.stdout.write(`${JSON.stringify(fields)}\n`);
  }
  await bare.file.close();
  await node.close();
}

mkdirSync(values.dir, { recursive: true });
const dir = join(values.dir, `node-${process.pid}`);
mkdirSync(dir);
try {
  printBanner({ disk: dir, sync });
  await main(dir);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
