import { concat } from "../../base/bytes.ts";
import type { ProglogError } from "../../base/errors.ts";
import type { Call } from "../call.ts";
import type { ErrorMap } from "../error-map.ts";
import { compressedError, tooLargeError } from "../library-errors.ts";
import { REQUEST_SLACK_BYTES } from "../limits.ts";
import { COMPRESSED_FLAG, ENVELOPE_HEADER_BYTES, readLength } from "./envelope.ts";

export interface EnvelopeReaderOptions {
  readonly call: Call;
  /** A flag of envelopes without a message of the client; 0 when there is none. */
  readonly endFlag: number;
  readonly requestBytesMax: number;
  readonly errors: ErrorMap;
}

/**
 * Finds the messages in the pieces of a stream, wherever it is cut. Of a message that
 * has not come whole it holds what came, and no more than a message may have: its
 * length is looked at first.
 */
export class EnvelopeReader {
  readonly #options: EnvelopeReaderOptions;
  /** Pieces of an envelope that has not come whole. */
  #rest: Uint8Array[] = [];
  #restBytes = 0;
  /** So many bytes must be there before there is anything to see. */
  #wantedBytes = ENVELOPE_HEADER_BYTES;

  constructor(options: EnvelopeReaderOptions) {
    this.#options = options;
  }

  /** True when the stream must not end here. */
  get hasRest(): boolean {
    return this.#restBytes > 0;
  }

  /**
   * Adds the messages that `chunk` completes to `messages`: views of it where they are whole.
   * @returns an error when the stream cannot be read any further
   */
  read(chunk: Uint8Array, messages: Uint8Array[]): ProglogError | undefined {
    if (this.#restBytes === 0) return this.#split(chunk, messages);
    this.#rest.push(chunk);
    this.#restBytes += chunk.length;
    if (this.#restBytes < this.#wantedBytes) return undefined;
    const bytes = concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    return this.#split(bytes, messages);
  }

  #split(bytes: Uint8Array, messages: Uint8Array[]): ProglogError | undefined {
    const { endFlag } = this.#options;
    const { length } = bytes;
    let at = 0;
    while (length - at >= ENVELOPE_HEADER_BYTES) {
      const flags = bytes[at] ?? 0;
      const byteLength = readLength(bytes, at);
      const error = this.#check(flags, byteLength);
      if (error !== undefined) return error;
      const start = at + ENVELOPE_HEADER_BYTES;
      if (length - start < byteLength) break;
      at = start + byteLength;
      if ((flags & endFlag) === 0) messages.push(bytes.subarray(start, at));
    }
    if (at < length) this.#keep(at === 0 ? bytes : bytes.subarray(at));
    return undefined;
  }

  #keep(rest: Uint8Array): void {
    this.#rest.push(rest);
    this.#restBytes = rest.length;
    this.#wantedBytes = ENVELOPE_HEADER_BYTES;
    if (rest.length >= ENVELOPE_HEADER_BYTES) this.#wantedBytes += readLength(rest, 0);
  }

  #check(flags: number, byteLength: number): ProglogError | undefined {
    const { call, errors, requestBytesMax } = this.#options;
    if (byteLength > requestBytesMax + REQUEST_SLACK_BYTES) return tooLargeError(requestBytesMax);
    return (flags & COMPRESSED_FLAG) === 0 ? undefined : compressedError(errors, call);
  }
}
