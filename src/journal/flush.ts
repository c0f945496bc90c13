import { readU64, viewOf, writeU64 } from "../base/bytes.ts";
import { crc32 } from "../platform/crc32.ts";

/**
 * The journal's format: files, flushes, headers. The frames inside a flush are
 * in `frames.ts`. docs/adr/0002-journal-format.md says why it is this way.
 *
 *     file:   0         4096             8192 ...
 *             +---------+----------------+----------------
 *             | head,   | flush          | flush
 *             | zeros   | header frames  | ...
 *             |         | zeros          |
 *             +---------+----------------+----------------
 *
 * Head and flushes begin at multiples of 4096 and are padded up to the next one,
 * so a torn write of a flush cannot touch the one before it. All integers are
 * little-endian; u64 hold at most 2^53-1.
 */
export const BLOCK_BYTES = 4096;

/** Bytes of a file's head and of a flush's header. */
export const HEADER_BYTES = 64;

/** Position of a file's first flush. */
export const FIRST_FLUSH = BLOCK_BYTES;

/** A reader of another version must refuse the folder, never cut it. */
export const FORMAT_VERSION = 1;

/**
 * "PLJH" and "PLJF" as they stand in a file. In every version of the format the magic, the version,
 * sequence and salt, and the CRC of the first 60 bytes stay where they are.
 */
const FILE_MAGIC = 0x484a4c50;
const FLUSH_MAGIC = 0x464a4c50;
const VERSION_AT = 4;
const CRC_AT = HEADER_BYTES - 4;

/**
 * First block of a file, synced before the file gets its name.
 *
 *     0      4        8           16     24      60
 *     +------+--------+-----------+------+-------+-----+
 *     | PLJH | version| sequence  | salt | zeros | crc |
 *     | u32  | u32    | u64       | u64  |       | u32 |
 *     +------+--------+-----------+------+-------+-----+
 */
export interface FileHead {
  /** The file's place in the journal, from 1; also its name. Never used twice. */
  readonly sequence: number;
  /** Random; all checksums depend on it, so what a recycled file still holds is never valid. */
  readonly salt: number;
}

/**
 * What one sync covers.
 *
 *     0      4        8           16     24      32              40
 *     +------+--------+-----------+------+-------+---------------+---
 *     | PLJF | version| sequence  | salt | number| synced through|
 *     | u32  | u32    | u64       | u64  | u64   | u64           |
 *     +------+--------+-----------+------+-------+---------------+---
 *     40           44           48          52            56     60
 *     +------------+------------+-----------+-------------+------+-----+
 *     | frame bytes| frame count| frames crc| previous crc| zeros| crc |
 *     | u32        | u32        | u32       | u32         | u32  | u32 |
 *     +------------+------------+-----------+-------------+------+-----+
 */
export interface FlushHeader extends FileHead {
  /** Counted from 1 through all files, without gaps. */
  readonly number: number;
  /** Flushes up to this number were synced before this one was written. */
  readonly syncedThrough: number;
  readonly frameBytes: number;
  readonly frameCount: number;
  /** Over the first 8 bytes (crc, length) of each frame, in order, XOR the salt; they cover the rest. */
  readonly framesCrc: number;
  /** Own CRC of the header of flush `number - 1`; 0 for flush 1. */
  readonly previousCrc: number;
}

export interface DecodedFlushHeader extends FlushHeader {
  /** Own CRC, that of the 60 bytes before it. */
  readonly headerCrc: number;
}

/** What a checksum is XORed with: CRCs of the same bytes in two files then differ. */
export function saltMask(salt: number): number {
  return salt >>> 0;
}

/** Bytes that a flush takes in a file. */
export function flushBytes(frameBytes: number): number {
  return Math.ceil((HEADER_BYTES + frameBytes) / BLOCK_BYTES) * BLOCK_BYTES;
}

/** A whole first block. */
export function encodeFileHead(head: FileHead): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  const view = viewOf(block);
  writeStart(view, FILE_MAGIC, head);
  view.setUint32(CRC_AT, crc32(block.subarray(0, CRC_AT)), true);
  return block;
}

/** "unsupported": written by another version of this format, undamaged. */
export function decodeFileHead(bytes: Uint8Array): FileHead | "damaged" | "unsupported" {
  const checked = checkStart(bytes, FILE_MAGIC);
  if (checked !== "valid") return checked;
  return readStart(viewOf(bytes));
}

/**
 * Writes a header into the first 64 bytes of `target`.
 * @returns its own CRC, which the next flush must name
 */
export function encodeFlushHeader(target: Uint8Array, header: FlushHeader): number {
  const view = viewOf(target);
  writeStart(view, FLUSH_MAGIC, header);
  writeU64(view, 24, header.number);
  writeU64(view, 32, header.syncedThrough);
  view.setUint32(40, header.frameBytes, true);
  view.setUint32(44, header.frameCount, true);
  view.setUint32(48, header.framesCrc, true);
  view.setUint32(52, header.previousCrc, true);
  view.setUint32(56, 0, true);
  const crc = crc32(target.subarray(0, CRC_AT));
  view.setUint32(CRC_AT, crc, true);
  return crc;
}

/**
 * Reads a header and checks that it belongs to `file`; says nothing about the frames.
 *
 * "unsupported" is one of another version. It is that only when sequence and salt fit: an older
 * use of a recycled file may have been by a newer program.
 *
 * @param bytes at least 64
 * @param file without a salt any will do
 */
export function decodeFlushHeader(
  bytes: Uint8Array,
  file: Omit<FileHead, "salt"> & { readonly salt?: number | undefined },
): DecodedFlushHeader | "none" | "unsupported" {
  const checked = checkStart(bytes, FLUSH_MAGIC);
  if (checked === "damaged") return "none";
  const view = viewOf(bytes);
  const start = readStart(view);
  if (start.sequence !== file.sequence) return "none";
  if (file.salt !== undefined && start.salt !== file.salt) return "none";
  if (checked === "unsupported") return "unsupported";
  return {
    ...start,
    number: readU64(view, 24),
    syncedThrough: readU64(view, 32),
    frameBytes: view.getUint32(40, true),
    frameCount: view.getUint32(44, true),
    framesCrc: view.getUint32(48, true),
    previousCrc: view.getUint32(52, true),
    headerCrc: view.getUint32(CRC_AT, true),
  };
}

function writeStart(view: DataView, magic: number, { sequence, salt }: FileHead): void {
  view.setUint32(0, magic, true);
  view.setUint32(VERSION_AT, FORMAT_VERSION, true);
  writeU64(view, 8, sequence);
  writeU64(view, 16, salt);
}

function readStart(view: DataView): FileHead {
  return { sequence: readU64(view, 8), salt: readU64(view, 16) };
}

function checkStart(bytes: Uint8Array, magic: number): "valid" | "damaged" | "unsupported" {
  if (bytes.length < HEADER_BYTES) return "damaged";
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== magic) return "damaged";
  if (view.getUint32(CRC_AT, true) !== crc32(bytes.subarray(0, CRC_AT))) return "damaged";
  return view.getUint32(VERSION_AT, true) === FORMAT_VERSION ? "valid" : "unsupported";
}
