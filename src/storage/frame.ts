import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { moveToEnd, type RecordSpans } from "../base/record-spans.ts";
import type { Offset } from "../base/units.ts";
import {
  type EnvelopeInput,
  HEAD_BYTES_MAX,
  markLastOfEntry,
  markRemoved,
  newEnvelope,
  readEnvelope,
  sealFrame,
  writeHead,
} from "./envelope.ts";
import { type FrameCheck, HEADER_BYTES, RECORD_BYTES_MAX } from "./scan.ts";
import { recordTooLarge, storeCorrupt } from "./storage-errors.ts";

/** All records of one entry: they are appended together. */
export interface BatchInput extends EnvelopeInput {
  /** Offset of the first record: the CRCs cover it. */
  readonly firstOffset: Offset;
  readonly records: RecordSpans;
}

/** Whole frames, one after the other, as they go to a store. Not changed after it was appended. */
export interface FrameBatch {
  readonly bytes: Uint8Array;
  /** Where each frame ends in `bytes`; as many as there are frames. */
  readonly ends: Uint32Array | readonly number[];
  readonly count: number;
  /** What the CRCs say; a log refuses the batch at another offset. Absent in raw frames. */
  readonly firstOffset?: Offset | undefined;
}

/** Frames of one entry. */
export interface EncodedBatch extends FrameBatch {
  readonly ends: Uint32Array;
  readonly firstOffset: Offset;
  /** Bytes of each frame before its body. */
  readonly headBytes: number;
}

export interface DecodedRecord {
  readonly offset: Offset;
  /** "removed": compaction left a hole; the body is empty. */
  readonly kind: "record" | "removed";
  readonly lastOfEntry: boolean;
  readonly raftIndex: number;
  readonly appendTimeUs: number;
  /** A view, not a copy. */
  readonly body: Uint8Array;
}

/** Used again and again: nothing here waits. */
const envelope = newEnvelope();
const head = new Uint8Array(HEAD_BYTES_MAX);

/**
 * Frames records of kind 1; the last one is marked as such.
 *
 * Hot: one allocation for all frames, so that a batch is one part of a gathered write. All
 * records are put at its end at once, and moved up one by one: a move within an array costs
 * half as much as a view and a copy of it. Heads are written byte by byte: a call costs more.
 *
 * @throws RECORD_TOO_LARGE when a body with its envelope is over RECORD_BYTES_MAX
 * @throws {RangeError} when the batch is 4 GiB or more; topics allow far less
 */
export function encodeBatch(input: BatchInput): EncodedBatch {
  const { firstOffset, records } = input;
  const { bytes: source, starts, ends: sourceEnds, count } = records;
  assert(Number.isSafeInteger(firstOffset + count), "Cannot frame: offset above 2^53-1");
  const headBytes = writeHead(head, input);
  const bytes = new Uint8Array(frameBytes(records, headBytes));
  const ends = new Uint32Array(count);
  const moved = count === 1 ? Number.NEGATIVE_INFINITY : moveToEnd(records, bytes);
  let at = 0;
  for (let record = 0; record < count; record += 1) {
    const start = starts[record] ?? 0;
    const sourceEnd = sourceEnds[record] ?? 0;
    const bodyAt = at + headBytes;
    const end = bodyAt + sourceEnd - start;
    // Where much was left out between the records, the frames have caught up with the bodies.
    if (bodyAt <= start + moved) bytes.copyWithin(bodyAt, start + moved, sourceEnd + moved);
    else bytes.set(source.subarray(start, sourceEnd), bodyAt);
    for (let place = 0; place < headBytes; place += 1) bytes[at + place] = head[place] ?? 0;
    if (record === count - 1) markLastOfEntry(bytes, at);
    sealFrame(bytes, at, end, (firstOffset + record) as Offset);
    ends[record] = end;
    at = end;
  }
  return { bytes, ends, count, firstOffset, headBytes };
}

/**
 * Frames one record of kind 2 that takes exactly `frameBytes`, its header included, so
 * that it can stand where a damaged frame stood: zeros fill it up.
 *
 * @returns undefined when the envelope does not fit into so few bytes
 */
export function encodeRemoved(
  record: Omit<DecodedRecord, "kind" | "body">,
  frameBytes: number,
): Uint8Array | undefined {
  const headBytes = writeHead(head, record);
  const length = frameBytes - HEADER_BYTES;
  if (frameBytes < headBytes || length > RECORD_BYTES_MAX) return undefined;
  const bytes = new Uint8Array(frameBytes);
  bytes.set(head.subarray(0, headBytes));
  markRemoved(bytes, 0);
  if (record.lastOfEntry) markLastOfEntry(bytes, 0);
  sealFrame(bytes, 0, frameBytes, record.offset);
  return bytes;
}

/** Says whether `data` is what was written at `offset`. */
export function checkFrame(data: Uint8Array, offset: Offset): FrameCheck {
  return readEnvelope(data, { start: 0, end: data.length, offset }, envelope);
}

/** @throws STORE_CORRUPT (metadata `offset`) when {@link checkFrame} does not find it valid */
export function decodeRecord(data: Uint8Array, offset: Offset): DecodedRecord {
  const found = checkFrame(data, offset);
  if (found !== "valid") {
    const state = found === "damaged" ? "its checksum does not fit" : "it is of a newer format";
    throw storeCorrupt(`Cannot read the record at offset ${offset}: ${state}`, { offset });
  }
  const { isRecord, isLastOfEntry, raftIndex, appendTimeUs, bodyAt } = envelope;
  return {
    offset,
    kind: isRecord ? "record" : "removed",
    lastOfEntry: isLastOfEntry,
    raftIndex,
    appendTimeUs,
    body: isRecord ? data.subarray(bodyAt) : EMPTY_BYTES,
  };
}

/** Bytes of all frames. */
function frameBytes({ starts, ends, count }: RecordSpans, headBytes: number): number {
  let total = 0;
  for (let record = 0; record < count; record += 1) {
    const frame = headBytes + (ends[record] ?? 0) - (starts[record] ?? 0);
    if (frame > HEADER_BYTES + RECORD_BYTES_MAX) throw recordTooLarge(record, frame - HEADER_BYTES);
    total += frame;
  }
  if (total >= 2 ** 32) throw new RangeError(`Cannot frame ${total} bytes: must be below 4 GiB`);
  return total;
}
