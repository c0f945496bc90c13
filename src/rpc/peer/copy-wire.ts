import type { CopyPiece } from "../../cluster/peer-host.ts";
import { WireReader } from "../hot/wire-reader.ts";
import { writeVarintField } from "../hot/wire-writer.ts";
import type { Encoded } from "../lean/lean-method.ts";
import { UNKNOWN_DEPTH_MAX } from "./peer-limits.ts";
import { fieldBytes, numberBytes, PieceWriter, SPLICED_BYTES_MIN } from "./piece-writer.ts";

/** Fields of proglog.internal.v1.CopyRangeResponse. */
const FIRST_OFFSET = 1;
const FIRST_OFFSET_TAG = 0x08;
const FRAMES_TAG = 0x12;

/** Frames are thousands, so they are written and read by hand. */
export function encodeCopyPiece({ firstOffset, frames }: CopyPiece): Encoded {
  let byteLength = numberBytes(firstOffset);
  let splicedBytes = 0;
  for (const frame of frames) {
    byteLength += fieldBytes(frame.length);
    if (frame.length >= SPLICED_BYTES_MIN) splicedBytes += frame.length;
  }
  const writer = new PieceWriter(byteLength - splicedBytes);
  writer.at = writeVarintField(writer.room, 0, FIRST_OFFSET, firstOffset);
  for (const frame of frames) {
    writer.tag(FRAMES_TAG, frame.length);
    writer.putOrSplice(frame);
  }
  return { parts: writer.finish(), byteLength };
}

/** Frames are views. @throws MESSAGE_INVALID */
export function decodeCopyPiece(bytes: Uint8Array): CopyPiece {
  const reader = new WireReader();
  reader.open(bytes);
  let firstOffset = 0;
  const frames: Uint8Array[] = [];
  while (reader.at < bytes.length) {
    reader.readTag();
    const tag = (reader.number << 3) | reader.wireType;
    if (tag === FRAMES_TAG) {
      const end = reader.enterSized();
      frames.push(bytes.subarray(reader.at, end));
      reader.at = end;
    } else if (tag === FIRST_OFFSET_TAG) {
      firstOffset = reader.readSafeInteger();
    } else {
      reader.skip(UNKNOWN_DEPTH_MAX);
    }
  }
  return { firstOffset, frames };
}
