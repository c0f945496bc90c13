import { assert } from "../base/assert.ts";
import {
  EMPTY_BYTES,
  readVarint,
  VARINT_BYTES_MAX,
  type Varint,
  viewOf,
  writeU64,
  writeVarint,
} from "../base/bytes.ts";
import type { Offset } from "../base/units.ts";
import { crc32Range } from "../platform/crc32.ts";
import type { FrameRange } from "./log-types.ts";
import { type FrameCheck, HEADER_BYTES, RECORD_BYTES_MAX } from "./scan.ts";
import { recordTooLarge, storeCorrupt } from "./storage-errors.ts";

/**
 * The envelope: what a topic's frame holds. This is the only file that knows it.
 *
 *     0        4         5      6       7
 *     +--------+---------+------+-------+------------+-------------+------
 *     | crc32  | version | kind | flags | raft index | append time | body
 *     | u32 LE | 1       | u8   | u8    | varint     | varint, us  |
 *     +--------+---------+------+-------+------------+-------------+------
 *
 * crc32 is over [length of data: u64 LE][offset: u64 LE][data from byte 4 on]. So a
 * frame at a wrong place is not valid, and neither is a run of zeros. Neither length
 * nor offset is stored twice: the one is the frame's header, the other its place.
 *
 * A frame that is valid but of an unknown version, kind or flag was written by a
 * newer program: it is "unsupported", never cut, never guessed at.
 */
const CRC_BYTES = 4;
const VERSION = 1;
const VERSION_AT = 4;
const KIND_AT = 5;
const FLAGS_AT = 6;
const RAFT_INDEX_AT = 7;
const KIND_RECORD = 1;
const KIND_REMOVED = 2;
const FLAG_LAST_OF_BATCH = 1;

/** Most bytes that the server adds to a body; the frame's header of 8 bytes is not included. */
export const ENVELOPE_BYTES_MAX = RAFT_INDEX_AT + 2 * VARINT_BYTES_MAX;

/** Records side by side: number `i` is `bytes.subarray(starts[i], ends[i])`. */
export interface RecordSpans {
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** The arrays may be longer. */
  readonly count: number;
}

