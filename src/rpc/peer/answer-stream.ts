import { ProglogError } from "../../base/errors.ts";
import { type HttpCall, type HttpEnding, openCall } from "../../platform/http-client.ts";
import { envelopeOf } from "../lean/envelope.ts";
import type { EnvelopeReader } from "../lean/envelope-reader.ts";
import { GRPC_FIELDS, responseReader } from "./grpc-client.ts";
import { errorOfEnding, unreachableError } from "./peer-errors.ts";
import type { PeerHouse } from "./peer-stream.ts";

/** Bytes of messages that may wait to be asked for; then the connection waits. */
const WAITING_BYTES_MAX = 2 * 2 ** 20;

export interface AnswerStreamOptions extends PeerHouse {
  readonly address: string;
  /** Of the method. */
  readonly path: string;
  readonly request: Uint8Array;
  /** Longest silence while something is waited for. */
  readonly silenceMsMax: number;
  readonly signal: AbortSignal | undefined;
}

/** A call with one request: what is answered, message by message, as it is asked for. */
export class AnswerStream {
  readonly #options: AnswerStreamOptions;
  readonly #controller = new AbortController();
  readonly #reader: EnvelopeReader;
  #call: HttpCall | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isPaused = false;
  #isEnded = false;
  #error: ProglogError | undefined;
  #wake = () => {};

  constructor(options: AnswerStreamOptions) {
    this.#options = options;
    this.#reader = responseReader(options.limits.requestBytesMax);
    options.signal?.addEventListener("abort", this.close);
    if (options.signal?.aborted === true) this.close();
    else this.#start();
  }

  /**
   * The next message; undefined: that was the last one.
   * @throws what the peer answers, SERVER_UNREACHABLE, DEADLINE_EXCEEDED, CANCELED
   */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#waiting.length === 0 && !this.#isEnded) await this.#wait();
    const message = this.#waiting.shift();
    if (message === undefined) {
      if (this.#error !== undefined) throw this.#error;
      return undefined;
    }
    this.#waitingBytes -= message.length;
    if (this.#isPaused && this.#waitingBytes < WAITING_BYTES_MAX / 2) {
      this.#isPaused = false;
      this.#call?.resume();
    }
    return message;
  }

  /** Gives the call up, unless it is over. */
  readonly close = (): void => {
    this.#end(new ProglogError("CANCELED", "The call to a peer was given up"));
    this.#drop();
  };

  #start(): void {
    const { address, clientTls, limits, path, request } = this.#options;
    const { signal } = this.#controller;
    openCall({
      ...this.#options,
      tls: clientTls(),
      path,
      fields: GRPC_FIELDS,
      attempt: 0,
      timeoutMs: limits.dialTimeoutMs,
      signal,
      onData: (chunk) => this.#take(chunk),
      onEnd: (ending) => this.#onEnd(ending),
    }).then(
      (call) => {
        this.#call = call;
        if (signal.aborted) {
          call.destroy();
          return;
        }
        call.write(envelopeOf(0, request));
        call.end();
      },
      (cause: unknown) => this.#end(unreachableError(address, cause)),
    );
  }

  #take(chunk: Uint8Array): void {
    if (this.#isEnded) return;
    const before = this.#waiting.length;
    const error = this.#reader.read(chunk, this.#waiting);
    for (const message of this.#waiting.slice(before)) this.#waitingBytes += message.length;
    if (error !== undefined) {
      this.#end(error);
      this.#drop();
      return;
    }
    if (this.#waitingBytes >= WAITING_BYTES_MAX && !this.#isPaused) {
      this.#isPaused = true;
      this.#call?.pause();
    }
    this.#wake();
  }

  #onEnd(ending: HttpEnding): void {
    const { address } = this.#options;
    const error = errorOfEnding(ending, address);
    this.#end(
      error ?? (this.#reader.restBytes > 0 ? unreachableError(address, ending.cause) : undefined),
    );
  }

  #end(error: ProglogError | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.#options.signal?.removeEventListener("abort", this.close);
    this.#wake();
  }

  #drop(): void {
    this.#controller.abort();
    this.#call?.destroy();
  }

  async #wait(): Promise<void> {
    const { clock, silenceMsMax } = this.#options;
    const cancel = clock.schedule(silenceMsMax, () => {
      this.#end(
        new ProglogError("DEADLINE_EXCEEDED", `The peer answered nothing for ${silenceMsMax} ms`),
      );
      this.#drop();
    });
    await new Promise<void>((resolve) => {
      this.#wake = () => {
        if (this.#waiting.length > 0 || this.#isEnded) resolve();
      };
    });
    cancel();
  }
}
