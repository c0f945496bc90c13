import type { RecordRun } from "../../topics/topics.ts";
import { toDuration } from "../fields.ts";
import { ENVELOPE_HEADER_BYTES as HEAD_BYTES, writeHeader } from "../lean/envelope.ts";
import type { Encoded } from "../lean/lean-method.ts";
import type { Measure, MeasuredRun, Portion } from "../read-topic.ts";
import { bufferBytesFor, measureConsumed, writeConsumed, writeInPlace } from "./consumed-wire.ts";
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

/** A ConsumeResponse, or a ConsumeStreamResponse: one buffer, envelope included. */
export function encodeAnswer(portion: Portion, extras: AnswerExtras): Encoded {
  const own = ownRunOf(portion);
  const bytes = own?.run.bytes ?? new Uint8Array(HEAD_BYTES + roomFor(portion) + REST_BYTES_MAX);
  let at = HEAD_BYTES;
  if (own !== undefined) at = writeInPlace(own, at);
  else for (const run of portion.runs) at = writeConsumed(bytes, at, run);
  at = writeRest(bytes, at, portion, extras);
  writeHeader(bytes, 0, 0, at - HEAD_BYTES);
  const enveloped = bytes.subarray(0, at);
  const message = {
    parts: [enveloped.subarray(HEAD_BYTES)],
    byteLength: at - HEAD_BYTES,
    enveloped,
  };
  if (own !== undefined) return { ...message, onSent: own.run.giveBack };
  for (const { run } of portion.runs) run.giveBack?.();
  return message;
}

/** The run, when the answer can be made of its bytes where they are: as nearly all that were read from disk. */
function ownRunOf({ runs, byteLength }: Portion): MeasuredRun | undefined {
  const [first] = runs;
  if (first?.run.isOwn !== true || runs.length > 1) return undefined;
  const isBehind = HEAD_BYTES + first.measure.shiftMax <= 0;
  const hasRoom = HEAD_BYTES + byteLength + REST_BYTES_MAX <= first.run.bytes.length;
  return isBehind && hasRoom ? first : undefined;
}

/** Bytes in which the runs can be written one after the other. */
function roomFor({ runs }: Portion): number {
  let start = 0;
  let room = 0;
  for (const run of runs) {
    room = Math.max(room, start + bufferBytesFor(run));
    start += run.measure.byteLength;
  }
  return room;
}

/**
 * Answers from memory, which many readers get: each run is measured and encoded once.
 * For portions that are whole runs.
 */
export class SharedAnswers {
  readonly #known = new WeakMap<RecordRun, SharedAnswer>();

  /** As `AnswerLimits.measure`, of the whole run. */
  readonly measure = (run: RecordRun): Measure =>
    run.isOwn === true ? measureConsumed(run, Number.POSITIVE_INFINITY) : this.#of(run).measure;

  /** The same object for all who get the same. */
  encode(portion: Portion): Encoded {
    const [first] = portion.runs;
    if (first === undefined || first.run.isOwn === true) return encodeAnswer(portion, {});
    const shared = this.#of(first.run);
    const { highWatermark } = portion;
    // The end has moved on for nobody of those who are woken together.
    if (shared.answer === undefined || shared.highWatermark !== highWatermark) {
      shared.answer = encodeAnswer(portion, {});
      shared.highWatermark = highWatermark;
    }
    return shared.answer;
  }

  #of(run: RecordRun): SharedAnswer {
    let shared = this.#known.get(run);
    if (shared === undefined) {
      const measure = measureConsumed(run, Number.POSITIVE_INFINITY);
      shared = { measure, highWatermark: -1, answer: undefined };
      this.#known.set(run, shared);
    }
    return shared;
  }
}

interface SharedAnswer {
  readonly measure: Measure;
  /** Of the answer that was made last. */
  highWatermark: number;
  answer: Encoded | undefined;
}

/** @returns the place after it */
function writeRest(
  target: Uint8Array,
  start: number,
  portion: Portion,
  { topicId = 0, heartbeatMs }: AnswerExtras,
): number {
  let at = writeVarintField(target, start, RESUME_OFFSET, portion.resumeOffset);
  at = writeVarintField(target, at, HIGH_WATERMARK, portion.highWatermark);
  at = writeVarintField(target, at, TOPIC_ID, topicId);
  if (heartbeatMs === undefined) return at;
  const { seconds, nanos } = toDuration(heartbeatMs);
  const content = at + 2;
  let end = writeVarintField(target, content, 1, Number(seconds));
  end = writeVarintField(target, end, 2, nanos);
  target[at] = HEARTBEAT_TAG;
  target[at + 1] = end - content;
  return end;
}
