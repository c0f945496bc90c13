import { ProglogError } from "../base/errors.ts";
import type { TopicNeed } from "../cluster/cluster-view.ts";
import type { ConsumeRequest } from "../gen/proglog/v1/log_service_pb.ts";
import { ReadConsistency } from "../gen/proglog/v1/record_pb.ts";
import type { ReadLimits, RecordRun, StartPlace, Topic, Waiting } from "../topics/topics.ts";
import { checkEnum, toClampedInteger } from "./fields.ts";

/**
 * Who can serve a read.
 * @param unsaid what a request needs that does not say
 * @throws FIELD_INVALID for a consistency this server does not know
 */
export function needOfRead(consistency: ReadConsistency, unsaid: TopicNeed): TopicNeed {
  checkEnum(consistency, ReadConsistency, "consistency");
  if (consistency === ReadConsistency.UNSPECIFIED) return unsaid;
  return consistency === ReadConsistency.LINEARIZABLE ? "leader" : "replica";
}

/** The same for reads from a place on: who asks for the end wants it as it is. */
export function needOfStart({ start, consistency }: StartRequest): TopicNeed {
  return needOfRead(consistency, start.case === "lastRecords" ? "leader" : "replica");
}

export type StartRequest = Pick<ConsumeRequest, "start" | "consistency">;

/**
 * Where a request begins to read.
 *
 * @param need with "leader" everything that was acknowledged before is seen
 * @throws OFFSET_OUT_OF_RANGE; what `Topic.confirm` throws
 */
export async function resolveStart(
  topic: Topic,
  { start }: Pick<StartRequest, "start">,
  { need, caller }: Waiting & { readonly need: TopicNeed },
): Promise<number> {
  if (need === "leader") await topic.confirm({ caller });
  return await topic.resolve(toStartPlace(topic, start));
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

/** What a part of a run is in an answer. */
export interface Measure {
  /** Records from the start of the run. */
  readonly count: number;
  /** Bytes of these, by the measure of the answer's encoding. */
  readonly byteLength: number;
  /**
   * How far a body moves towards the end when records in `run.bytes` become an answer that
   * begins at 0, at most; below 0: every one moves towards the front. Binary answers only.
   */
  readonly shiftMax: number;
}

/** How much one answer may hold, and how that is measured. */
export interface AnswerLimits extends ReadLimits {
  /** As many records of `run` as take `bytesMax` bytes, or one that takes more. */
  readonly measure: (run: RecordRun, bytesMax: number) => Measure;
}

/** Records for one answer. */
export interface Portion {
  readonly runs: readonly MeasuredRun[];
  readonly recordCount: number;
  /** Of all of them. */
  readonly byteLength: number;
  /** Where to read next; past removed records, so also when there are no records. */
  readonly resumeOffset: number;
  /** Offset after the last record that can be read now. */
  readonly highWatermark: number;
}

export interface MeasuredRun {
  readonly run: RecordRun;
  readonly measure: Measure;
}

/** So many records of `run` as an answer may hold. */
export function portionOf(run: RecordRun, limits: AnswerLimits, highWatermark: number): Portion {
  const measure = limits.measure(run, limits.bytesMax);
  const isWhole = measure.count === run.count;
  return {
    runs: measure.count === 0 ? [] : [{ run, measure }],
    recordCount: measure.count,
    byteLength: measure.byteLength,
    resumeOffset: isWhole ? run.resumeOffset : (run.offsets[measure.count] ?? run.resumeOffset),
    highWatermark,
  };
}

/** The answer of who finds nothing. */
export function emptyPortion(resumeOffset: number, highWatermark: number): Portion {
  return { runs: [], recordCount: 0, byteLength: 0, resumeOffset, highWatermark };
}

/** One after the other in one answer. */
export function joinPortions(first: Portion, second: Portion): Portion {
  return {
    runs: [...first.runs, ...second.runs],
    recordCount: first.recordCount + second.recordCount,
    byteLength: first.byteLength + second.byteLength,
    resumeOffset: second.resumeOffset,
    highWatermark: second.highWatermark,
  };
}