/** Records that are appended together, all or none: those of one entry. */
export interface BatchInput {
  /** Offset of the first record: the CRCs cover it. */
  readonly firstOffset: Offset;
  /** Raft's index of the entry that the batch came with. */
  readonly raftIndex: number;
  /** Microseconds since 1970, of all records of the batch. */
  readonly appendTimeUs: number;
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

/** What frames that lie together hold, with nothing made for each of them. */
export interface FrameRun extends RecordSpans {
  /** Offset and append time of each record, in microseconds since 1970. */
  readonly offsets: Float64Array;
  readonly appendTimesUs: Float64Array;
  /** Offset after the last frame that is sound, also when it holds no record any more. */
  readonly resumeOffset: number;
}

export interface DecodedRecord {
  readonly offset: Offset;
  /** "removed": compaction left a hole; the body is empty. */
  readonly kind: "record" | "removed";
  readonly lastOfBatch: boolean;
  readonly raftIndex: number;
  readonly appendTimeUs: number;
  /** A view, not a copy. */
  readonly body: Uint8Array;
}

/** Length and offset as the CRC sees them. Shared: nothing here waits. */
const crcPrefixView = new DataView(new ArrayBuffer(16));
const raftIndex: Varint = { value: 0, next: -1 };
const appendTime: Varint = { value: 0, next: -1 };

/**
 * Frames records of kind 1; the last one is marked as such.
 *
 * Hot: one allocation for all frames, so that a batch is one part of a gathered write.
 *
 * @throws RECORD_TOO_LARGE when a body with its envelope is over RECORD_BYTES_MAX
 * @throws {RangeError} when the batch is 4 GiB or more; topics allow far less
 */
export function encodeBatch(input: BatchInput): EncodedBatch {
  const { firstOffset, records } = input;
  const { bytes: source, starts, ends: sourceEnds, count } = records;
  assert(Number.isSafeInteger(firstOffset + count), "Cannot frame: offset above 2^53-1");
  const head = encodeHead(input);
  const headBytes = head.length;
  const bytes = new Uint8Array(frameBytes(records, headBytes));
  const view = viewOf(bytes);
  const ends = new Uint32Array(count);
  let at = 0;
  for (let record = 0; record < count; record += 1) {
    const start = starts[record] ?? 0;
    const sourceEnd = sourceEnds[record] ?? 0;
    const end = at + headBytes + sourceEnd - start;
    bytes.set(head, at);
    bytes.set(source.subarray(start, sourceEnd), at + headBytes);
    if (record === count - 1) bytes[at + HEADER_BYTES + FLAGS_AT] = FLAG_LAST_OF_BATCH;
    writeU64(view, at, end - at - HEADER_BYTES);
    view.setUint32(at + HEADER_BYTES, frameCrc(view, at, end, firstOffset + record), true);
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
  const head = encodeHead(record);
  const length = frameBytes - HEADER_BYTES;
  if (frameBytes < head.length || length > RECORD_BYTES_MAX) return undefined;
  const bytes = new Uint8Array(frameBytes);
  const view = viewOf(bytes);
  bytes.set(head);
  bytes[HEADER_BYTES + KIND_AT] = KIND_REMOVED;
  if (record.lastOfBatch) bytes[HEADER_BYTES + FLAGS_AT] = FLAG_LAST_OF_BATCH;
  writeU64(view, 0, length);
  view.setUint32(HEADER_BYTES, frameCrc(view, 0, frameBytes, record.offset), true);
  return bytes;
}

/** Says whether `data` is what was written at `offset`. */
export function checkFrame(data: Uint8Array, offset: Offset): FrameCheck {
  return checkData(data, viewOf(data), { start: 0, end: data.length, offset });
}

interface DataPlace {
  /** Of the frame's data in what was read. */
  start: number;
  end: number;
  offset: number;
}

/** When it is "valid", {@link raftIndex} and {@link appendTime} hold what the envelope says. */
function checkData(bytes: Uint8Array, view: DataView, place: DataPlace): FrameCheck {
  const { start, end, offset } = place;
  if (end - start <= VERSION_AT) return "damaged";
  if (view.getUint32(start, true) !== dataCrc(view, start, end, offset)) return "damaged";
  const kind = bytes[start + KIND_AT];
  if (bytes[start + VERSION_AT] !== VERSION) return "unsupported";
  if (kind !== KIND_RECORD && kind !== KIND_REMOVED) return "unsupported";
  if (((bytes[start + FLAGS_AT] ?? 0) & ~FLAG_LAST_OF_BATCH) !== 0) return "unsupported";
  // The envelope ends with the data: what follows in `bytes` is another frame's.
  readVarint(bytes, start + RAFT_INDEX_AT, raftIndex);
  if (raftIndex.next < 0 || raftIndex.next > end) return "unsupported";
  readVarint(bytes, raftIndex.next, appendTime);
  return appendTime.next >= 0 && appendTime.next <= end ? "valid" : "unsupported";
}

/**
 * Takes apart frames that follow each other, each checked, up to the first that is not valid:
 * a read that begins there says why.
 *
 * Hot: one pass, and nothing is allocated for a record.
 *
 * @throws STORE_CORRUPT (metadata `offset`) when the first one is not valid
 */
export function decodeFrames({ bytes, ends: frameEnds, first }: FrameRange): FrameRun {
  const view = viewOf(bytes);
  const frames = frameEnds.length;
  const starts = new Uint32Array(frames);
  const ends = new Uint32Array(frames);
  const offsets = new Float64Array(frames);
  const appendTimesUs = new Float64Array(frames);
  const place = { start: HEADER_BYTES, end: 0, offset: first as number };
  let count = 0;
  for (let frame = 0; frame < frames; frame += 1) {
    const end = frameEnds[frame] ?? 0;
    place.end = end;
    if (checkData(bytes, view, place) !== "valid") {
      if (frame === 0) decodeRecord(bytes.subarray(HEADER_BYTES, end), first);
      break;
    }
    if (bytes[place.start + KIND_AT] === KIND_RECORD) {
      starts[count] = appendTime.next;
      ends[count] = end;
      offsets[count] = place.offset;
      appendTimesUs[count] = appendTime.value;
      count += 1;
    }
    place.offset += 1;
    place.start = end + HEADER_BYTES;
  }
  return { count, bytes, starts, ends, offsets, appendTimesUs, resumeOffset: place.offset };
}

/** @throws STORE_CORRUPT (metadata `offset`) when {@link checkFrame} does not find it valid */
export function decodeRecord(data: Uint8Array, offset: Offset): DecodedRecord {
  const found = checkFrame(data, offset);
  if (found !== "valid") {
    const state = found === "damaged" ? "its checksum does not fit" : "it is of a newer format";
    throw storeCorrupt(`Cannot read the record at offset ${offset}: ${state}`, { offset });
  }
  const isRemoved = data[KIND_AT] === KIND_REMOVED;
  return {
    offset,
    kind: isRemoved ? "removed" : "record",
    lastOfBatch: ((data[FLAGS_AT] ?? 0) & FLAG_LAST_OF_BATCH) !== 0,
    raftIndex: raftIndex.value,
    appendTimeUs: appendTime.value,
    body: isRemoved ? EMPTY_BYTES : data.subarray(appendTime.next),
  };
}

/** What all frames of a batch begin with; length and CRC are still 0. */
function encodeHead({
  raftIndex,
  appendTimeUs,
}: Pick<BatchInput, "raftIndex" | "appendTimeUs">): Uint8Array {
  assert(Number.isSafeInteger(raftIndex) && raftIndex >= 0, `Cannot frame raft index ${raftIndex}`);
  assert(Number.isSafeInteger(appendTimeUs) && appendTimeUs >= 0, `Cannot frame ${appendTimeUs}`);
  const head = new Uint8Array(HEADER_BYTES + ENVELOPE_BYTES_MAX);
  head[HEADER_BYTES + VERSION_AT] = VERSION;
  head[HEADER_BYTES + KIND_AT] = KIND_RECORD;
  const timeAt = writeVarint(head, HEADER_BYTES + RAFT_INDEX_AT, raftIndex);
  return head.subarray(0, writeVarint(head, timeAt, appendTimeUs));
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

/** CRC of the frame from `start` to `end` of `view`. */
function frameCrc(view: DataView, start: number, end: number, offset: number): number {
  return dataCrc(view, start + HEADER_BYTES, end, offset);
}

/** CRC of the data from `start` to `end` of `view`: of its length, its offset, and it without the CRC. */
function dataCrc(view: DataView, start: number, end: number, offset: number): number {
  writeU64(crcPrefixView, 0, end - start);
  writeU64(crcPrefixView, 8, offset);
  return crc32Range(view, start + CRC_BYTES, end, crc32Range(crcPrefixView, 0, 16));
}
