import type { Topic } from "../../src/topics/topics.ts";
import { readRecords, type StoredRecord } from "../support/topic-reads.ts";
import type { Violations } from "./violation.ts";

/** Batch and place in it of a record. */
export type RecordId = readonly [batch: number, place: number];

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The records of a batch: each says what it is. */
export function recordsOfBatch(batch: number, count: number): Uint8Array[] {
  const filler = "x".repeat((batch * 7) % 90);
  return Array.from({ length: count }, (_, place) =>
    encoder.encode(`${batch}:${place}/${count} ${filler}`),
  );
}

/** @throws when it is none of ours */
export function parseRecord(body: Uint8Array): { readonly id: RecordId; readonly count: number } {
  const text = decoder.decode(body);
  const [, batch, place, count] = /^(\d+):(\d+)\/(\d+) /.exec(text) ?? [];
  if (count === undefined) throw new Error(`No record of ours: ${JSON.stringify(text)}`);
  const id = [Number(batch), Number(place)] as const;
  if (text !== decoder.decode(recordsOfBatch(id[0], Number(count))[id[1]])) {
    throw new Error(`A damaged record: ${JSON.stringify(text)}`);
  }
  return { id, count: Number(count) };
}

/** All records in [from, end), which are there, read in small steps. @throws when a read gives none */
export async function readRange(
  topic: Topic,
  { from, end, recordsMax }: { readonly from: number; readonly end: number; recordsMax: number },
): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  for (let at = from; at < end; ) {
    const limits = { recordsMax, bytesMax: 100 * recordsMax, endOffset: end };
    const { records, resumeOffset } = await readRecords(topic, at, limits);
    if (resumeOffset <= at) throw new Error(`Reading stands still at ${at}, before ${end}`);
    found.push(...records);
    at = resumeOffset;
  }
  return found;
}

/** What anybody has ever seen at an offset of a topic: always the same, whoever looks and when. */
export class SeenContent {
  readonly #violations: Violations;
  readonly #topics = new Map<string, Map<number, RecordId>>();

  constructor(violations: Violations) {
    this.#violations = violations;
  }

  /** @param by who saw it, for the report */
  note(topic: string, offset: number, record: RecordId, by: string): void {
    let offsets = this.#topics.get(topic);
    if (offsets === undefined) {
      offsets = new Map();
      this.#topics.set(topic, offsets);
    }
    const before = offsets.get(offset);
    if (before === undefined) {
      offsets.set(offset, record);
    } else if (before[0] !== record[0] || before[1] !== record[1]) {
      this.#violations.report(
        `${by} has record ${record} at offset ${offset} of ${topic}, where ${before} was seen before`,
      );
    }
  }

  /** All records in [0, end), trimmed ones too. @throws when one was never seen */
  allOf(topic: string, end: number): readonly RecordId[] {
    const offsets = this.#topics.get(topic);
    return Array.from({ length: end }, (_, offset) => {
      const record = offsets?.get(offset);
      if (record === undefined) throw new Error(`Offset ${offset} of ${topic} was never seen`);
      return record;
    });
  }
}
