import { hasReason } from "../base/errors.ts";
import type { ReadResult, Topic } from "../topics/topics.ts";
import { MoreRecords, type WaitOptions } from "./more-records.ts";
import { type AnswerLimits, readRecords } from "./read-topic.ts";

export interface LongPollOptions extends WaitOptions {
  readonly limits: AnswerLimits;
  /** How long to wait for a first record when there is none. */
  readonly waitMs: number;
}

/** Reads once, and when there is nothing yet, again as soon as there is something. */
export async function longPoll(
  topic: Topic,
  offset: number,
  options: LongPollOptions,
): Promise<ReadResult> {
  const { limits, waitMs, clock } = options;
  const dueMs = clock.monotonicMs() + waitMs;
  let result = await readRecords(topic, offset, limits);
  if (result.records.length > 0 || waitMs === 0) return result;
  const more = new MoreRecords(topic, options);
  try {
    while (result.records.length === 0 && clock.monotonicMs() < dueMs) {
      await more.wait(result.resumeOffset, dueMs);
      result = await readRecords(topic, result.resumeOffset, limits);
    }
    return result;
  } catch (thrown) {
    // Nothing came before the server stops, which is an answer too.
    if (hasReason(thrown, "DRAINING")) return result;
    throw thrown;
  } finally {
    more.close();
  }
}
