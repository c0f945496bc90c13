import { ProglogError } from "../../base/errors.ts";
import type { HttpBody } from "../../platform/http-options.ts";
import type { Call } from "../call.ts";
import { compressedError, tooLargeError, unreadableError } from "../library-errors.ts";
import { REQUEST_SLACK_BYTES } from "../limits.ts";
import type { Dialect } from "./dialect.ts";
import { COMPRESSED_FLAG, ENVELOPE_HEADER_BYTES, readLength } from "./envelope.ts";
import type { Exchange } from "./exchange.ts";
import type { Silence } from "./silence-watch.ts";
import type { LeanHouse } from "./visit.ts";

export interface BodyOptions {
  readonly exchange: Exchange;
  readonly house: LeanHouse;
  /** In the words of the library's errors. */
  readonly kind: "unary" | "server-streaming";
}

/** Told of a body: exactly one of the two is called, once; none when the client gives up. */
export interface BodyListener {
  onMessage(message: Uint8Array): void;
  onBadBody(error: ProglogError): void;
}

/**
 * The body of a call that sends one message. What it promises is checked before it is
 * gathered, so that no more is held than the message may have.
 */
export class WholeBody implements Silence {
  lastMs = 0;
  readonly #body: HttpBody;
  readonly #call: Call;
  readonly #dialect: Dialect;
  readonly #house: LeanHouse;
  readonly #kind: string;
  readonly #listener: BodyListener;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** Bytes of the message, as soon as its envelope or the header has told. */
  #promised: number | undefined;
  #isOver = false;

  constructor(body: HttpBody, { exchange, house, kind }: BodyOptions, listener: BodyListener) {
    this.#body = body;
    this.#call = exchange.call;
    this.#dialect = exchange.dialect;
    this.#house = house;
    this.#kind = kind;
    this.#listener = listener;
  }

  /** Begins to read. */
  start(): void {
    if (!this.#dialect.hasEnvelopes) this.#promise(contentLength(this.#call));
    if (this.#isOver) return;
    this.#body.on("data", this.#onData);
    this.#body.on("end", this.#onEnd);
    this.#house.silence.watch(this);
    this.#call.whenOver(this.#onOver);
  }

  /** Gives up, and fails with `error`. */
  fail(error: ProglogError): void {
    if (this.#isOver) return;
    this.#leave();
    // What still comes is the connection's to drop.
    this.#body.off("data", this.#onData);
    this.#listener.onBadBody(error);
  }

  #leave(): void {
    this.#isOver = true;
    this.#chunks = [];
    this.#house.silence.leave(this);
  }

  readonly #onOver = (): void => {
    if (!this.#isOver) this.#leave();
  };

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#isOver) return;
    this.#house.silence.touch(this);
    const error = this.#call.received(chunk.length);
    if (error !== undefined) {
      this.fail(error);
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (!this.#dialect.hasEnvelopes) this.#checkLength();
    else if (this.#bytes >= ENVELOPE_HEADER_BYTES) this.#checkEnvelope();
  };

  /** Without envelopes the body is the message. */
  #checkLength(): void {
    if (this.#bytes > this.#bytesMax) this.fail(tooLargeError(this.#house.limits.requestBytesMax));
    else if (this.#promised !== undefined && this.#bytes > this.#promised) this.#failPromise();
  }

  #checkEnvelope(): void {
    if (this.#promised === undefined) {
      const header = this.#chunks[0];
      if (header !== undefined && header.length >= ENVELOPE_HEADER_BYTES) this.#readHeader(header);
      else this.#readHeader(this.#joined());
      if (this.#isOver) return;
    }
    const extra = this.#bytes - ENVELOPE_HEADER_BYTES - (this.#promised ?? 0);
    if (extra > 0) this.#failShape("received extra");
  }

  #readHeader(bytes: Uint8Array): void {
    const flags = bytes[0] ?? 0;
    this.#promise(readLength(bytes, 0));
    if (this.#isOver) return;
    if ((flags & COMPRESSED_FLAG) !== 0) this.fail(compressedError(this.#house.errors, this.#call));
    else if ((flags & this.#dialect.endFlag) !== 0) this.#failShape("missing");
  }

  #promise(length: number | undefined): void {
    this.#promised = length;
    if (length !== undefined && length > this.#bytesMax) {
      this.fail(tooLargeError(this.#house.limits.requestBytesMax));
    }
  }

  readonly #onEnd = (): void => {
    if (this.#isOver || isCut(this.#body)) return;
    if (!this.#dialect.hasEnvelopes) {
      if (this.#promised !== undefined && this.#bytes < this.#promised) this.#failPromise();
      else this.#succeed(0);
    } else if (this.#bytes === 0) {
      this.#failShape("missing");
    } else if (this.#bytes < ENVELOPE_HEADER_BYTES + (this.#promised ?? 0)) {
      this.fail(unreadableError("protocol error: incomplete envelope"));
    } else {
      this.#succeed(ENVELOPE_HEADER_BYTES);
    }
  };

  #succeed(start: number): void {
    const bytes = this.#joined();
    this.#leave();
    this.#listener.onMessage(start === 0 ? bytes : bytes.subarray(start));
  }

  #joined(): Uint8Array {
    const [first] = this.#chunks;
    if (this.#chunks.length === 1 && first !== undefined) return first;
    const joined = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [joined];
    return joined;
  }

  get #bytesMax(): number {
    return this.#house.limits.requestBytesMax + REQUEST_SLACK_BYTES;
  }

  #failPromise(): void {
    const promised = `protocol error: promised ${this.#promised} bytes, received ${this.#bytes}`;
    this.fail(unreadableError(promised));
  }

  #failShape(what: "missing" | "received extra"): void {
    const message = `protocol error: ${what} input message for ${this.#kind} method`;
    this.fail(new ProglogError("UNIMPLEMENTED", message));
  }
}

/** What the header says of the length of the body, when it says something. */
function contentLength({ headers }: Call): number | undefined {
  const text = headers["content-length"];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A body that the client broke off ends too, on HTTP/2. */
export function isCut(body: HttpBody): boolean {
  return body.aborted === true || body.destroyed || (body.rstCode ?? 0) !== 0;
}
