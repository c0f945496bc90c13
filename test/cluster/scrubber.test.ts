import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { noDamage } from "../../src/cluster/damage-counts.ts";
import { type ScrubbedTopic, Scrubber } from "../../src/cluster/scrubber.ts";
import { SimClock } from "../support/sim-clock.ts";

const FRAME_BYTES = 1_000;
const MINUTE_MS = 60_000;
const WEEK_MS = 7 * 24 * 60 * MINUTE_MS;

/** A topic of closed segments of ten records; `damaged` ones are mended when that is asked for. */
function fakeTopic(options: {
  segments: number;
  damaged?: number[];
  hopeless?: number[];
  startOffset?: number;
}) {
  const damaged = new Set([...(options.damaged ?? []), ...(options.hopeless ?? [])]);
  const read: number[] = [];
  const mended: number[] = [];
  const topic: ScrubbedTopic = {
    name: "events",
    isOpen: () => true,
    replica: {
      state: { startOffset: options.startOffset ?? 0 },
      segments: () =>
        Array.from({ length: options.segments + 1 }, (_, at) => ({
          base: at * 10,
          nextOffset: (at + 1) * 10,
          isOpen: at === options.segments,
        })),
      async *stored({ firstOffset, endOffset }) {
        for (let offset = firstOffset; offset < endOffset; offset += 1) {
          if (damaged.has(offset)) throw new ProglogError("STORE_CORRUPT", "damaged");
          read.push(offset);
          yield { firstOffset: offset, frames: [new Uint8Array(FRAME_BYTES)] };
        }
      },
      mend: async (offset) => {
        mended.push(offset);
        if (options.hopeless?.includes(offset)) return false;
        damaged.delete(offset);
        return true;
      },
    },
  };
  return { topic, read, mended };
}

function scrub(topic: ScrubbedTopic, bytesPerSecondMax = 1_000_000) {
  const clock = new SimClock();
  const counts = noDamage();
  const parts = { clock, counts, logger: SILENT_LOGGER, bytesPerSecondMax };
  return { clock, counts, scrubber: new Scrubber({ ...parts, topics: () => [topic] }) };
}

test("Closed segments are read at no more than the rate, and the open one is not", async () => {
  const { topic, read } = fakeTopic({ segments: 2 });
  const { clock, counts, scrubber } = scrub(topic, FRAME_BYTES);
  await clock.advance(10 * MINUTE_MS);
  await clock.advance(5_500);
  assert.equal(read.length, 6);
  await clock.advance(60_000);
  assert.deepEqual(
    read,
    Array.from({ length: 20 }, (_, at) => at),
  );
  assert.equal(counts.scrubbedBytes, 20 * FRAME_BYTES);
  await scrubber.close();
  assert.equal(clock.timerCount, 0);
});

test("The next round begins a week after the last one", async () => {
  const { topic, read } = fakeTopic({ segments: 1 });
  const { clock, scrubber } = scrub(topic);
  await clock.advance(10 * MINUTE_MS + WEEK_MS - 1_000);
  assert.equal(read.length, 10);
  await clock.advance(2_000);
  assert.equal(read.length, 20);
  await scrubber.close();
});

test("It goes on after what was made good, and leaves a segment where that was not possible", async () => {
  const { topic, read, mended } = fakeTopic({ segments: 2, damaged: [3, 5], hopeless: [12] });
  const { clock, scrubber } = scrub(topic);
  await clock.advance(11 * MINUTE_MS);
  assert.deepEqual(mended, [3, 5, 12]);
  assert.deepEqual(read, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  await scrubber.close();
});

test("What was trimmed is not read", async () => {
  const { topic, read } = fakeTopic({ segments: 2, startOffset: 15 });
  const { clock, scrubber } = scrub(topic);
  await clock.advance(11 * MINUTE_MS);
  assert.deepEqual(read, [15, 16, 17, 18, 19]);
  await scrubber.close();
});
