// Goal: whatever callers do at the same time, the log is an array. Method: appenders, readers,
// scanners, a trimmer and a syncer run interleaved, with a disk that is full now and then; each
// answer is compared with a plain array that was changed at the same moments.
// Replay one run: SEED=17 node --test test/storage/log-concurrent.test.ts
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bytesEqual } from "../../src/base/bytes.ts";
import { hasReason } from "../../src/base/errors.ts";
import { type Offset, toOffset } from "../../src/base/units.ts";
import { bunRuntime } from "../../src/platform/bun-file-system.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { openFileSystem } from "../../src/platform/open-file-system.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { checkFrame } from "../../src/storage/frame.ts";
import { Log } from "../../src/storage/log.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { SimClock } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { appendBodies, logOptions, onDisks } from "./fixture.ts";

const ACTIONS = 60;

class Twin {
  readonly #random: () => number;
  readonly #log: Log;
  /** Bodies of all records that were ever appended, by offset. */
  readonly #bodies: Uint8Array[] = [];

  constructor(log: Log, random: () => number) {
    this.#log = log;
    this.#random = random;
  }

  /** Runs all callers to their end. */
  async run(): Promise<void> {
    const callers = [this.#append, this.#append, this.#append, this.#read, this.#read];
    const others = [this.#readMany, this.#scan, this.#trim, this.#sync];
    await Promise.all([...callers, ...others].map((act) => this.#repeat(() => act.call(this))));
    await this.#check(this.#log);
  }

  /** That `log` holds what was appended, from its first offset on. */
  async #check(log: Log): Promise<void> {
    assert.equal(log.nextOffset, this.#bodies.length);
    let next = log.firstOffset as number;
    for await (const { offset, data } of log.scan(log.firstOffset)) {
      assert.equal(offset, next);
      this.#compare(data, offset);
      next += 1;
    }
    assert.equal(next, this.#bodies.length);
  }

  async #repeat(act: () => Promise<void>): Promise<void> {
    for (let left = ACTIONS; left > 0; left -= 1) {
      await act();
      for (let turns = this.#integer(0, 20); turns > 0; turns -= 1) await undefined;
    }
  }

  async #append(): Promise<void> {
    if (!this.#log.hasRoom()) await this.#log.whenRoom();
    const bodies = Array.from({ length: this.#integer(1, 5) }, () =>
      new Uint8Array(this.#integer(0, 60)).fill(this.#integer(0, 255)),
    );
    const offset = appendBodies(this.#log, bodies, this.#bodies.length);
    assert.equal(offset, this.#bodies.length);
    this.#bodies.push(...bodies);
    assert.equal(this.#log.nextOffset, this.#bodies.length);
    if (this.#random() < 0.1) this.#log.roll();
    if (this.#random() < 0.2) await this.#log.written();
  }

  async #read(): Promise<void> {
    const { firstOffset, nextOffset } = this.#log;
    const offset = toOffset(this.#integer(Math.max(0, firstOffset - 2), nextOffset + 2));
    const isThere = offset >= firstOffset && offset < nextOffset;
    const reading = this.#log.read(offset);
    if (isThere) this.#compare(await reading, offset);
    else await assert.rejects(reading, { reason: "OFFSET_OUT_OF_RANGE" });
  }

  async #readMany(): Promise<void> {
    const { firstOffset, nextOffset } = this.#log;
    const from = toOffset(this.#integer(firstOffset, nextOffset));
    const limits = {
      bytesMax: this.#integer(1, 2000),
      recordsMax: this.#integer(1, 50),
      end: this.#random() < 0.3 ? toOffset(from + this.#integer(0, 10)) : undefined,
    };
    const { bytes, ends, first } = await this.#log.readFrames(from, limits);
    const end = Math.min(limits.end ?? nextOffset, nextOffset);
    assert.equal(first, from);
    assert.equal(ends.length > 0, from < end);
    assert.ok(ends.length <= limits.recordsMax && from + ends.length <= end);
    assert.ok(ends.length <= 1 || bytes.length <= limits.bytesMax);
    assert.equal(ends.at(-1) ?? 0, bytes.length);
    let start = 0;
    for (const [at, frameEnd] of ends.entries()) {
      this.#compare(bytes.subarray(start + 8, frameEnd), toOffset(from + at));
      start = frameEnd;
    }
  }

  async #scan(): Promise<void> {
    const { firstOffset, nextOffset } = this.#log;
    let next = this.#integer(firstOffset, nextOffset);
    try {
      for await (const { offset, data } of this.#log.scan(toOffset(next))) {
        assert.equal(offset, next);
        this.#compare(data, offset);
        next += 1;
      }
      assert.ok(next >= nextOffset);
    } catch (error) {
      // Trimmed while it was being read: then, and only then, the rest is refused.
      if (!hasReason(error, "OFFSET_OUT_OF_RANGE")) throw error;
      assert.ok(next < this.#log.firstOffset);
    }
  }

  async #trim(): Promise<void> {
    const { firstOffset, nextOffset } = this.#log;
    if (this.#random() < 0.7) return;
    const offset = this.#integer(firstOffset, nextOffset);
    const trimming = this.#log.trimBefore(toOffset(offset));
    assert.ok(this.#log.firstOffset <= Math.max(offset, firstOffset));
    await trimming;
  }

  async #sync(): Promise<void> {
    const { nextOffset } = this.#log;
    const { segments } = await this.#log.sync();
    const last = segments.at(-1);
    assert.ok(last !== undefined && last.base + last.records >= nextOffset);
  }

  #compare(data: Uint8Array, offset: Offset): void {
    const body = this.#bodies[offset] ?? new Uint8Array(0);
    assert.equal(checkFrame(data, offset), "valid");
    assert.ok(bytesEqual(data.subarray(data.length - body.length), body), `at offset ${offset}`);
  }

  #integer(min: number, max: number): number {
    return integerFrom(this.#random, min, max);
  }
}

async function openRandom(fs: FileSystem, random: () => number, clock: SimClock | SystemClock) {
  return await Log.open(
    logOptions(fs, {
      clock,
      check: checkFrame,
      segmentBytesMax: integerFrom(random, 1, 3000),
      segmentRecordsMax: integerFrom(random, 1, 60),
      pendingBytesMax: integerFrom(random, 1, 3000),
      onFailure: (error) => assert.fail(`nothing was broken: ${error}`),
    }),
  );
}

for (const seed of seedsFromEnv(40)) {
  test(`concurrent callers see one array (seed ${seed})`, async () => {
    const random = makeRandom(seed);
    const fs = new SimFileSystem(random);
    const clock = new SimClock();
    const log = await openRandom(fs, random, clock);
    let isDone = false;
    const running = new Twin(log, random).run().finally(() => {
      isDone = true;
    });
    // The disk fills up and is emptied, again and again.
    while (!isDone) {
      fs.setCapacity(fs.usedBytes + integerFrom(random, 0, 2000));
      await clock.advance(100);
      if (random() < 0.3) fs.setCapacity(Number.POSITIVE_INFINITY);
      await clock.advance(1000);
    }
    await running;
    fs.setCapacity(Number.POSITIVE_INFINITY);
    await log.close();
    const again = await Log.open(logOptions(fs, { check: checkFrame }));
    assert.equal(again.nextOffset, log.nextOffset);
    assert.deepEqual([again.recovery.cutBytes, again.recovery.rebuiltIndexes], [0, 0]);
    await again.close();
  });
}

onDisks("concurrent callers see one array, at the speed of this disk", async (fs) => {
  const random = makeRandom(1);
  const log = await openRandom(fs, random, new SystemClock());
  await new Twin(log, random).run();
  await log.close();
});

test("concurrent callers see one array, through memory maps", {
  skip: bunRuntime() === undefined,
}, async () => {
  const root = await mkdtemp(join(tmpdir(), "proglog-storage-"));
  try {
    const random = makeRandom(2);
    const log = await openRandom(openFileSystem(root, { mmap: true }), random, new SystemClock());
    await new Twin(log, random).run();
    await log.close();
  } finally {
    await rm(root, { recursive: true });
  }
});
