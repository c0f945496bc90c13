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
import { crc32 } from "../platform/crc32.ts";
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

/** Records that are appended together, all or none. */
export interface BatchInput {
  /** Offset of the first record: the CRCs cover it. */
  readonly firstOffset: Offset;
  /** Raft's index of the entry that the batch came with. */
  readonly raftIndex: number;
  /** Microseconds since 1970, of all records of the batch. */
  readonly appendTimeUs: number;
  readonly bodies: readonly Uint8Array[];
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
const crcPrefix = new Uint8Array(16);
const crcPrefixView = viewOf(crcPrefix);
const varint: Varint = { value: 0, next: -1 };

/**
 * Frames records of kind 1; the last one is marked as such.
 *
 * Hot: one allocation for all frames, so that a batch is one part of a gathered write,
 * and one CRC call a record. What the CRC covers does not lie in one piece: length and
 * offset are put in front of the record for the moment, over 4 bytes of the frame before.
 *
 * @throws RECORD_TOO_LARGE when a body with its envelope is over RECORD_BYTES_MAX
 * @throws {RangeError} when the batch is 4 GiB or more; topics allow far less
 */
export function encodeBatch(input: BatchInput): FrameBatch {
  const { firstOffset, bodies } = input;
  assert(Number.isSafeInteger(firstOffset + bodies.length), "Cannot frame: offset above 2^53-1");
  const head = encodeHead(input);
  const total = frameBytes(bodies, head.length);
  // The 4 bytes in front are what the first record's CRC needs.
  const room = new Uint8Array(CRC_BYTES + total);
  const view = viewOf(room);
  const ends = new Uint32Array(bodies.length);
  let at = CRC_BYTES;
  let record = 0;
  for (const body of bodies) {
    const bodyAt = at + head.length;
    const end = bodyAt + body.length;
    const length = end - at - HEADER_BYTES;
    room.set(head, at);
    room.set(body, bodyAt);
    record += 1;
    if (record === bodies.length) room[at + HEADER_BYTES + FLAGS_AT] = FLAG_LAST_OF_BATCH;
    const covered = view.getUint32(at - CRC_BYTES, true);
    writeU64(view, at - CRC_BYTES, length);
    writeU64(view, at + CRC_BYTES, firstOffset + record - 1);
    const crc = crc32(room.subarray(at - CRC_BYTES, end));
    view.setUint32(at - CRC_BYTES, covered, true);
    writeU64(view, at, length);
    view.setUint32(at + HEADER_BYTES, crc, true);
    ends[record - 1] = end - CRC_BYTES;
    at = end;
  }
  return { bytes: room.subarray(CRC_BYTES), ends, count: bodies.length, firstOffset };
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
  const crc = frameCrc(bytes.subarray(HEADER_BYTES + CRC_BYTES), length, record.offset);
  view.setUint32(HEADER_BYTES, crc, true);
  return bytes;
}

/** Says whether `data` is what was written at `offset`. */
export function checkFrame(data: Uint8Array, offset: Offset): FrameCheck {
  if (data.length <= VERSION_AT) return "damaged";
  if (readCrc(data) !== frameCrc(data.subarray(CRC_BYTES), data.length, offset)) return "damaged";
  const kind = data[KIND_AT];
  if (data[VERSION_AT] !== VERSION) return "unsupported";
  if (kind !== KIND_RECORD && kind !== KIND_REMOVED) return "unsupported";
  if (((data[FLAGS_AT] ?? 0) & ~FLAG_LAST_OF_BATCH) !== 0) return "unsupported";
  readVarint(data, RAFT_INDEX_AT, varint);
  if (varint.next >= 0) readVarint(data, varint.next, varint);
  return varint.next >= 0 ? "valid" : "unsupported";
}

/** @throws STORE_CORRUPT (metadata `offset`) when {@link checkFrame} does not find it valid */
export function decodeRecord(data: Uint8Array, offset: Offset): DecodedRecord {
  const found = checkFrame(data, offset);
  if (found !== "valid") {
    const state = found === "damaged" ? "its checksum does not fit" : "it is of a newer format";
    throw storeCorrupt(`Cannot read the record at offset ${offset}: ${state}`, { offset });
  }
  const isRemoved = data[KIND_AT] === KIND_REMOVED;
  readVarint(data, RAFT_INDEX_AT, varint);
  const raftIndex = varint.value;
  readVarint(data, varint.next, varint);
  return {
    offset,
    kind: isRemoved ? "removed" : "record",
    lastOfBatch: ((data[FLAGS_AT] ?? 0) & FLAG_LAST_OF_BATCH) !== 0,
    raftIndex,
    appendTimeUs: varint.value,
    body: isRemoved ? EMPTY_BYTES : data.subarray(varint.next),
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
function frameBytes(bodies: readonly Uint8Array[], headBytes: number): number {
  let total = 0;
  let record = 0;
  for (const body of bodies) {
    const frame = headBytes + body.length;
    if (frame > HEADER_BYTES + RECORD_BYTES_MAX) throw recordTooLarge(record, frame - HEADER_BYTES);
    total += frame;
    record += 1;
  }
  if (total >= 2 ** 32) throw new RangeError(`Cannot frame ${total} bytes: must be below 4 GiB`);
  return total;
}

function frameCrc(checked: Uint8Array, length: number, offset: number): number {
  writeU64(crcPrefixView, 0, length);
  writeU64(crcPrefixView, 8, offset);
  return crc32(checked, crc32(crcPrefix));
}

function readCrc(data: Uint8Array): number {
  return (
    ((data[0] ?? 0) | ((data[1] ?? 0) << 8) | ((data[2] ?? 0) << 16) | ((data[3] ?? 0) << 24)) >>> 0
  );
}
