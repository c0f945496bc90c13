import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { HttpRequest } from "../platform/http-options.ts";
import type { Call } from "./call.ts";
import type { ErrorMap } from "./error-map.ts";

export interface BodySourceOptions {
  readonly errors: ErrorMap;
  readonly clock: Clock;
  /** Longest silence, unless it may be any: see {@link BodySource.mayRest}. */
  readonly timeoutMs: number;
}

/**
 * The body of a request, piece by piece as it is asked for: the connection is
 * paused in between.
 *
 * Node's own iterator destroys the request when it is left early, and with it the
 * connection on which the answer has yet to go out; this one lets it be.
 */
export class BodySource implements AsyncIterableIterator<Uint8Array> {
  /** True when nothing need come, as between the messages of a stream. */
  mayRest = false;
  readonly #request: HttpRequest;
  readonly #call: Call;
  readonly #options: BodySourceOptions;
  readonly #chunks: Uint8Array[] = [];
  #state: "new" | "flowing" | "ended" | "left" = "new";
  #error: ProglogError | undefined;
  #wake: () => void = () => {};
  #forget: () => void = () => {};

  constructor(request: HttpRequest, call: Call, options: BodySourceOptions) {
    this.#request = request;
    this.#call = call;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#state === "new") this.#start();
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#error ??= this.#call.received(chunk.byteLength);
        if (this.#error === undefined) return { done: false, value: chunk };
      }
      if (this.#error !== undefined) {
        this.#call.failed(this.#error);
        throw this.#options.errors.encode(this.#error); // Connect takes other errors for defects
      }
      if (this.#state !== "flowing") return { done: true, value: undefined };
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    const { clock, timeoutMs } = this.#options;
    const giveUp = () => {
      this.#error ??= silentError(timeoutMs);
      this.#wake();
    };
    const cancel = this.mayRest ? () => {} : clock.schedule(timeoutMs, giveUp);
    this.#request.resume();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    cancel();
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#leave("left");
    return { done: true, value: undefined };
  }

  #start(): void {
    this.#state = "flowing";
    this.#request.on("data", this.#onData);
    this.#request.once("end", this.#onEnd);
    this.#request.on("error", this.#onEnd);
    this.#call.whenOver(this.#onEnd);
    this.#forget = this.#call.whenAborted(this.#onAbort);
  }

  /** Whoever waits for more is told why nobody waits for the answer. */
  readonly #onAbort = (): void => {
    this.#error ??= this.#call.reason;
    this.#leave("ended");
  };

  readonly #onData = (chunk: Uint8Array): void => {
    this.#chunks.push(chunk);
    this.#request.pause();
    this.#wake();
  };

  readonly #onEnd = (): void => {
    if (this.#state !== "flowing") return;
    if (!this.#request.readableEnded) {
      this.#error = new ProglogError("CANCELED", "The request ended before its body did");
    }
    this.#leave("ended");
  };

  #leave(state: "ended" | "left"): void {
    if (this.#state === "left") return;
    this.#state = state;
    this.#forget();
    this.#request.off("data", this.#onData);
    if (state === "left") this.#chunks.length = 0;
    this.#wake();
  }
}

/** Nothing of a body came for so long. */
export function silentError(timeoutMs: number): ProglogError {
  return new ProglogError("DEADLINE_EXCEEDED", `Nothing of the request came for ${timeoutMs} ms`, {
    metadata: { bodyTimeoutMs: `${timeoutMs}` },
  });
}
