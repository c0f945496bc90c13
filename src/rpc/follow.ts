import type { ReadResult, Topic } from "../topics/topics.ts";
import type { AnswerShare } from "./answer-budget.ts";
import { STREAM_RESERVE_BYTES } from "./limits.ts";
import { MoreRecords, type WaitOptions } from "./more-records.ts";
import { type AnswerLimits, readRecords } from "./read-topic.ts";

export interface FollowOptions extends WaitOptions {
  readonly offset: number;
  /** Of one message. With `endOffset` the stream ends before that offset. */
  readonly limits: AnswerLimits;
  /** Longest silence. */
  readonly heartbeatMs: number;
  /** Where what is read and not yet taken is counted; undefined: nowhere. */
  readonly share?: AnswerShare | undefined;
}

/**
 * Records from an offset on, and then those still to come. The first result comes
 * at once, later ones have records or end a silence. Reads on only when the last
 * result was taken; waits without polling.
 *
 * @throws OFFSET_OUT_OF_RANGE, STORE_CORRUPT, TOPIC_NOT_FOUND, DRAINING, the signal's reason
 */
export async function* follow(topic: Topic, options: FollowOptions): AsyncGenerator<ReadResult> {
  const { limits, heartbeatMs, clock, share } = options;
  const { endOffset } = limits;
  const more = new MoreRecords(topic, options);
  let { offset } = options;
  let heartbeatDueMs = clock.monotonicMs();
  try {
    for (;;) {
      await share?.take(STREAM_RESERVE_BYTES);
      more.throwIfStopped();
      const result = await readRecords(topic, offset, limits);
      share?.hold(sizeOf(result, limits));
      offset = result.resumeOffset;
      if (result.records.length > 0 || clock.monotonicMs() >= heartbeatDueMs) {
        yield result;
        share?.giveBack(); // a small one may be taken without a wait for the client
        heartbeatDueMs = clock.monotonicMs() + heartbeatMs;
      }
      if (endOffset !== undefined && offset >= endOffset) return;
      if (offset >= result.highWatermark) await more.wait(offset, heartbeatDueMs);
    }
  } finally {
    more.close();
  }
}

function sizeOf({ records }: ReadResult, limits: AnswerLimits): number {
  return records.reduce((size, record) => size + limits.sizeOf(record), 0);
}
