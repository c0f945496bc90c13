import type { ProglogError } from "../../base/errors.ts";
import type { HttpBody } from "../../platform/http-options.ts";
import type { Call } from "../call.ts";
import { unreadableError } from "../library-errors.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import type { Exchange } from "./exchange.ts";
import type { Messages } from "./lean-method.ts";
import type { LeanHouse } from "./visit.ts";
import { isCut } from "./whole-body.ts";

/** Messages that may wait for the handler, in bytes; then the connection waits. */
const WAITING_BYTES_MAX = 256 * 1024;

/**
 * The messages of a client's stream. Each item is what came since the last one was
 * asked for; an item counts as dealt with when the next one is.
 */
export class Inbox implements AsyncIterableIterator<Messages> {
  readonly #body: HttpBody;
  readonly #call: Call;
  readonly #reader: EnvelopeReader;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Bytes of the item that was given out last. */
  #givenBytes = 0;
  #isPaused = false;
  #isEnded = false;
  #error: ProglogError | undefined;
  #wake: (() => void) | undefined;

  constructor(body: HttpBody, { call, dialect }: Exchange, { errors, limits }: LeanHouse) {
    this.#body = body;
    this.#call = call;
    const { endFlag } = dialect;
    const { requestBytesMax } = limits;
    this.#reader = new EnvelopeReader({ call, endFlag, requestBytesMax, errors });
  }

  /** Begins to read. */
  start(): void {
    this.#body.on("data", this.#onData);
    this.#body.on("end", this.#onEnd);
    this.#call.whenAborted(() => {
      this.#waiting = [];
      this.#fail(this.#call.reason);
    });
  }

  /** Takes nothing more; what still comes is the connection's to drop. */
  stop(): void {
    this.#isEnded = true;
    this.#waiting = [];
    this.#leave();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Messages, undefined>> {
    this.#call.releaseBody(this.#givenBytes);
    this.#givenBytes = 0;
    if (this.#waiting.length === 0 && !this.#isEnded && this.#error === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#waiting.length > 0) return { done: false, value: this.#give() };
    if (this.#error !== undefined) throw this.#error;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Messages, undefined>> {
    this.stop();
    return { done: true, value: undefined };
  }

  #give(): Messages {
    const messages = this.#waiting;
    this.#givenBytes = this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#body.resume();
    }
    return messages;
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#waitingBytes += chunk.length;
    const overdraft = this.#call.received(chunk.length);
    const error = overdraft ?? this.#reader.read(chunk, this.#waiting);
    if (error !== undefined) this.#fail(error);
    else if (this.#waiting.length > 0) this.#tell();
    if (this.#waitingBytes < WAITING_BYTES_MAX || this.#waiting.length === 0) return;
    this.#isPaused = true;
    this.#body.pause();
  };

  readonly #onEnd = (): void => {
    if (this.#isEnded || isCut(this.#body)) return; // cut off: the call is aborted
    if (this.#reader.restBytes > 0) {
      this.#fail(unreadableError("protocol error: incomplete envelope"));
    } else {
      this.#isEnded = true;
      this.#tell();
    }
  };

  #fail(error: ProglogError | undefined): void {
    this.#error ??= error;
    this.#leave();
  }

  #leave(): void {
    this.#body.off("data", this.#onData);
    this.#body.off("end", this.#onEnd);
    if (this.#isPaused) this.#body.resume();
    this.#isPaused = false;
    this.#tell();
  }

  #tell(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
