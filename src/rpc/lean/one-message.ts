import { ProglogError } from "../../base/errors.ts";
import type { Call } from "../call.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import { tooLargeError, unreadableError } from "../library-errors.ts";
import { REQUEST_SLACK_BYTES } from "../limits.ts";
import { EnvelopeReader, type EnvelopeReaderOptions } from "./envelope-reader.ts";

/** Makes the one message of a call out of the pieces of its body. */
export interface OneMessage {
  /** @returns why the body cannot be read any further */
  read(chunk: Uint8Array): ProglogError | undefined;
  /** Call once, when the body has ended. @returns the message, or why there is none */
  finish(): Uint8Array | ProglogError;
}

/** A message in an envelope. As in the library, envelopes that only end the stream are passed over. */
export class EnvelopedMessage implements OneMessage {
  readonly #reader: EnvelopeReader;
  /** In the words of the library's errors. */
  readonly #kind: string;
  readonly #messages: Uint8Array[] = [];

  constructor(options: EnvelopeReaderOptions, kind: string) {
    this.#reader = new EnvelopeReader(options);
    this.#kind = kind;
  }

  read(chunk: Uint8Array): ProglogError | undefined {
    const error = this.#reader.read(chunk, this.#messages);
    if (error !== undefined) return error;
    return this.#messages.length > 1 ? this.#misshapen("received extra") : undefined;
  }

  finish(): Uint8Array | ProglogError {
    if (this.#reader.restBytes > 0) return unreadableError("protocol error: incomplete envelope");
    return this.#messages[0] ?? this.#misshapen("missing");
  }

  #misshapen(what: "missing" | "received extra"): ProglogError {
    const message = `protocol error: ${what} input message for ${this.#kind} method`;
    return new ProglogError("UNIMPLEMENTED", message);
  }
}

/** A message that is the body. */
export class BareMessage implements OneMessage {
  readonly #requestBytesMax: number;
  /** Bytes of it by the header, when that says something. */
  readonly #promised: number | undefined;
  /** The message, when it came in one piece. */
  #whole: Uint8Array | undefined;
  readonly #gathered = new GatheredBytes();

  constructor(call: Call, requestBytesMax: number) {
    this.#requestBytesMax = requestBytesMax;
    this.#promised = contentLength(call);
  }

  /** @returns why the body need not even be read */
  check(): ProglogError | undefined {
    return (this.#promised ?? 0) > this.#bytesMax
      ? tooLargeError(this.#requestBytesMax)
      : undefined;
  }

  read(chunk: Uint8Array): ProglogError | undefined {
    const byteCount = this.#byteCount + chunk.length;
    if (byteCount > this.#bytesMax) return tooLargeError(this.#requestBytesMax);
    if (byteCount > (this.#promised ?? byteCount)) return this.#broken(byteCount);
    if (chunk.length === this.#promised) this.#whole = chunk;
    else this.#gathered.add(chunk, this.#promised ?? this.#bytesMax);
    return undefined;
  }

  finish(): Uint8Array | ProglogError {
    const byteCount = this.#byteCount;
    if (byteCount < (this.#promised ?? 0)) return this.#broken(byteCount);
    return this.#whole ?? this.#gathered.take();
  }

  get #byteCount(): number {
    return this.#whole?.length ?? this.#gathered.length;
  }

  get #bytesMax(): number {
    return this.#requestBytesMax + REQUEST_SLACK_BYTES;
  }

  #broken(byteCount: number): ProglogError {
    return unreadableError(
      `protocol error: promised ${this.#promised} bytes, received ${byteCount}`,
    );
  }
}

/** What the header says of the length of the body, when it says something. */
function contentLength({ headers }: Call): number | undefined {
  const text = headers["content-length"];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
