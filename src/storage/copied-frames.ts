import { ProglogError } from "../base/errors.ts";
import { type Offset, toOffset } from "../base/units.ts";
import type { FrameBatch } from "./frame.ts";
import { decodeFrames } from "./frame-run.ts";
import { HEADER_BYTES, RECORD_BYTES_MAX } from "./scan.ts";

/** Most bytes of frames that are taken together. */
const BATCH_BYTES_MAX = 2 ** 31;

/** Frames of a log as peers send them to each other, one each offset from the first one on. */
export interface StoredFrames {
  readonly firstOffset: number;
  /** Envelope and record, without the length before them. Views, not to be written to. */
  readonly frames: readonly Uint8Array[];
}

/** Frames of a peer as they stand in a store. */
export interface CopiedBatch extends FrameBatch {
  readonly firstOffset: Offset;
}

/**
 * Puts frames that came from a peer together as they stand in a store, after a look at each
 * checksum: it covers length and offset, so what passes is what the peer has at that offset.
 *
 * @param wantedFirst offset that they must begin at; default: any
 * @throws MESSAGE_INVALID (metadata `offset`) when they do not, or one is not sound, or of a newer format
 */
export function copiedBatch(
  { firstOffset, frames }: StoredFrames,
  wantedFirst = firstOffset,
): CopiedBatch {
  if (firstOffset !== wantedFirst) {
    throw notSound(firstOffset, `the one of offset ${wantedFirst} is next`);
  }
  if (!Number.isSafeInteger(firstOffset + frames.length) || firstOffset < 0) {
    throw notSound(firstOffset, "there is no such offset");
  }
  let size = 0;
  for (const [at, frame] of frames.entries()) {
    if (frame.length > RECORD_BYTES_MAX) throw notSound(firstOffset + at, "it is too long");
    size += HEADER_BYTES + frame.length;
  }
  if (size > BATCH_BYTES_MAX) throw notSound(firstOffset, "there are too many at once");
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const ends = new Uint32Array(frames.length);
  let end = 0;
  for (const [at, frame] of frames.entries()) {
    // The upper half of the length is 0.
    view.setUint32(end, frame.length, true);
    bytes.set(frame, end + HEADER_BYTES);
    end += HEADER_BYTES + frame.length;
    ends[at] = end;
  }
  const first = toOffset(firstOffset);
  const soundEnd = soundUpTo({ bytes, first, count: frames.length });
  if (soundEnd < first + frames.length) throw notSound(soundEnd, "its checksum does not fit");
  return { bytes, ends, count: frames.length, firstOffset: first };
}

/** Offset after the last of `count` frames, or of the first that is not sound. */
export function soundUpTo(stretch: {
  readonly bytes: Uint8Array;
  readonly first: Offset;
  readonly count: number;
}): number {
  const { bytes, first, count } = stretch;
  return decodeFrames({ bytes, first, framesMax: count }).resumeOffset;
}

function notSound(offset: number, state: string): ProglogError {
  return new ProglogError(
    "MESSAGE_INVALID",
    `Cannot take the frame of offset ${offset} from a peer: ${state}, wanted what the peer has stored`,
    { metadata: { offset: `${offset}` } },
  );
}
