import type { ReadLimits, RecordRun, Topic } from "../../src/topics/topics.ts";

/** A record by itself: what tests compare. */
export interface StoredRecord {
  readonly offset: number;
  readonly appendTimeUs: number;
  /** The record as it was produced. */
  readonly body: Uint8Array;
}

export interface ReadRecords {
  /** Offsets rising. */
  readonly records: readonly StoredRecord[];
  readonly resumeOffset: number;
}

export function recordsOf(run: RecordRun): StoredRecord[] {
  const { count, bytes, starts, ends, offsets, appendTimesUs } = run;
  return Array.from({ length: count }, (_, at) => ({
    offset: offsets[at] ?? Number.NaN,
    appendTimeUs: appendTimesUs[at] ?? Number.NaN,
    body: bytes.subarray(starts[at], ends[at]),
  }));
}

/** One `Topic.readRun`, record by record. */
export async function readRecords(
  topic: Topic,
  offset: number,
  limits: ReadLimits,
): Promise<ReadRecords> {
  const run = await topic.readRun(offset, limits);
  return { records: recordsOf(run), resumeOffset: run.resumeOffset };
}

/**
 * All records from `offset` to the end, run after run, none of which exceeds `limits`.
 * @throws a run that is empty before the end
 */
export async function readToEnd(
  topic: Topic,
  offset: number,
  limits: ReadLimits,
): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  for (let at = offset; at < topic.status().nextOffset; ) {
    const { records, resumeOffset } = await readRecords(topic, at, limits);
    if (resumeOffset <= at) throw new Error(`Reading stands still at ${at}`);
    found.push(...records);
    at = resumeOffset;
  }
  return found;
}

/** Resolves when the topic's next offset is above `offset`; rejects when that cannot come. */
export function recordsBeyond(topic: Pick<Topic, "follow">, offset: number): Promise<void> {
  return new Promise((wake, fail) => {
    topic.follow(offset, { wake, fail });
  });
}
