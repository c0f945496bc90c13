import type { ProglogError } from "../../base/errors.ts";
import type { HttpBody } from "../../platform/http-options.ts";
import { silentError } from "../body-source.ts";
import type { Call } from "../call.ts";
import { compressedError, unreadableError } from "../library-errors.ts";
import { MESSAGE_COST_BYTES } from "../limits.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import type { Exchange } from "./exchange.ts";
import type { LeanHouse } from "./lean-house.ts";
import type { Messages } from "./lean-method.ts";
import type { Silence, SilenceWatch } from "./silence-watch.ts";
import { isCut } from "./whole-body.ts";

/** Messages that may wait for the handler, by their cost; then the connection waits. */
const WAITING_BYTES_MAX = 256 * 1024;

/**
 * The messages of a client's stream. Each item is what came since the last one was
 * asked for; an item counts as dealt with when the next one is. Between messages the
 * client may be silent for ever, inside of one it may not.
 */
export class Inbox implements AsyncIterableIterator<Messages>, Silence {
  dueMs = 0;
  readonly #body: HttpBody;
  readonly #call: Call;
  readonly #reader: EnvelopeReader;
  readonly #silence: SilenceWatch;
  readonly #timeoutMs: number;
  #waiting: Uint8Array[] = [];
  /** What was counted and not given out; what the reader holds of the next message is in it. */
  #waitingBytes = 0;
  /** The same of the item that was given out last. */
  #givenBytes = 0;
  #isWatched = false;
  #isPaused = false;
  #isEnded = false;
  #error: ProglogError | undefined;
  #wake: (() => void) | undefined;

  constructor(body: HttpBody, { call, dialect }: Exchange, house: LeanHouse) {
    this.#body = body;
    this.#call = call;
    const { endFlag } = dialect;
    const { errors, limits, silence } = house;
    const { requestBytesMax } = limits;
    this.#silence = silence;
    this.#timeoutMs = limits.bodyTimeoutMs;
    const compressed = () => compressedError(errors, call);
    this.#reader = new EnvelopeReader({ endFlag, requestBytesMax, compressed });
  }

  /** Begins to read. */
  start(): void {
    this.#body.on("data", this.#onData);
    this.#body.on("end", this.#onEnd);
    this.#call.whenAborted(() => {
      this.#waiting = [];
      if (this.#call.reason !== undefined) this.fail(this.#call.reason);
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
    const { restBytes } = this.#reader;
    this.#givenBytes = this.#waitingBytes - restBytes;
    this.#waiting = [];
    this.#waitingBytes = restBytes;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#body.resume();
      this.#watchSilence();
    }
    return messages;
  }

  readonly #onData = (chunk: Uint8Array): void => {
    const before = this.#waiting.length;
    const unreadable = this.#reader.read(chunk, this.#waiting);
    const cost = chunk.length + MESSAGE_COST_BYTES * (this.#waiting.length - before);
    this.#waitingBytes += cost;
    const error = this.#call.received(cost) ?? unreadable;
    if (error !== undefined) {
      this.fail(error);
      return;
    }
    if (this.#waiting.length > 0) this.#tell();
    if (this.#waitingBytes >= WAITING_BYTES_MAX && this.#waiting.length > 0) {
      this.#isPaused = true;
      this.#body.pause();
    }
    this.#watchSilence();
  };

  /** A message that has begun is to go on, unless it is we who do not let it. */
  #watchSilence(): void {
    const isDue = this.#reader.restBytes > 0 && !this.#isPaused;
    if (isDue) this.#silence.watch(this);
    else if (this.#isWatched) this.#silence.leave(this);
    this.#isWatched = isDue;
  }

  readonly #onEnd = (): void => {
    if (this.#isEnded || isCut(this.#body)) return; // cut off: the call is aborted
    if (this.#reader.restBytes > 0) {
      this.fail(unreadableError("protocol error: incomplete envelope"));
    } else {
      this.#isEnded = true;
      this.#tell();
    }
  };

  /** Nothing more came of a message for too long. */
  expire(): void {
    this.fail(silentError(this.#timeoutMs));
  }

  /** Ends the messages with `error`, behind those that came whole. */
  fail(error: ProglogError): void {
    this.#error ??= error;
    this.#leave();
  }

  /** What has begun of a message is of no use any more. */
  #leave(): void {
    const { restBytes } = this.#reader;
    this.#reader.drop();
    this.#waitingBytes -= restBytes;
    this.#call.releaseBody(restBytes);
    this.#body.off("data", this.#onData);
    this.#body.off("end", this.#onEnd);
    if (this.#isPaused) this.#body.resume();
    this.#isPaused = false;
    this.#watchSilence();
    this.#tell();
  }

  #tell(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
