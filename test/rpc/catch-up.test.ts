import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { LogService } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { GRPC, WAYS, type Way } from "./api.ts";
import { startNode } from "./real-node.ts";

// Goal: memory of reads is used again, and nobody ever sees another one's records in it. Method: readers of all ways,
// fast ones, slow ones and such that leave and come back, read a topic that is larger than what is in memory, all at
// once; each byte of each record says which record it is of.

const TOPIC = { topic: "default" };
const RECORDS = 12_000;
const BATCH = 500;
const BYTES_MAX = 4000;

const PATTERNS = Array.from({ length: 251 }, (_, seed) =>
  Uint8Array.from({ length: BYTES_MAX }, (_, at) => (at * 7 + (at >> 8) * 13 + seed) & 255),
);

function valueAt(offset: number): Uint8Array {
  const pattern = PATTERNS[offset % PATTERNS.length] ?? assert.fail();
  return pattern.subarray(0, (offset * 7919) % BYTES_MAX);
}

interface Reader {
  readonly way: Way;
  /** After each message. */
  readonly pauseMs: number;
  /** Ends its call after so many messages, and begins a new one where it was. */
  readonly messagesMax: number;
}

async function readAll(port: number, { way, pauseMs, messagesMax }: Reader): Promise<number> {
  const client = createClient(LogService, way.open(port));
  let next = 0;
  while (next < RECORDS) {
    const start = { case: "offset", value: BigInt(next) } as const;
    const request = { ...TOPIC, start, endOffset: BigInt(RECORDS) };
    let messages = 0;
    for await (const { records } of client.consumeStream(request)) {
      for (const { offset, record } of records) {
        assert.equal(Number(offset), next);
        const value = record?.value ?? assert.fail();
        assert.equal(Buffer.compare(value, valueAt(next)), 0, `record ${next} (${way.name})`);
        next += 1;
      }
      messages += 1;
      if (messages === messagesMax) break;
      if (pauseMs > 0) await pause(pauseMs);
    }
  }
  return next;
}

test("readers that share memory in turn get exactly what was written", async (t) => {
  const server = await startNode(t);
  const producer = createClient(LogService, GRPC.open(server.port));
  for (let first = 0; first < RECORDS; first += BATCH) {
    const records = Array.from({ length: BATCH }, (_, at) => ({ value: valueAt(first + at) }));
    await producer.produce({ ...TOPIC, records });
  }
  const binary = WAYS.filter(({ isBinary }) => isBinary);
  const readers: Reader[] = [
    ...binary.map((way) => ({ way, pauseMs: 0, messagesMax: Number.POSITIVE_INFINITY })),
    ...binary.map((way) => ({ way, pauseMs: 8, messagesMax: Number.POSITIVE_INFINITY })),
    ...binary.map((way) => ({ way, pauseMs: 0, messagesMax: 3 })),
    { way: GRPC, pauseMs: 3, messagesMax: 20 },
  ];
  const counts = await Promise.all(readers.map((reader) => readAll(server.port, reader)));
  assert.deepEqual(new Set(counts), new Set([RECORDS]));
});
