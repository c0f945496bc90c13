import type { Offset } from "../base/units.ts";
import { newEnvelope, readEnvelope, readU32 } from "./envelope.ts";
import type { RecordSpans } from "./frame.ts";
import { HEADER_BYTES, RECORD_BYTES_MAX } from "./scan.ts";

/** What frames that lie together hold, with nothing made for each of them. */
export interface FrameRun extends RecordSpans {
  /** Offset and append time of each record, in microseconds since 1970. */
  readonly offsets: Float64Array;
  readonly appendTimesUs: Float64Array;
  /** Offset after the last frame that is sound, also when it holds no record any more. */
  readonly resumeOffset: number;
}

/** Used again and again: nothing here waits. */
const envelope = newEnvelope();
const place = { start: 0, end: 0, offset: 0 };

/**
 * Takes apart frames that follow each other, the first of which is of offset `first`: each is
 * checked, and the first that is not sound or not whole ends it, as `framesMax` of them do.
 *
 * Hot: every read comes by here. Nothing is allocated for a record.
 */
export function decodeFrames(
  { bytes, first }: { readonly bytes: Uint8Array; readonly first: Offset },
  framesMax = Number.POSITIVE_INFINITY,
): FrameRun {
  const frames = countFrames(bytes, framesMax);
  const starts = new Uint32Array(frames);
  const ends = new Uint32Array(frames);
  const offsets = new Float64Array(frames);
  const appendTimesUs = new Float64Array(frames);
  let count = 0;
  let at = 0;
  let offset: number = first;
  for (let left = frames; left > 0; left -= 1) {
    place.start = at + HEADER_BYTES;
    place.end = place.start + readU32(bytes, at);
    place.offset = offset;
    if (readEnvelope(bytes, place, envelope) !== "valid") break;
    if (envelope.isRecord) {
      starts[count] = envelope.bodyAt;
      ends[count] = place.end;
      offsets[count] = offset;
      appendTimesUs[count] = envelope.appendTimeUs;
      count += 1;
    }
    offset += 1;
    at = place.end;
  }
  return { count, bytes, starts, ends, offsets, appendTimesUs, resumeOffset: offset };
}

/** Whole frames at the front of `bytes`, as their lengths say. */
function countFrames(bytes: Uint8Array, framesMax: number): number {
  let frames = 0;
  for (let at = 0; at + HEADER_BYTES <= bytes.length && frames < framesMax; frames += 1) {
    const length = readU32(bytes, at);
    if (length > RECORD_BYTES_MAX || readU32(bytes, at + 4) !== 0) break;
    at += HEADER_BYTES + length;
    if (at > bytes.length) break;
  }
  return frames;
}
