import type { ProglogError } from "../../base/errors.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import { tooLargeError } from "../library-errors.ts";
import { REQUEST_SLACK_BYTES } from "../limits.ts";
import { COMPRESSED_FLAG, ENVELOPE_HEADER_BYTES, readLength } from "./envelope.ts";

export interface EnvelopeReaderOptions {
  /** A flag of envelopes without a message of the client; 0 when there is none. */
  readonly endFlag: number;
  readonly requestBytesMax: number;
  /** What to say of a message that is compressed. */
  readonly compressed: () => ProglogError;
}

/**
 * Finds the messages in the pieces of a stream, wherever it is cut. Of a message that
 * has not come whole it holds what came, and no more than a message may have: its
 * length is looked at first.
 */
export class EnvelopeReader {
  readonly #options: EnvelopeReaderOptions;
  /** What came of an envelope that has not come whole. */
  readonly #rest = new GatheredBytes();
  /** So many bytes must be there before there is anything to see: the header, then all of it. */
  #wantedBytes = ENVELOPE_HEADER_BYTES;

  constructor(options: EnvelopeReaderOptions) {
    this.#options = options;
  }

  /** Bytes of an envelope that has begun. Unless they are 0 the stream must not end here. */
  get restBytes(): number {
    return this.#rest.length;
  }

  /**
   * Adds the messages that `chunk` completes to `messages`: views of it where they are whole.
   * @returns an error when the stream cannot be read any further
   */
  read(chunk: Uint8Array, messages: Uint8Array[]): ProglogError | undefined {
    let at = 0;
    while (this.#rest.length > 0 && at < chunk.length) {
      const end = Math.min(at + this.#wantedBytes - this.#rest.length, chunk.length);
      this.#rest.add(chunk.subarray(at, end), this.#wantedBytes);
      at = end;
      const error = this.#look(messages);
      if (error !== undefined) return error;
    }
    return this.#split(chunk, at, messages);
  }

  /** Drops what has begun. */
  drop(): void {
    this.#rest.take();
    this.#wantedBytes = ENVELOPE_HEADER_BYTES;
  }

  /** Looks at what is there of an envelope, when it is what was wanted. */
  #look(messages: Uint8Array[]): ProglogError | undefined {
    const { bytes } = this.#rest;
    if (bytes.length < this.#wantedBytes) return undefined;
    const flags = bytes[0] ?? 0;
    if (this.#wantedBytes === ENVELOPE_HEADER_BYTES) {
      const byteLength = readLength(bytes, 0);
      const error = this.#check(flags, byteLength);
      if (error !== undefined) return error;
      this.#wantedBytes += byteLength;
      if (byteLength > 0) return undefined;
    }
    this.drop();
    if ((flags & this.#options.endFlag) === 0) messages.push(bytes.subarray(ENVELOPE_HEADER_BYTES));
    return undefined;
  }

  /** Looks at `bytes` from `from` on, where an envelope begins. */
  #split(bytes: Uint8Array, from: number, messages: Uint8Array[]): ProglogError | undefined {
    const { endFlag } = this.#options;
    const { length } = bytes;
    let at = from;
    while (length - at >= ENVELOPE_HEADER_BYTES) {
      const flags = bytes[at] ?? 0;
      const byteLength = readLength(bytes, at);
      const error = this.#check(flags, byteLength);
      if (error !== undefined) return error;
      const start = at + ENVELOPE_HEADER_BYTES;
      if (length - start < byteLength) {
        this.#wantedBytes = ENVELOPE_HEADER_BYTES + byteLength;
        break;
      }
      at = start + byteLength;
      if ((flags & endFlag) === 0) messages.push(bytes.subarray(start, at));
    }
    if (at < length) this.#rest.add(bytes.subarray(at), this.#wantedBytes);
    return undefined;
  }

  #check(flags: number, byteLength: number): ProglogError | undefined {
    const { compressed, requestBytesMax } = this.#options;
    if (byteLength > requestBytesMax + REQUEST_SLACK_BYTES) return tooLargeError(requestBytesMax);
    return (flags & COMPRESSED_FLAG) === 0 ? undefined : compressed();
  }
}
