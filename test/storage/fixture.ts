import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { spansOf } from "../../src/base/record-spans.ts";
import { type Offset, toPosition } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { openFileSystem } from "../../src/platform/open-file-system.ts";
import { checkFrame, encodeBatch } from "../../src/storage/frame.ts";
import type { Log } from "../../src/storage/log.ts";
import type { LogOptions } from "../../src/storage/log-types.ts";
import { makeRandom } from "../support/prng.ts";
import { SimClock } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";

/** Where the logs of the tests lie. */
export const DIR = "log";
export const STORE_0 = `${DIR}/00000000000000000000.log`;
export const INDEX_0 = `${DIR}/00000000000000000000.idx`;

/** Runs a test on the simulated disk and on the real one, through this runtime's file system. */
export function onDisks(name: string, run: (fs: FileSystem) => Promise<void>): void {
  test(`${name} (simulated)`, () => run(new SimFileSystem(makeRandom(1))));
  test(`${name} (on disk)`, async () => {
    const root = await mkdtemp(join(tmpdir(), "proglog-storage-"));
    try {
      await run(openFileSystem(root));
    } finally {
      await rm(root, { recursive: true });
    }
  });
}

/** Options of a log that rolls by size only, and late. */
export function logOptions(fs: FileSystem, changes: Partial<LogOptions> = {}): LogOptions {
  return {
    fs,
    dir: DIR,
    logger: SILENT_LOGGER,
    clock: new SimClock(),
    segmentBytesMax: 2 ** 30,
    segmentRecordsMax: 2 ** 30,
    ...changes,
  };
}

/** As a topic opens its log: with the envelope's check. */
export function checkedOptions(fs: FileSystem, changes: Partial<LogOptions> = {}): LogOptions {
  return logOptions(fs, { check: checkFrame, ...changes });
}

/** Frames `bodies` in their envelope and appends them. */
export function appendBodies(log: Log, bodies: readonly Uint8Array[], raftIndex = 2): Offset {
  const firstOffset = log.nextOffset;
  return log.append(
    encodeBatch({ firstOffset, raftIndex, appendTimeUs: 1_000_000, records: spansOf(bodies) }),
  );
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

export function fromHex(input: string): Uint8Array {
  return Uint8Array.from(input.match(/[0-9a-f]{2}/gi) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Data of all records from the first one, as texts. */
export async function allTexts(log: Log): Promise<string[]> {
  const found: string[] = [];
  for await (const { data } of log.scan(log.firstOffset)) found.push(text(data));
  return found;
}

/** Data of all records from the first one. */
export async function allData(log: Log): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for await (const { data } of log.scan(log.firstOffset)) found.push(data.slice());
  return found;
}

export async function readFile(fs: FileSystem, path: string): Promise<Uint8Array> {
  const file = await fs.open(path, { mode: "read" });
  try {
    const bytes = new Uint8Array(await file.size());
    await file.read(bytes, toPosition(0));
    return bytes;
  } finally {
    await file.close();
  }
}

/** Makes the file hold `bytes` and nothing else; makes its folder too. */
export async function writeFile(fs: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  await fs.makeDir(path.slice(0, path.lastIndexOf("/")));
  const file = await fs.open(path, { mode: "create" });
  try {
    await file.truncate(0);
    await file.write([bytes], toPosition(0));
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Inverts one bit of a file. */
export async function flipBit(fs: FileSystem, path: string, byte: number, bit = 0): Promise<void> {
  const bytes = await readFile(fs, path);
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << bit);
  await writeFile(fs, path, bytes);
}

/** Names of the log's files. */
export function names(fs: FileSystem): Promise<readonly string[]> {
  return fs.list(DIR);
}
