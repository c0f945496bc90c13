import type { Offset } from "../base/units.ts";
import { decodeRecord } from "../storage/frame.ts";
import type { FrameRange } from "../storage/log-types.ts";
import { HEADER_BYTES } from "../storage/scan.ts";
import type { RecordRun } from "./topics.ts";

/**
 * The records of frames that were read, each checked. Damage ends it: what lies before is to
 * be had, and the next read begins there and says so.
 *
 * @throws STORE_CORRUPT when the first frame is damaged
 */
export function runOf({ bytes, ends: frameEnds, first }: FrameRange): RecordRun {
  const starts = new Uint32Array(frameEnds.length);
  const ends = new Uint32Array(frameEnds.length);
  const offsets = new Float64Array(frameEnds.length);
  const appendTimesUs = new Float64Array(frameEnds.length);
  let count = 0;
  let resumeOffset: number = first;
  let frameStart = 0;
  for (const frameEnd of frameEnds) {
    const data = bytes.subarray(frameStart + HEADER_BYTES, frameEnd);
    try {
      const { kind, body, appendTimeUs } = decodeRecord(data, resumeOffset as Offset);
      if (kind === "record") {
        starts[count] = frameEnd - body.length;
        ends[count] = frameEnd;
        offsets[count] = resumeOffset;
        appendTimesUs[count] = appendTimeUs;
        count += 1;
      }
    } catch (error) {
      if (resumeOffset === first) throw error;
      break;
    }
    resumeOffset += 1;
    frameStart = frameEnd;
  }
  return { count, bytes, starts, ends, offsets, appendTimesUs, resumeOffset };
}
