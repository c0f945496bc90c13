import { concat } from "../../base/bytes.ts";
import { socketBytes } from "../../platform/socket-bytes.ts";
import type { Encoded } from "./lean-method.ts";

/**
 * An envelope, as gRPC, gRPC-Web and Connect's streams have them around each message:
 *
 *     0       1            5             5+n
 *     +-------+------------+-------------+
 *     | flags | n: u32 big | n bytes     |
 *     +-------+------------+-------------+
 */
export const ENVELOPE_HEADER_BYTES = 5;

/** The message is compressed. */
export const COMPRESSED_FLAG = 0x01;

/** Parts from here on go out as they are; smaller ones are copied, so that fewer pieces are written. */
const LARGE_PART_BYTES = 16 * 1024;

/** The length that stands at `at + 1` of an envelope that begins at `at`. */
export function readLength(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at + 1] ?? 0) * 2 ** 24 +
    (((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0))
  );
}

/** Writes the five bytes before a message of `length` bytes. */
export function writeHeader(target: Uint8Array, at: number, flags: number, length: number): void {
  target[at] = flags;
  target[at + 1] = length >>> 24;
  target[at + 2] = length >>> 16;
  target[at + 3] = length >>> 8;
  target[at + 4] = length;
}

/** One message in its envelope. */
export function envelopeOf(flags: number, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ENVELOPE_HEADER_BYTES + message.length);
  writeHeader(bytes, 0, flags, message.length);
  bytes.set(message, ENVELOPE_HEADER_BYTES);
  return bytes;
}

/** The bytes of a message without an envelope. */
export function bytesOf({ parts }: Encoded): Uint8Array {
  const [first] = parts;
  return parts.length === 1 && first !== undefined ? first : concat(parts);
}

/**
 * Messages in their envelopes, in as few pieces as are worth it.
 *
 * @param byteLength bytes of all messages, without envelopes
 * @param tail what is to follow them
 */
export function piecesOf(
  messages: readonly Encoded[],
  byteLength: number,
  tail?: Uint8Array,
): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const size = byteLength + messages.length * ENVELOPE_HEADER_BYTES;
  const copied = size < LARGE_PART_BYTES ? size : copiedBytes(messages);
  const piece = socketBytes(copied + (tail?.length ?? 0));
  let start = 0;
  let at = 0;
  for (const message of messages) {
    if (message.enveloped !== undefined && message.enveloped.length >= LARGE_PART_BYTES) {
      if (at > start) pieces.push(piece.subarray(start, at));
      pieces.push(message.enveloped);
      start = at;
      continue;
    }
    writeHeader(piece, at, 0, message.byteLength);
    at += ENVELOPE_HEADER_BYTES;
    for (const part of message.parts) {
      if (part.length < LARGE_PART_BYTES) {
        piece.set(part, at);
        at += part.length;
      } else {
        pieces.push(piece.subarray(start, at), part);
        start = at;
      }
    }
  }
  if (tail !== undefined) {
    piece.set(tail, at);
    at += tail.length;
  }
  if (at > start) pieces.push(start === 0 ? piece : piece.subarray(start, at));
  return pieces;
}

/** Bytes of `messages` that {@link piecesOf} copies: the others go out as they are. */
export function copiedBytes(messages: readonly Encoded[]): number {
  let copied = 0;
  for (const { parts, byteLength, enveloped } of messages) {
    if (enveloped !== undefined && enveloped.length >= LARGE_PART_BYTES) continue;
    copied += ENVELOPE_HEADER_BYTES + byteLength;
    for (const part of parts) if (part.length >= LARGE_PART_BYTES) copied -= part.length;
  }
  return copied;
}
