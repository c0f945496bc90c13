/**
 * What the journal costs beside the bare disk.
 *
 *   bun bench/journal.ts [--dir DIR] [--rounds 31] [--milliseconds 50]
 *   node bench/journal.ts
 *
 * All cases run interleaved, round by round, and the medians are printed as JSON
 * lines: a shared machine changes its mind from second to second, ratios do not.
 *
 * - bare: overwrite 4 KiB of a preallocated file, then fdatasync, one after the
 *   other through the runtime's thread pool. bare-dsync: one O_DSYNC write instead.
 * - append-N: N concurrent appenders of 100 B, each waits for its answer.
 * - replicas-1, replicas-1000: 256 appenders that go round so many replicas.
 */
import {
  closeSync,
  fdatasync,
  constants as fsConstants,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  write,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SILENT_LOGGER } from "../src/base/log.ts";
import { Journal } from "../src/journal/journal.ts";
import { openFileSystem } from "../src/platform/open-file-system.ts";
import { SystemClock } from "../src/platform/system-clock.ts";
import { SystemRandom } from "../src/platform/system-random.ts";
import { printBanner } from "./support/banner.ts";

const BLOCK = new Uint8Array(4096).fill(7);
const BARE_FILE_BYTES = 64 * 2 ** 20;
const PAYLOAD = [new Uint8Array(100).fill(120)];
/** Entries of a replica that are kept; the rest is checkpointed, so that files are recycled as in service. */
const KEPT_ENTRIES = 1000;

const { values } = parseArgs({
  options: {
    dir: { type: "string", default: "data" },
    rounds: { type: "string", default: "31" },
    milliseconds: { type: "string", default: "50" },
  },
});
const rounds = Number(values.rounds);
const durationMs = Number(values.milliseconds);

interface Sample {
  readonly syncs: number;
  readonly records: number;
  readonly seconds: number;
}

interface Case {
  readonly name: string;
  readonly run: () => Promise<Sample>;
  readonly samples: Sample[];
}

function bareCase(name: string, dir: string, isDsync: boolean): Case {
  const path = join(dir, name);
  const zeros = new Uint8Array(2 ** 20);
  const made = openSync(path, "w");
  for (let at = 0; at < BARE_FILE_BYTES; at += zeros.length) writeSync(made, zeros);
  fsyncSync(made);
  closeSync(made);
  const fd = openSync(path, fsConstants.O_RDWR | (isDsync ? fsConstants.O_DSYNC : 0));
  let at = 0;
  const once = (done: () => void, failed: (error: Error) => void) => {
    write(fd, BLOCK, 0, BLOCK.length, at, (error) => {
      if (error !== null) return failed(error);
      if (isDsync) return done();
      fdatasync(fd, (syncError) => (syncError === null ? done() : failed(syncError)));
    });
    at = (at + BLOCK.length) % BARE_FILE_BYTES;
  };
  const run = async (): Promise<Sample> => {
    const began = performance.now();
    let syncs = 0;
    while (performance.now() - began < durationMs) {
      await new Promise<void>(once);
      syncs += 1;
    }
    return { syncs, records: 0, seconds: (performance.now() - began) / 1000 };
  };
  return { name, run, samples: [] };
}

/** Appends for a while with so many appenders over so many replicas. */
function journalCase(
  name: string,
  journal: Journal,
  load: { readonly appenders: number; readonly replicaIds: readonly number[] },
): Case {
  const appendNext = (replicaId: number, index: number) =>
    new Promise<void>((resolve, reject) => {
      const entry = { index, term: 1, kind: 0, payload: PAYLOAD };
      journal.appendRaft({ replicaId, entries: [entry] }, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
  const run = async (): Promise<Sample> => {
    const next = new Map(load.replicaIds.map((id) => [id, journal.lastIndex(id) + 1]));
    const flushes = journal.flushCount;
    const began = performance.now();
    let records = 0;
    let turn = 0;
    const appender = async () => {
      while (performance.now() - began < durationMs) {
        const replicaId = load.replicaIds[turn % load.replicaIds.length] ?? 1;
        turn += 1;
        const index = next.get(replicaId) ?? 0;
        next.set(replicaId, index + 1);
        await appendNext(replicaId, index);
        records += 1;
        if (index % KEPT_ENTRIES === 0) {
          journal.setCheckpoint(replicaId, Math.min(index, journal.lastIndex(replicaId)), 1);
        }
      }
    };
    await Promise.all(Array.from({ length: load.appenders }, appender));
    const seconds = (performance.now() - began) / 1000;
    for (const id of load.replicaIds) journal.setCheckpoint(id, journal.lastIndex(id), 1);
    return { syncs: journal.flushCount - flushes, records, seconds };
  };
  return { name, run, samples: [] };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function rateOf({ samples }: Case): number {
  return median(samples.map(({ syncs, seconds }) => syncs / seconds));
}

async function main(dir: string): Promise<void> {
  const journal = await Journal.open({
    fs: openFileSystem(dir),
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: SILENT_LOGGER,
    sync: "always",
    onFailure: (error) => {
      throw error;
    },
  });
  const replicaIds = Array.from({ length: 1000 }, (_, at) => at + 1);
  const adding = replicaIds.map((replicaId) =>
    journal.addReplica({
      replicaId,
      topicId: replicaId,
      term: 1,
      vote: 1,
      commit: 1,
      snapshotIndex: 1,
      snapshotTerm: 1,
    }),
  );
  await Promise.all(adding);
  const bare = bareCase("bare", dir, false);
  const append = (appenders: number) =>
    journalCase(`append-${appenders}`, journal, { appenders, replicaIds: [1] });
  const cases = [
    bare,
    bareCase("bare-dsync", dir, true),
    append(1),
    append(8),
    append(64),
    append(256),
    journalCase("replicas-1", journal, { appenders: 256, replicaIds: [1] }),
    journalCase("replicas-1000", journal, { appenders: 256, replicaIds }),
  ];
  // Compiled code and a filled page cache first.
  for (const { run } of cases) await run();
  for (let round = 0; round < rounds; round += 1) {
    for (const { run, samples } of cases) samples.push(await run());
  }
  for (const one of cases) {
    const { name, samples } = one;
    const fields = {
      what: name,
      syncsPerSecond: Math.round(rateOf(one)),
      // Of the same round, so that a slow second of the disk counts on both sides.
      toBare: median(samples.map((sample, at) => ratio(sample, bare.samples[at]))).toFixed(2),
      recordsPerSecond: Math.round(median(samples.map((s) => s.records / s.seconds))),
      recordsPerSync: Number(median(samples.map((s) => s.records / s.syncs)).toFixed(1)),
    };
    process.stdout.write(`${JSON.stringify(fields)}\n`);
  }
  await journal.close();
}

function ratio(sample: Sample, bare: Sample | undefined): number {
  if (bare === undefined) return Number.NaN;
  return sample.syncs / sample.seconds / (bare.syncs / bare.seconds);
}

const dir = join(values.dir, `bench-journal-${process.pid}`);
mkdirSync(dir, { recursive: true });
try {
  printBanner({ disk: dir, sync: "always" });
  await main(dir);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
