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

/** A message that is in one piece already. */
export function encodedOf(message: Uint8Array): Encoded {
  return { parts: [message], byteLength: message.length };
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
  const isAlone = messages.length === 1 && tail === undefined;
  const copied = isAlone || size >= LARGE_PART_BYTES ? copiedBytes(messages, isAlone) : size;
  const piece = socketBytes(copied + (tail?.length ?? 0));
  let start = 0;
  let at = 0;
  for (const message of messages) {
    const whole = wholeOf(message, isAlone);
    if (whole !== undefined) {
      if (at > start) pieces.push(piece.subarray(start, at));
      pieces.push(whole);
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

/** Bytes of the last one of `messages` when {@link piecesOf} gives it as it is; 0: it is copied. */
export function wholeBytesOfLast(messages: readonly Encoded[]): number {
  const last = messages.at(-1);
  return (last && wholeOf(last, messages.length === 1)?.length) ?? 0;
}

/**
 * The message with its envelope, when it goes out as it is. A small one does so alone, and
 * unless it would keep much more memory than its own while it waits.
 */
function wholeOf({ enveloped }: Encoded, isAlone: boolean): Uint8Array | undefined {
  if (enveloped === undefined || enveloped.length >= LARGE_PART_BYTES) return enveloped;
  return isAlone && enveloped.buffer.byteLength < LARGE_PART_BYTES ? enveloped : undefined;
}

/** Bytes of `messages` that are copied: the others go out as they are. */
function copiedBytes(messages: readonly Encoded[], isAlone: boolean): number {
  let copied = 0;
  for (const message of messages) {
    if (wholeOf(message, isAlone) !== undefined) continue;
    copied += ENVELOPE_HEADER_BYTES + message.byteLength;
    for (const part of message.parts) if (part.length >= LARGE_PART_BYTES) copied -= part.length;
  }
  return copied;
}
