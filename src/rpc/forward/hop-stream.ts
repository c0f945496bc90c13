import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { ProglogError } from "../../base/errors.ts";
import { MIB } from "../../base/units.ts";
import type { HttpHeaders } from "../../platform/http-options.ts";
import type { HttpOutgoing } from "../../platform/http-pool.ts";
import type { Call } from "../call.ts";
import { encodedOf, piecesOf } from "../lean/envelope.ts";
import type { EnvelopeReader } from "../lean/envelope-reader.ts";
import { responseReader } from "../peer/grpc-client.ts";
import { HopFailure } from "./hop-failure.ts";

/** Largest message of an answer: a record of the largest size that can be set, and what is around it. */
const ANSWER_BYTES_MAX = 104 * MIB;

/** Messages that wait to be taken; then the other server waits. */
const WAITING_BYTES_MAX = 64 * 1024;

const HTTP_OK = 200;
const CANCEL = 8;
const REFUSED_STREAM = 7;

/**
 * A call to another server as gRPC has it: messages there and back, as bytes. Ends when the client's
 * call does. What comes waits until it is taken, and little of it.
 */
export class HopStream {
  readonly #stream: HttpOutgoing;
  readonly #reader: EnvelopeReader;
  readonly #fields: Record<string, HttpHeaders[string]> = {};
  readonly #leave: () => void;
  readonly #isSilent: () => boolean;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isPaused = false;
  #isOver = false;
  /** Why it ended; undefined when it ended well, or has not. */
  #failure: unknown;
  #streamError: unknown;
  #wake: () => void = () => {};
  #drained: () => void = () => {};

  /** @param isSilent whether the other server does not answer any more */
  constructor(stream: HttpOutgoing, call: Call, isSilent: () => boolean) {
    this.#stream = stream;
    this.#isSilent = isSilent;
    this.#reader = responseReader(ANSWER_BYTES_MAX);
    stream.on("response", (fields) => Object.assign(this.#fields, fields));
    stream.on("trailers", (fields) => Object.assign(this.#fields, fields));
    stream.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    stream.on("drain", () => this.#drained());
    stream.on("error", (thrown) => {
      this.#streamError = thrown; // "close" follows
    });
    stream.on("end", () => {
      if (this.#fields["grpc-status"] !== undefined) this.#finish();
    });
    stream.once("close", () => this.#finish());
    this.#leave = call.whenAborted(() => this.cancel());
  }

  /** True when nothing is sent any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Sends messages. @returns false when {@link whenRoom} is to be awaited before the next ones */
  send(messages: readonly Uint8Array[]): boolean {
    if (this.#isOver || this.#stream.destroyed || this.#stream.writableEnded) return true;
    let byteLength = 0;
    for (const message of messages) byteLength += message.length;
    let hasRoom = true;
    for (const piece of piecesOf(messages.map(encodedOf), byteLength))
      hasRoom = this.#stream.write(piece);
    return hasRoom;
  }

  /** Nothing more is sent. */
  endSending(): void {
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.end();
  }

  /** Resolves when what was sent is on its way, and when the call is over. */
  async whenRoom(): Promise<void> {
    if (this.#isOver || !this.#stream.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }

  /** A message that has come; undefined when there is none just now. */
  take(): Uint8Array | undefined {
    const message = this.#waiting.shift();
    if (message === undefined) return undefined;
    this.#waitingBytes -= message.length;
    if (this.#isPaused && this.#waitingBytes < WAITING_BYTES_MAX) {
      this.#isPaused = false;
      this.#stream.resume();
    }
    return message;
  }

  /**
   * The next message; undefined when the answer has ended well.
   * @throws HopFailure; the other server's error as a ConnectError
   */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const message = this.take();
      if (message !== undefined) return message;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isOver) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Gives the call up; does nothing when it is over. */
  cancel(): void {
    if (this.#isOver) return;
    const isSilence = this.#isSilent();
    this.#end(new HopFailure("The call was given up", true, { isSilence }));
  }

  #onData(chunk: Uint8Array): void {
    if (this.#isOver) return;
    const before = this.#waiting.length;
    const unreadable = this.#reader.read(chunk, this.#waiting);
    if (unreadable !== undefined) {
      this.#waiting = [];
      this.#stream.close(CANCEL);
      this.#end(unreadableAnswer(unreadable));
      return;
    }
    for (const message of this.#waiting.slice(before)) this.#waitingBytes += message.length;
    if (this.#waitingBytes >= WAITING_BYTES_MAX && !this.#isPaused) {
      this.#isPaused = true;
      this.#stream.pause();
    }
    if (this.#waiting.length > before) this.#wake();
  }

  #finish(): void {
    if (!this.#isOver) this.#end(this.#judge());
  }

  /** What the end of the stream means. */
  #judge(): unknown {
    const { rstCode } = this.#stream;
    const status = this.#fields["grpc-status"];
    if (status === "0") {
      if (this.#reader.restBytes === 0) return undefined;
      return new HopFailure("The answer ended inside a message", true);
    }
    if (status !== undefined) return errorIn(this.#fields);
    const http = this.#fields[":status"];
    if (http !== undefined && Number(http) !== HTTP_OK) {
      return new HopFailure(`The answer has HTTP status ${http}`, false);
    }
    const isSent = rstCode !== REFUSED_STREAM;
    return new HopFailure("The connection broke", isSent, { cause: this.#streamError });
  }

  #end(failure: unknown): void {
    this.#isOver = true;
    this.#failure = failure;
    this.#leave();
    if (isCut(failure)) {
      this.#waiting = [];
      if (!this.#stream.closed) this.#stream.close(CANCEL);
    } else {
      this.endSending(); // an answer may come before the request is out
    }
    this.#wake();
    this.#drained();
  }
}

/** A defect, which would be met again elsewhere. */
function unreadableAnswer(cause: ProglogError): ProglogError {
  return new ProglogError("INTERNAL", "Cannot read what another server answered", {
    metadata: { outcome: "unknown" },
    cause,
  });
}

function isCut(failure: unknown): boolean {
  return failure instanceof HopFailure && failure.isSent;
}

function errorIn(fields: Readonly<Record<string, HttpHeaders[string]>>): unknown {
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith(":") || value === undefined) continue;
    headers.set(name, Array.isArray(value) ? value.join(", ") : `${value}`);
  }
  try {
    return findTrailerError(headers) ?? new HopFailure("The answer has no status", true);
  } catch (cause) {
    return new HopFailure("The status of the answer cannot be read", true, { cause });
  }
}
