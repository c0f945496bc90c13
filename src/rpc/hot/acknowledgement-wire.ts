import type { Acknowledgement } from "../../topics/topics.ts";
import type { Encoded } from "../lean/lean-method.ts";
import { DURABILITIES } from "../produce-batch.ts";
import { writeVarintField } from "./wire-writer.ts";

/**
 * Acknowledgements as ProduceResponse, and as ProduceStreamResponse:
 *
 *     ProduceResponse        [08 first offset] [10 last offset] [18 append time] [20 durability]
 *                            [28 duplicate]; 0 is the default and not written
 *     ProduceStreamResponse  0A size ProduceResponse, for each
 */
const ACKNOWLEDGEMENTS_TAG = (1 << 3) | 2;

/** Three fields of 53 bits and two small ones. Below 128, so that its length is one byte. */
const RESPONSE_BYTES_MAX = 3 * 9 + 2 * 2;

export function encodeProduceResponse(acknowledgement: Acknowledgement): Encoded {
  const bytes = new Uint8Array(RESPONSE_BYTES_MAX);
  return encoded(bytes, writeResponse(bytes, 0, acknowledgement));
}

export function encodeProduceStreamResponse(acknowledgements: readonly Acknowledgement[]): Encoded {
  const bytes = new Uint8Array(acknowledgements.length * (2 + RESPONSE_BYTES_MAX));
  let at = 0;
  for (const acknowledgement of acknowledgements) {
    const end = writeResponse(bytes, at + 2, acknowledgement);
    bytes[at] = ACKNOWLEDGEMENTS_TAG;
    bytes[at + 1] = end - at - 2;
    at = end;
  }
  return encoded(bytes, at);
}

function encoded(bytes: Uint8Array, byteLength: number): Encoded {
  return { parts: [bytes.subarray(0, byteLength)], byteLength };
}

/** @returns the place after it */
function writeResponse(target: Uint8Array, start: number, answer: Acknowledgement): number {
  let at = writeVarintField(target, start, 1, answer.firstOffset);
  at = writeVarintField(target, at, 2, answer.lastOffset);
  at = writeVarintField(target, at, 3, answer.appendTimeUs);
  at = writeVarintField(target, at, 4, DURABILITIES[answer.durability]);
  return writeVarintField(target, at, 5, answer.duplicate ? 1 : 0);
}
