import { viewOf } from "../base/bytes.ts";
import type { RecordSpans } from "../base/record-spans.ts";
import type { Offset } from "../base/units.ts";
import { crc32 } from "../platform/crc32.ts";
import { CRC_BYTES, crcAfterFrame, newEnvelope, readEnvelope, readHead } from "./envelope.ts";
import { HEADER_BYTES, RECORD_BYTES_MAX } from "./scan.ts";

/** What frames that lie together hold, with nothing made for each of them. */
export interface FrameRun extends RecordSpans, RunArrays {
  /** Offset after the last frame that is sound, also when it holds no record any more. */
  readonly resumeOffset: number;
  /** Where that frame ends in `bytes`. */
  readonly endAt: number;
  /** Lets others use the memory of the run, which nobody may look at any more. */
  readonly giveBack?: (() => void) | undefined;
}

/** An entry for each record; there may be more. */
export interface RunArrays {
  /** Record `i` is from `starts[i]` to `ends[i]`. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Offset and append time of each record, in microseconds since 1970. */
  readonly offsets: Float64Array;
  readonly appendTimesUs: Float64Array;
}

export interface FramesToDecode {
  readonly bytes: Uint8Array;
  /** Offset of the first frame. */
  readonly first: Offset;
  /** Frames to decode at most; default: all. */
  readonly framesMax?: number | undefined;
  /** Filled, and used by the run: then that many frames at most. Default: made for the run. */
  readonly arrays?: RunArrays | undefined;
}

/** The words of an envelope that are compared with the one before, and how long it is if these are all of it. */
const WORD_BYTES = 4;
const HEAD_1 = CRC_BYTES;
const HEAD_2 = HEAD_1 + WORD_BYTES;
const HEAD_3 = HEAD_2 + WORD_BYTES;
const COMPARED_BYTES_MIN = HEAD_3 + WORD_BYTES;
const COMPARED_BYTES_MAX = COMPARED_BYTES_MIN + WORD_BYTES;

/** Used again and again: nothing here waits. */
const envelope = newEnvelope();
const place = { start: 0, end: 0, offset: 0 };

/**
 * Takes apart frames that follow each other: each is checked, and the first that is not sound
 * or not whole ends the run.
 *
 * Hot: every read comes by here. Nothing is allocated for a record.
 */
export function decodeFrames(frames: FramesToDecode): FrameRun {
  const { framesMax = Number.POSITIVE_INFINITY, arrays = arraysFor(frames) } = frames;
  const bounded = { ...frames, arrays, framesMax: Math.min(framesMax, arrays.starts.length) };
  const { run, isSound } = takeApart(bounded);
  return isSound ? run : takeApart({ ...bounded, framesMax: countSound(bounded) }).run;
}

interface BoundedFrames extends FramesToDecode {
  readonly framesMax: number;
  readonly arrays: RunArrays;
}

/**
 * Checks all frames by one CRC: the run is of no use when that is wrong.
 *
 * What is compared is read as signed words: on Bun 1.4 that costs half of what unsigned ones
 * do, and a quarter of single bytes on Node 24.
 */
function takeApart({ bytes, first, framesMax, arrays }: BoundedFrames): {
  readonly run: FrameRun;
  readonly isSound: boolean;
} {
  const { starts, ends, offsets, appendTimesUs } = arrays;
  const view = viewOf(bytes);
  // The envelope that was read last: nearly all are as the one before, of the same entry.
  let headBytes = 0;
  let head1 = 0;
  let head2 = 0;
  let head3 = 0;
  let headLast = 0;
  let count = 0;
  let at = 0;
  let crc = 0;
  let offset: number = first;
  for (let left = framesMax; left > 0; left -= 1) {
    const length = wholeFrame(view, at);
    if (length <= CRC_BYTES) break;
    const start = at + HEADER_BYTES;
    const end = start + length;
    const isSame =
      headBytes !== 0 &&
      headBytes <= length &&
      view.getInt32(start + HEAD_1, true) === head1 &&
      view.getInt32(start + HEAD_2, true) === head2 &&
      view.getInt32(start + HEAD_3, true) === head3 &&
      view.getInt32(start + headBytes - WORD_BYTES, true) === headLast;
    if (!isSame) {
      if (readHead(bytes, start, end, envelope) !== "valid") break;
      headBytes = envelope.bodyAt - start;
      if (headBytes >= COMPARED_BYTES_MIN && headBytes <= COMPARED_BYTES_MAX) {
        head1 = view.getInt32(start + HEAD_1, true);
        head2 = view.getInt32(start + HEAD_2, true);
        head3 = view.getInt32(start + HEAD_3, true);
        headLast = view.getInt32(start + headBytes - WORD_BYTES, true);
      }
    }
    crc = crcAfterFrame(length, view.getInt32(start, true), offset, crc);
    if (envelope.isRecord) {
      starts[count] = start + headBytes;
      ends[count] = end;
      offsets[count] = offset;
      appendTimesUs[count] = envelope.appendTimeUs;
      count += 1;
    }
    if (headBytes < COMPARED_BYTES_MIN || headBytes > COMPARED_BYTES_MAX) headBytes = 0;
    offset += 1;
    at = end;
  }
  const run = { ...arrays, count, bytes, resumeOffset: offset, endAt: at };
  return { run, isSound: crc32(bytes.subarray(0, at)) === crc >>> 0 };
}

/** Frames before the first damaged one: each is checked by itself. */
function countSound({ bytes, first, framesMax }: BoundedFrames): number {
  const view = viewOf(bytes);
  let at = 0;
  for (let frames = 0; frames < framesMax; frames += 1) {
    const length = wholeFrame(view, at);
    if (length < 0) return frames;
    place.start = at + HEADER_BYTES;
    place.end = place.start + length;
    place.offset = first + frames;
    if (readEnvelope(bytes, place, envelope) !== "valid") return frames;
    at = place.end;
  }
  return framesMax;
}

/** Length of the data of the frame at `at`; below 0 when it is not whole. */
function wholeFrame(view: DataView, at: number): number {
  if (at + HEADER_BYTES > view.byteLength) return -1;
  const length = view.getInt32(at, true);
  const isInRange = length <= RECORD_BYTES_MAX && view.getInt32(at + WORD_BYTES, true) === 0;
  return isInRange && at + HEADER_BYTES + length <= view.byteLength ? length : -1;
}

export function newRunArrays(capacity: number): RunArrays {
  return {
    starts: new Uint32Array(capacity),
    ends: new Uint32Array(capacity),
    offsets: new Float64Array(capacity),
    appendTimesUs: new Float64Array(capacity),
  };
}

/** Room for all whole frames at the front, as their lengths say. */
function arraysFor({ bytes, framesMax = Number.POSITIVE_INFINITY }: FramesToDecode): RunArrays {
  const view = viewOf(bytes);
  let frames = 0;
  for (let at = 0; frames < framesMax; frames += 1) {
    const length = wholeFrame(view, at);
    if (length < 0) break;
    at += HEADER_BYTES + length;
  }
  return newRunArrays(frames);
}
