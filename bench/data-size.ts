/**
 * What a large log costs the executable: memory while it is written and read, and
 * the time from a start after kill -9 to the first read.
 *
 *   node bench/data-size.ts [--bytes 10GiB]     default 2 GiB; records of 1 KiB
 *
 * Prints JSON lines. Needs `npm run build`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeFolder, removeFolder, ServerProcess } from "../test/e2e/server-process.ts";
import { printBanner } from "./support/banner.ts";

const RECORD_BYTES = 1024;
const BATCH_RECORDS = 1000;
const IN_FLIGHT = 8;
const GIB = 2 ** 30;

const { values } = parseArgs({ options: { bytes: { type: "string", default: "2GiB" } } });
const sizeBytes = Number.parseFloat(values.bytes) * (values.bytes.endsWith("GiB") ? GIB : 1);

interface Memory {
  readonly rssMb: number;
  readonly peakMb: number;
}

function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mb = (key: string): number =>
    Math.round(Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) / 1024);
  return { rssMb: mb("VmRSS"), peakMb: mb("VmHWM") };
}

function say(what: string, fields: Readonly<Record<string, number | string>>): void {
  process.stdout.write(`${JSON.stringify({ what, ...fields })}\n`);
}

async function write(server: ServerProcess): Promise<void> {
  const { log } = server.clients();
  const value = new Uint8Array(RECORD_BYTES - 20).fill(7);
  const records = Array.from({ length: BATCH_RECORDS }, () => ({ value }));
  const batches = Math.ceil(sizeBytes / (RECORD_BYTES * BATCH_RECORDS));
  let left = batches;
  const began = performance.now();
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await log.produce({ topic: "default", records });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  const seconds = (performance.now() - began) / 1000;
  say("written", {
    seconds: seconds.toFixed(1),
    mbPerSecond: Math.round(sizeBytes / 2 ** 20 / seconds),
    ...memoryOf(server.pid),
  });
}

async function read(server: ServerProcess): Promise<void> {
  const began = performance.now();
  let count = 0;
  const end =
    (await server.clients().topics.getTopic({ topic: "default" })).status?.nextOffset ?? 0n;
  const start = { case: "offset", value: 0n } as const;
  const call = { topic: "default", start, endOffset: end };
  for await (const { records } of server.clients().log.consumeStream(call)) count += records.length;
  const seconds = (performance.now() - began) / 1000;
  say("read", {
    records: count,
    recordsPerSecond: Math.round(count / seconds),
    ...memoryOf(server.pid),
  });
}

/** Time from the start of the process to the answer to a first read of the last record. */
async function restart(dir: string, what: string): Promise<ServerProcess> {
  const began = performance.now();
  const server = await ServerProcess.start(dir);
  const ready = performance.now();
  await server
    .clients()
    .log.consume({ topic: "default", start: { case: "lastRecords", value: 1n } });
  const answered = performance.now();
  say(what, {
    readyMs: Math.round(ready - began),
    firstReadMs: Math.round(answered - began),
    ...memoryOf(server.pid),
  });
  return server;
}

const dir = makeFolder("bench");
try {
  printBanner({ disk: dir, sync: "always" });
  const data = join(dir, "data");
  let server = await ServerProcess.start(data);
  await new Promise((go) => setTimeout(go, 1000));
  say("idle", { ...memoryOf(server.pid) });
  await write(server);
  await read(server);
  await server.kill();
  server = await restart(data, "start after kill -9");
  await server.kill();
  server = await restart(data, "start after a second kill -9");
  await server.stop();
  server = await restart(data, "start after a clean stop");
  await server.stop();
} finally {
  removeFolder(dir);
}
