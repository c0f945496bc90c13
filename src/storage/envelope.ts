import { assert } from "../base/assert.ts";
import {
  readU32,
  readVarint,
  VARINT_BYTES_MAX,
  type Varint,
  writeU32,
  writeVarint,
} from "../base/bytes.ts";
import type { Offset } from "../base/units.ts";
import { crc32OfPair, crc32OfU64, crc32Range } from "../platform/crc32.ts";
import { crc32Shift } from "../platform/crc32-shift.ts";
import { type FrameCheck, HEADER_BYTES } from "./scan.ts";

/**
 * The envelope: what a topic's frame holds. Only this file knows where things are in it.
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
/** Before what it is of. */
export const CRC_BYTES = 4;
const VERSION = 1;
const VERSION_AT = CRC_BYTES;
const KIND_AT = 5;
const FLAGS_AT = 6;
const RAFT_INDEX_AT = 7;
const KIND_RECORD = 1;
const KIND_REMOVED = 2;
const FLAG_LAST_OF_ENTRY = 1;

/** Most bytes that the server adds to a body; the frame's header of 8 bytes is not included. */
export const ENVELOPE_BYTES_MAX = RAFT_INDEX_AT + 2 * VARINT_BYTES_MAX;

/** What an envelope says beside the record. */
export interface EnvelopeInput {
  /** Raft's index of the entry that the record came with. */
  readonly raftIndex: number;
  /** Microseconds since 1970. */
  readonly appendTimeUs: number;
}

/** What {@link readEnvelope} found; the caller keeps and reuses it, so that nothing is allocated. */
export interface Envelope {
  isRecord: boolean;
  isLastOfEntry: boolean;
  raftIndex: number;
  appendTimeUs: number;
  /** Where the body begins in what was read. */
  bodyAt: number;
}

export function newEnvelope(): Envelope {
  return { isRecord: false, isLastOfEntry: false, raftIndex: 0, appendTimeUs: 0, bodyAt: 0 };
}

/** Used again and again: nothing here waits. */
const varint: Varint = { value: 0, next: -1 };

/**
 * Reads the envelope of the data from `start` to `end` of `bytes`, if it is valid.
 * Hot: in every read, for every record.
 */
export function readEnvelope(
  bytes: Uint8Array,
  place: { readonly start: number; readonly end: number; readonly offset: number },
  result: Envelope,
): FrameCheck {
  const { start, end, offset } = place;
  if (end - start <= VERSION_AT) return "damaged";
  if (readU32(bytes, start) !== dataCrc(bytes, start, end, offset)) return "damaged";
  return readHead(bytes, start, end, result);
}

/**
 * As {@link readEnvelope}, of data whose CRC is checked later, by {@link crcAfterFrame}.
 * What it finds may be wrong until then, but is within the data.
 */
export function readHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  result: Envelope,
): FrameCheck {
  if (end - start <= CRC_BYTES) return "damaged";
  const kind = bytes[start + KIND_AT];
  const flags = bytes[start + FLAGS_AT] ?? 0;
  if (bytes[start + VERSION_AT] !== VERSION) return "unsupported";
  if (kind !== KIND_RECORD && kind !== KIND_REMOVED) return "unsupported";
  if ((flags & ~FLAG_LAST_OF_ENTRY) !== 0) return "unsupported";
  // The envelope ends with the data: what follows in `bytes` is another frame's.
  readVarint(bytes, start + RAFT_INDEX_AT, varint);
  if (varint.next < 0 || varint.next > end) return "unsupported";
  result.raftIndex = varint.value;
  readVarint(bytes, varint.next, varint);
  if (varint.next < 0 || varint.next > end) return "unsupported";
  result.appendTimeUs = varint.value;
  result.bodyAt = varint.next;
  result.isRecord = kind === KIND_RECORD;
  result.isLastOfEntry = flags === FLAG_LAST_OF_ENTRY;
  return "valid";
}

/** Bytes of a frame before its body, at most. */
export const HEAD_BYTES_MAX = HEADER_BYTES + ENVELOPE_BYTES_MAX;

/**
 * Writes frame header and envelope of records at the beginning of `head`, but for length and
 * CRC, see {@link sealFrame}, and marks.
 *
 * @returns its length
 */
export function writeHead(head: Uint8Array, { raftIndex, appendTimeUs }: EnvelopeInput): number {
  assert(Number.isSafeInteger(raftIndex) && raftIndex >= 0, `Cannot frame raft index ${raftIndex}`);
  assert(Number.isSafeInteger(appendTimeUs) && appendTimeUs >= 0, `Cannot frame ${appendTimeUs}`);
  head[HEADER_BYTES + VERSION_AT] = VERSION;
  head[HEADER_BYTES + KIND_AT] = KIND_RECORD;
  const timeAt = writeVarint(head, HEADER_BYTES + RAFT_INDEX_AT, raftIndex);
  return writeVarint(head, timeAt, appendTimeUs);
}

/** Says of the frame at `at` that it is the last one of its entry. */
export function markLastOfEntry(bytes: Uint8Array, at: number): void {
  bytes[at + HEADER_BYTES + FLAGS_AT] = FLAG_LAST_OF_ENTRY;
}

/** Says of the frame at `at` that its record was removed. */
export function markRemoved(bytes: Uint8Array, at: number): void {
  bytes[at + HEADER_BYTES + KIND_AT] = KIND_REMOVED;
}

/** Puts length and CRC into the frame from `at` to `end`, all else of which must be there. */
export function sealFrame(bytes: Uint8Array, at: number, end: number, offset: Offset): void {
  const start = at + HEADER_BYTES;
  // Records are below 100 MiB: the other four bytes of the length are 0.
  writeU32(bytes, at, end - start);
  writeU32(bytes, start, dataCrc(bytes, start, end, offset));
}

/**
 * The CRC of all bytes up to the end of a frame, header included, as it must be if the frame's
 * own CRC is right: made of that one and of `crc`, the CRC of what lies before the frame. So one
 * look at the CRC of a whole stretch, which the processor computes fast, checks all its frames.
 *
 * A stretch with a wrong frame passes as seldom as one wrong frame passes its own check.
 *
 * @param length of the frame's data, more than a CRC has
 * @param own the CRC in it
 */
export function crcAfterFrame(length: number, own: number, offset: number, crc: number): number {
  const prefix = crc32OfU64(offset, crc32OfU64(length));
  return crc32Shift(crc32OfPair(length, own, crc) ^ prefix, length - CRC_BYTES) ^ own;
}

/** CRC of the data from `start` to `end`: of its length, its offset, and it without the CRC. */
function dataCrc(bytes: Uint8Array, start: number, end: number, offset: number): number {
  const prefix = crc32OfU64(offset, crc32OfU64(end - start));
  return crc32Range(bytes, start + CRC_BYTES, end, prefix);
}
