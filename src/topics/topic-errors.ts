import { ProglogError } from "../base/errors.ts";
import { describeClusterRefusal } from "./catalogue-errors.ts";
import { isServerTopic } from "./names.ts";
import type { Refusal } from "./topic-state.ts";

/** The error of an entry that was refused when it was applied. The topic is named in it. */
export function refusalError(refusal: Refusal, topic: string): ProglogError {
  const values = new Map(Object.entries(refusal.metadata));
  const value = (key: string) => values.get(key) ?? "?";
  return new ProglogError(refusal.reason, describe(refusal, topic, value), {
    metadata: { topic, ...refusal.metadata },
  });
}

export function topicNotFound(topic: string): ProglogError {
  return new ProglogError("TOPIC_NOT_FOUND", `Cannot use topic "${topic}": ${whyNone(topic)}`, {
    metadata: { topic },
  });
}

function whyNone(topic: string): string {
  if (!isServerTopic(topic)) return "there is none";
  return "names that begin with _ are the server's own, and nobody else can create or use them";
}

export function topicReplaced(topic: string, topicId: number, wantedId: number): ProglogError {
  return new ProglogError(
    "TOPIC_REPLACED",
    `Cannot use topic "${topic}": it has id ${topicId}, wanted ${wantedId}`,
    { metadata: { topic, topicId: `${topicId}` } },
  );
}

export function outOfRange(
  topic: string,
  offset: number,
  range: { readonly firstOffset: number; readonly nextOffset: number },
): ProglogError {
  const { firstOffset, nextOffset } = range;
  return new ProglogError(
    "OFFSET_OUT_OF_RANGE",
    `Cannot read topic "${topic}" at offset ${offset}: it has ${firstOffset} to ${nextOffset}`,
    {
      metadata: {
        topic,
        offset: `${offset}`,
        firstOffset: `${firstOffset}`,
        nextOffset: `${nextOffset}`,
      },
    },
  );
}

/** `error` as the topic's readers see it: damage is named with the topic it is in. */
export function inTopic(error: unknown, topic: string): unknown {
  if (!(error instanceof ProglogError) || error.reason !== "STORE_CORRUPT") return error;
  const message = `Topic "${topic}" is damaged: ${error.message}`;
  return new ProglogError(error.reason, message, {
    metadata: { topic, offset: "", ...error.metadata },
    cause: error.cause,
  });
}

function describe(refusal: Refusal, topic: string, value: (key: string) => string): string {
  const append = `Cannot append to topic "${topic}"`;
  const producer = `producer "${value("producerId")}"`;
  switch (refusal.reason) {
    case "OFFSET_MISMATCH":
      return `${append}: its next offset is ${value("nextOffset")}, expected ${value("expectedNextOffset")}`;
    case "FENCED":
      return `${append}: fencing token ${value("fencingToken")} is below ${value("currentFencingToken")}, which was used`;
    case "PRODUCER_UNKNOWN":
      return `${append}: ${producer} is not known, it must be opened first`;
    case "PRODUCER_FENCED":
      return `${append}: ${producer} was opened again with epoch ${value("currentEpoch")}, not ${value("epoch")}`;
    case "SEQUENCE_GAP":
      return `${append}: ${producer} is at sequence ${value("expectedSequence")}, got ${value("sequence")}`;
    case "SEQUENCE_TOO_OLD":
      return `${append}: sequence ${value("sequence")} of ${producer} was appended long ago, its answer is forgotten`;
    case "OFFSET_OUT_OF_RANGE":
      return `Cannot trim topic "${topic}" before ${value("offset")}: its next offset is ${value("nextOffset")}`;
    case "TOPIC_EXISTS":
      return `Cannot create topic "${topic}": there is one`;
    case "TOPIC_LIMIT":
      return `Cannot create topic "${topic}": there are ${value("topicCountMax")} topics, which is the most allowed`;
    case "TOPIC_RESERVED":
      return `Cannot delete topic "${topic}": the server needs it`;
    case "TOPIC_NOT_FOUND":
      return `Cannot delete topic "${topic}": ${whyNone(topic)}`;
    case "TOPIC_REPLACED":
      return `Cannot delete topic "${topic}": it has id ${value("topicId")} now`;
    default:
      return (
        describeClusterRefusal(refusal, value) ??
        `Cannot change topic "${topic}": refused with ${refusal.reason}`
      );
  }
}
