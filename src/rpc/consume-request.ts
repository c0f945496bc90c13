import type { ConsumeRequest, ConsumeStreamRequest } from "../gen/proglog/v1/log_service_pb.ts";
import type { Topic, Topics } from "../topics/topics.ts";
import { toCount, toMilliseconds, toOptionalId, toSafeInteger } from "./fields.ts";
import * as limit from "./limits.ts";
import type { LongPollOptions } from "./long-poll.ts";
import type { RecordCodec } from "./record-codec.ts";
import type { TailOptions } from "./topic-tail.ts";

/** What requests to read say, checked. */

/** @throws TOPIC_NAME_INVALID, TOPIC_NOT_FOUND, TOPIC_REPLACED, FIELD_INVALID */
export function topicOf(
  topics: Topics,
  request: { readonly topic: string; readonly topicId: bigint | number },
): Topic {
  return topics.topic(request.topic, toOptionalId(request.topicId, "topic_id"));
}

/** @throws FIELD_INVALID */
export function pollOptions(
  { maxRecords, maxBytes, wait }: ConsumeRequest,
  { measure, answerBytesMax }: Pick<RecordCodec<unknown, unknown>, "measure" | "answerBytesMax">,
): Pick<LongPollOptions, "limits" | "waitMs"> {
  const waitMs = wait === undefined ? 0 : toMilliseconds(wait, "wait");
  const recordsMax = toCount(maxRecords, {
    field: "max_records",
    fallback: limit.CONSUME_RECORDS_DEFAULT,
    max: limit.CONSUME_RECORDS_MAX,
  });
  const bytesMax = toCount(maxBytes, {
    field: "max_bytes",
    fallback: answerBytesMax,
    max: answerBytesMax,
  });
  return {
    limits: { recordsMax, bytesMax, measure },
    waitMs: Math.min(waitMs, limit.CONSUME_WAIT_MS_MAX),
  };
}

/** @throws FIELD_INVALID */
export function tailOptions(
  { heartbeatInterval, endOffset }: ConsumeStreamRequest,
  { measure }: Pick<RecordCodec<unknown, unknown>, "measure">,
): Pick<TailOptions, "limits" | "firstMs" | "silenceMs"> {
  const wanted =
    heartbeatInterval === undefined
      ? limit.HEARTBEAT_MS_DEFAULT
      : toMilliseconds(heartbeatInterval, "heartbeat_interval");
  return {
    limits: {
      recordsMax: limit.STREAM_RECORDS_MAX,
      bytesMax: limit.STREAM_BYTES_MAX,
      endOffset: endOffset === undefined ? undefined : toSafeInteger(endOffset, "end_offset"),
      measure,
    },
    firstMs: 0,
    silenceMs: Math.min(Math.max(wanted, limit.HEARTBEAT_MS_MIN), limit.HEARTBEAT_MS_MAX),
  };
}
