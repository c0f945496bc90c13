import { MIB, toOffset } from "../base/units.ts";
import { type StoredFrames, soundUpTo } from "./copied-frames.ts";
import type { Log } from "./log.ts";
import type { FrameRange } from "./log-types.ts";
import { HEADER_BYTES } from "./scan.ts";
import { offsetOutOfRange, storeCorrupt } from "./storage-errors.ts";

export interface StoredRange {
  readonly firstOffset: number;
  readonly endOffset: number;
  /** Of one piece, unless a single frame is larger; default 1 MiB. */
  readonly bytesMax?: number;
}

/**
 * Reads the frames of [firstOffset, endOffset) as they are stored, every checksum verified, for a peer: in
 * order, about `bytesMax` with one read. From the first piece on nothing of it goes, whatever is
 * trimmed, until the generator has ended.
 *
 * @throws OFFSET_OUT_OF_RANGE when some of it is not there; STORE_CORRUPT at a damaged one, after those
 *   before it; DRAINING when the log is closed
 */
export async function* readStored(
  log: Log,
  { firstOffset, endOffset, bytesMax = MIB }: StoredRange,
): AsyncGenerator<StoredFrames, void, void> {
  if (firstOffset >= endOffset) return;
  const isThere = firstOffset >= 0 && endOffset <= log.nextOffset;
  if (!isThere) throw offsetOutOfRange(firstOffset, log);
  const lease = log.lease(toOffset(firstOffset));
  const limits = { bytesMax, recordsMax: Number.MAX_SAFE_INTEGER, end: toOffset(endOffset) };
  try {
    for (let next = firstOffset; next < endOffset; ) {
      const piece = soundFrames(await lease.readFrames(toOffset(next), limits));
      yield piece;
      next += piece.frames.length;
    }
  } finally {
    lease.release();
  }
}

/** At least one. @throws STORE_CORRUPT */
function soundFrames(range: FrameRange): StoredFrames {
  const { bytes, first, ends, file, position } = range;
  const count = soundUpTo({ bytes, first, count: ends.length }) - first;
  if (count === 0) {
    throw storeCorrupt(
      `Cannot read the record at offset ${first}: "${file}" is damaged at byte ${position}, ` +
        "wanted what was appended",
      { offset: first, file, position },
    );
  }
  const frames: Uint8Array[] = [];
  let start = 0;
  for (let at = 0; at < count; at += 1) {
    const end = ends[at] ?? start;
    frames.push(bytes.subarray(start + HEADER_BYTES, end));
    start = end;
  }
  return { firstOffset: first, frames };
}
