import { readU64, viewOf } from "../base/bytes.ts";
import { type Offset, type Position, toOffset } from "../base/units.ts";

/** Size of the length prefix: an unsigned 64-bit little-endian integer. */
export const HEADER_BYTES = 8;

/** A longer record can only be a damaged length; the seed's recovery stops there too. */
export const RECORD_BYTES_MAX = 100 * 1024 * 1024;

/** Why a scan ended before the bytes did. */
export type ScanStop =
  | "torn-header"
  | "torn-record"
  | "length-over-limit"
  /** The owner's check says that `data` is not what was written there. */
  | "check-failed"
  /** The owner's check says: valid, but of a version or kind that this program does not know. */
  | "unsupported";

/** "damaged": not what was written there. "unsupported": written there by a newer program. */
export type FrameCheck = "valid" | "damaged" | "unsupported";

export interface ScanOptions {
  /** Offset of the first frame; default 0. */
  readonly base?: Offset | undefined;
  /** Frames to walk at most; default all. */
  readonly recordsMax?: number | undefined;
  /** The owner's check of what a frame holds. Absent: any data will do. */
  readonly check?: ((data: Uint8Array, offset: Offset) => FrameCheck) | undefined;
  /** Gets the position of each whole frame. */
  readonly starts?: number[] | undefined;
}

export interface ScanResult {
  /** Bytes from the start that hold whole, checked frames. */
  readonly validBytes: number;
  readonly recordCount: number;
  /** Undefined when the frames reach to the end, or when there are `recordsMax`. */
  readonly stopped: ScanStop | undefined;
}

/**
 * Walks a store's frames from the front and says where they end.
 *
 * Layout of a store, by the seed's README ("Storage Format"):
 *
 *     0         8          8+n
 *     +---------+-----------+---------+----
 *     | n: u64  | n bytes   | n: u64  | ...
 *     +---------+-----------+---------+----
 *
 * Without a check eight zero bytes are a valid empty frame, so a run of zeros is
 * a run of empty records: the format alone cannot tell. With the envelope's check
 * (`frame.ts`) zeros are never a record.
 *
 * Pure: it neither reads nor cuts files, so that a test can hand it every prefix.
 */
export function scanFrames(bytes: Uint8Array, options: ScanOptions = {}): ScanResult {
  const { base = toOffset(0), recordsMax = Number.POSITIVE_INFINITY, check, starts } = options;
  const view = viewOf(bytes);
  let position = 0;
  let recordCount = 0;
  const stop = (stopped: ScanStop): ScanResult => ({ validBytes: position, recordCount, stopped });
  while (position < bytes.length && recordCount < recordsMax) {
    const dataStart = position + HEADER_BYTES;
    if (dataStart > bytes.length) return stop("torn-header");
    const length = readU64(view, position);
    // First the limit: a damaged length must not make the caller read on for the rest of the record.
    if (length > RECORD_BYTES_MAX) return stop("length-over-limit");
    if (dataStart + length > bytes.length) return stop("torn-record");
    if (check !== undefined) {
      const data = bytes.subarray(dataStart, dataStart + length);
      const found = check(data, (base + recordCount) as Offset);
      if (found !== "valid") return stop(found === "damaged" ? "check-failed" : "unsupported");
    }
    starts?.push(position);
    position = dataStart + length;
    recordCount += 1;
  }
  return { validBytes: position, recordCount, stopped: undefined };
}

/** Bytes of the frame that begins at `at`, header included; `view` must hold the header. */
export function frameBytesAt(view: DataView, at: Position | number): number {
  return HEADER_BYTES + readU64(view, at);
}
