import { ProglogError } from "../base/errors.ts";
import type { ConsumeRequest } from "../gen/proglog/v1/log_service_pb.ts";
import { ReadConsistency } from "../gen/proglog/v1/record_pb.ts";
import type { ReadLimits, ReadResult, StartPlace, StoredRecord, Topic } from "../topics/topics.ts";
import { checkEnum, toClampedInteger } from "./fields.ts";

/**
 * Where a request begins to read.
 * @throws OFFSET_OUT_OF_RANGE; FIELD_INVALID for a consistency this server does not know
 */
export async function resolveStart(
  topic: Topic,
  request: Pick<ConsumeRequest, "start" | "consistency">,
): Promise<number> {
  // One voter has applied whatever it acknowledged: both levels see the same here.
  checkEnum(request.consistency, ReadConsistency, "consistency");
  return topic.resolve(toStartPlace(topic, request.start));
}

function toStartPlace(topic: Topic, start: ConsumeRequest["start"]): StartPlace {
  switch (start.case) {
    case "offset":
      return { at: "offset", offset: toOffset(topic, start.value) };
    case "lastRecords":
      return { at: "last", count: toClampedInteger(start.value) };
    case "appendTimeUnixUs":
      return { at: "time", timeUs: toClampedInteger(start.value) };
    default:
      return { at: "first" };
  }
}

/** An offset of 2^53 or more is above the next one of every topic. @throws OFFSET_OUT_OF_RANGE */
export function toOffset(topic: Topic, value: bigint): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  const { firstOffset, nextOffset } = topic.status();
  throw new ProglogError(
    "OFFSET_OUT_OF_RANGE",
    `Cannot read at offset ${value}: the topic has ${firstOffset} to ${nextOffset}`,
    {
      metadata: {
        offset: `${value}`,
        firstOffset: `${firstOffset}`,
        nextOffset: `${nextOffset}`,
      },
    },
  );
}

/** How much one answer may hold, and how that is measured. */
export interface AnswerLimits extends ReadLimits {
  readonly sizeOf: (record: StoredRecord) => number;
}

/**
 * Reads records that take at most `bytesMax` bytes in an answer, or one that is
 * larger. Goes on over places where records were removed, so there are none only
 * at the end of the topic or of `limits`.
 */
export async function readRecords(
  topic: Topic,
  offset: number,
  limits: AnswerLimits,
): Promise<ReadResult> {
  let result = await topic.read(offset, limits);
  const endOffset = limits.endOffset ?? Number.MAX_SAFE_INTEGER;
  while (
    result.records.length === 0 &&
    result.resumeOffset < Math.min(result.highWatermark, endOffset)
  ) {
    result = await topic.read(result.resumeOffset, limits);
  }
  return cut(result, limits);
}

/** The topic counts bytes as stored, a client as received: cut where that is more. */
function cut(result: ReadResult, { bytesMax, sizeOf }: AnswerLimits): ReadResult {
  let size = 0;
  for (const [count, record] of result.records.entries()) {
    size += sizeOf(record);
    if (size > bytesMax && count > 0) return upTo(result, count, record);
  }
  return result;
}

function upTo(result: ReadResult, count: number, next: StoredRecord): ReadResult {
  return { ...result, records: result.records.slice(0, count), resumeOffset: next.offset };
}
