import assert from "node:assert/strict";
import { test } from "node:test";
import { toOffset } from "../../src/base/units.ts";
import { STREAM_BYTES_MAX } from "../../src/rpc/limits.ts";
import { KnownPlaces } from "../../src/storage/known-places.ts";
import { Log } from "../../src/storage/log.ts";
import {
  giveBackReadBuffer,
  READ_BUFFER_BYTES,
  takeReadBuffer,
} from "../../src/storage/read-buffers.ts";
import { appendBodies, checkedOptions, INDEX_0, onDisks } from "./fixture.ts";

const BODY_BYTES = 1000;
const RECORDS = 2000;
const LIMITS = { bytesMax: READ_BUFFER_BYTES, recordsMax: RECORDS, givesBack: true };

/** Of a topic's records, each of which says which one it is. */
const bodyOf = (record: number): Uint8Array => {
  const body = new Uint8Array(BODY_BYTES).fill(record & 255);
  new DataView(body.buffer).setUint32(0, record);
  return body;
};

function checkRun(run: Awaited<ReturnType<Log["readRun"]>>, from: number): number {
  assert.ok(run !== undefined && run.count > 0);
  for (let at = 0; at < run.count; at += 1) {
    assert.equal(run.offsets[at], from + at);
    assert.deepEqual(run.bytes.subarray(run.starts[at], run.ends[at]), bodyOf(from + at));
  }
  return run.resumeOffset;
}

onDisks("readers that take turns read all, in memory that is used again", async (fs) => {
  const log = await Log.open(checkedOptions(fs));
  for (let at = 0; at < RECORDS; at += 100) {
    appendBodies(
      log,
      Array.from({ length: 100 }, (_, record) => bodyOf(at + record)),
    );
  }
  await log.written();
  const memory = new Set<ArrayBufferLike>();
  const readers = [0, 3, 700].map((from) => ({ from, isDone: false }));
  while (readers.some(({ isDone }) => !isDone)) {
    const open = readers.filter(({ isDone }) => !isDone);
    const runs = await Promise.all(open.map(({ from }) => log.readRun(toOffset(from), LIMITS)));
    for (const [at, run] of runs.entries()) {
      const reader = open[at];
      assert.ok(reader && run);
      reader.from = checkRun(run, reader.from);
      reader.isDone = reader.from === RECORDS;
      memory.add(run.bytes.buffer);
    }
    for (const run of runs) run?.giveBack?.();
  }
  // The last reads are small, and have their own.
  assert.ok(memory.size <= 2 * readers.length, `${memory.size}`);
  await log.close();
});

onDisks("who reads on needs no index, and who begins in the middle does", async (fs) => {
  const log = await Log.open(checkedOptions(fs));
  appendBodies(
    log,
    Array.from({ length: 100 }, (_, record) => bodyOf(record)),
  );
  await log.sync();
  const limits = { bytesMax: 10 * BODY_BYTES, recordsMax: 100 };
  const next = checkRun(await log.readRun(toOffset(0), limits), 0);
  const index = await fs.open(INDEX_0, { mode: "write" });
  await index.truncate(0);
  await index.close();
  assert.equal(await log.readRun(toOffset(next + 1), limits), undefined);
  checkRun(await log.readRun(toOffset(next), limits), next);
  await log.close();
});

test("a buffer that was not given back is nobody else's", () => {
  const first = takeReadBuffer(READ_BUFFER_BYTES) ?? assert.fail();
  const second = takeReadBuffer(READ_BUFFER_BYTES) ?? assert.fail();
  assert.notEqual(first, second);
  giveBackReadBuffer(first);
  assert.equal(takeReadBuffer(READ_BUFFER_BYTES), first);
  for (const buffer of [first, second]) giveBackReadBuffer(buffer);
});

test("memory is used again for messages of streams, and not for small or very large reads", () => {
  assert.ok(STREAM_BYTES_MAX <= READ_BUFFER_BYTES);
  assert.equal(takeReadBuffer(1000), undefined);
  assert.equal(takeReadBuffer(READ_BUFFER_BYTES + 1), undefined);
});

test("places are told once, and the oldest forgotten", () => {
  const places = new KnownPlaces();
  for (let record = 0; record < 100; record += 1) places.put(record, record * 10);
  assert.equal(places.take(0), undefined);
  assert.equal(places.take(99), 990);
  assert.equal(places.take(99), undefined);
});
