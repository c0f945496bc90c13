import { hasReason } from "../base/errors.ts";
import type { Topic } from "../topics/topics.ts";
import { emptyPortion, joinPortions, type Portion, portionOf } from "./read-topic.ts";
import { type TailOptions, TopicTail } from "./topic-tail.ts";

export interface LongPollOptions
  extends Pick<TailOptions, "limits" | "clock" | "call" | "draining"> {
  /** How long to wait for a first record when there is none. */
  readonly waitMs: number;
}

/** Reads once, and when there is nothing yet, again as soon as there is something. */
export async function longPoll(
  topic: Topic,
  offset: number,
  options: LongPollOptions,
): Promise<Portion> {
  const { waitMs, ...rest } = options;
  const tail = new TopicTail(topic, {
    ...rest,
    offset,
    firstMs: waitMs,
    silenceMs: waitMs,
    sharesTail: false,
  });
  try {
    const found = await tail.next();
    if (found === undefined) return emptyPortion(tail.offset, topic.status().nextOffset);
    return await readMore(topic, found, options.limits);
  } catch (thrown) {
    if (!hasReason(thrown, "DRAINING")) throw thrown;
    // Nothing came before the server stops, which is an answer too.
    return emptyPortion(tail.offset, topic.status().nextOffset);
  } finally {
    tail.close();
  }
}

/** A run ends where a file does: goes on while a good part of the limits is left. */
async function readMore(
  topic: Topic,
  found: Portion,
  limits: LongPollOptions["limits"],
): Promise<Portion> {
  let portion = found;
  for (;;) {
    const { resumeOffset, highWatermark, recordCount, byteLength } = portion;
    const bytesMax = limits.bytesMax - byteLength;
    const recordsMax = limits.recordsMax - recordCount;
    const endOffset = Math.min(highWatermark, limits.endOffset ?? highWatermark);
    const isFull = recordsMax <= 0 || bytesMax < limits.bytesMax / 4 || recordCount === 0;
    if (isFull || resumeOffset >= endOffset) return portion;
    const rest = { ...limits, bytesMax, recordsMax };
    const run = await topic.readRun(resumeOffset, rest).catch(() => undefined);
    // What lies before the damage is to be had; the next read begins at it and says so.
    if (run === undefined) return portion;
    const more = portionOf(run, rest, highWatermark);
    if (more.byteLength > bytesMax) return portion;
    portion = joinPortions(portion, more);
  }
}
