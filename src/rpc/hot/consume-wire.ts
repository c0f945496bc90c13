import type { RecordRun } from "../../topics/topics.ts";
import { toDuration } from "../fields.ts";
import type { Encoded } from "../lean/lean-method.ts";
import type { Measure, Portion } from "../read-topic.ts";
import { encodeConsumed, measureConsumed } from "./consumed-wire.ts";
import { writeVarintField } from "./wire-writer.ts";

/**
 * What follows the records in ConsumeResponse and ConsumeStreamResponse:
 *
 *     [10 resume offset] [18 high watermark] [20 topic id] [2A size [08 seconds] [10 nanos]]
 *
 * Zeros are the default and not written.
 */
const RESUME_OFFSET = 2;
const HIGH_WATERMARK = 3;
const TOPIC_ID = 4;
const HEARTBEAT_TAG = (5 << 3) | 2;

/** Five fields of 53 bits, and tag and size of the interval. */
const REST_BYTES_MAX = 5 * 9 + 2;

/** What only some answers say. */
export interface AnswerExtras {
  readonly topicId?: number;
  readonly heartbeatMs?: number;
}

/** A ConsumeResponse, or a ConsumeStreamResponse. */
export function encodeAnswer(portion: Portion, extras: AnswerExtras): Encoded {
  const parts = portion.runs.map(({ run, measure }) => encodeConsumed(run, measure));
  return finish(parts, portion, extras);
}

/**
 * Answers from memory, which many readers get: each run is measured and encoded once.
 * For portions that are whole runs.
 */
export class SharedAnswers {
  readonly #known = new WeakMap<RecordRun, SharedAnswer>();

  /** As `AnswerLimits.measure`, of the whole run. */
  readonly measure = (run: RecordRun): Measure => this.#of(run).measure;

  /** The same object for all who get the same. */
  encode(portion: Portion): Encoded {
    const [first] = portion.runs;
    if (first === undefined) return finish([], portion, {});
    const shared = this.#of(first.run);
    const { highWatermark } = portion;
    if (shared.answer === undefined || shared.highWatermark !== highWatermark) {
      shared.records ??= encodeConsumed(first.run, shared.measure);
      shared.answer = finish([shared.records], portion, {});
      shared.highWatermark = highWatermark;
    }
    return shared.answer;
  }

  #of(run: RecordRun): SharedAnswer {
    let shared = this.#known.get(run);
    if (shared === undefined) {
      const measure = measureConsumed(run, Number.POSITIVE_INFINITY);
      shared = { measure, records: undefined, highWatermark: -1, answer: undefined };
      this.#known.set(run, shared);
    }
    return shared;
  }
}

interface SharedAnswer {
  readonly measure: Measure;
  records: Uint8Array | undefined;
  /** Of the answer that was made last. */
  highWatermark: number;
  answer: Encoded | undefined;
}

function finish(records: Uint8Array[], portion: Portion, extras: AnswerExtras): Encoded {
  const rest = encodeRest(portion, extras);
  records.push(rest);
  return { parts: records, byteLength: portion.byteLength + rest.length };
}

function encodeRest(portion: Portion, { topicId = 0, heartbeatMs }: AnswerExtras): Uint8Array {
  const bytes = new Uint8Array(REST_BYTES_MAX);
  let at = writeVarintField(bytes, 0, RESUME_OFFSET, portion.resumeOffset);
  at = writeVarintField(bytes, at, HIGH_WATERMARK, portion.highWatermark);
  at = writeVarintField(bytes, at, TOPIC_ID, topicId);
  if (heartbeatMs !== undefined) {
    const { seconds, nanos } = toDuration(heartbeatMs);
    const start = at + 2;
    const end = writeVarintField(
      bytes,
      writeVarintField(bytes, start, 1, Number(seconds)),
      2,
      nanos,
    );
    bytes[at] = HEARTBEAT_TAG;
    bytes[at + 1] = end - start;
    at = end;
  }
  return bytes.subarray(0, at);
}
