import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { HttpRequest, HttpResponse } from "../platform/http-options.ts";
import type { AnswerShare } from "./answer-budget.ts";

export type Protocol = "connect" | "grpc" | "grpc-web";

/** How a call ended. */
export interface CallEnd {
  /** The error it ended with; undefined when it succeeded. */
  readonly outcome: ProglogError | undefined;
  readonly durationMs: number;
}

/**
 * Told of a call before anything of it is read. Refuses it by throwing a
 * ProglogError; may return a function that is told of its end.
 */
export type CallHook = (call: Call) => ((end: CallEnd) => void) | undefined;

/** How the body of a call is limited, and who counts. */
export interface BodyBudget {
  /** Bytes received and not yet dealt with, of all calls of this server. */
  bytes: number;
  readonly bytesMax: number;
}

/**
 * One call from its header to its end, whatever the protocol: who asked for what,
 * how long it may take, and how it ended. The one thing that both ways in share.
 */
export class Call {
  /** Such as `proglog.v1.LogService/Produce`. */
  readonly method: string;
  readonly protocol: Protocol;
  readonly request: HttpRequest;
  /** Where a stream counts what it holds of its answer; undefined for other calls. */
  answers: AnswerShare | undefined;
  readonly #budget: BodyBudget;
  readonly #controller = new AbortController();
  #bodyBytes = 0;
  #refusal: ProglogError | undefined;
  #outcome: ProglogError | undefined;
  #isAnswered = false;
  #isOver = false;
  readonly #endings: (() => void)[] = [];

  constructor(method: string, protocol: Protocol, request: HttpRequest, budget: BodyBudget) {
    this.method = method;
    this.protocol = protocol;
    this.request = request;
    this.#budget = budget;
  }

  /** Aborted, with a ProglogError as the reason, at the deadline, or when the client is gone. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the call must be answered with an error before anything is read; undefined when it need not. */
  get refusal(): ProglogError | undefined {
    return this.#refusal;
  }

  /** The error the call ended with, as far as it is known. */
  get outcome(): ProglogError | undefined {
    return this.#outcome;
  }

  refuse(error: ProglogError): void {
    this.#refusal ??= error;
  }

  /** Remembers the first error: what follows is its echo. */
  failed(error: ProglogError): void {
    this.#outcome ??= error;
  }

  abort(reason: ProglogError): void {
    this.#controller.abort(reason);
  }

  /** The last byte of the answer was handed to the connection. */
  answered(): void {
    this.#isAnswered = true;
  }

  /** Runs `ending` when the connection has closed the call, or at once when it has. */
  whenOver(ending: () => void): void {
    if (this.#isOver) ending();
    else this.#endings.push(ending);
  }

  /** Counts a piece of the body. @returns RATE_LIMITED when more is in flight than may be */
  received(byteCount: number): ProglogError | undefined {
    if (this.#isOver) return undefined;
    this.#bodyBytes += byteCount;
    this.#budget.bytes += byteCount;
    const { bytes, bytesMax } = this.#budget;
    if (bytes <= bytesMax) return undefined;
    return new ProglogError(
      "RATE_LIMITED",
      `Cannot take the request: ${bytes} bytes of requests are in flight, at most ${bytesMax} may be`,
      { metadata: { bodyBytes: `${bytes}`, bodyBytesMax: `${bytesMax}` } },
    );
  }

  /** What was received so far has been dealt with. */
  releaseBody(): void {
    this.#budget.bytes -= this.#bodyBytes;
    this.#bodyBytes = 0;
  }

  /** Follows the connection: call once, when the call begins. */
  watch(response: HttpResponse, clock: Clock, deadlineMs: number | undefined): void {
    if (deadlineMs !== undefined) this.#setDeadline(clock, deadlineMs);
    (response.stream ?? response).once("close", () => this.#over());
  }

  #setDeadline(clock: Clock, deadlineMs: number): void {
    const expire = () => this.abort(deadlineError(deadlineMs));
    if (deadlineMs <= 0) expire();
    else this.whenOver(clock.schedule(deadlineMs, expire));
  }

  #over(): void {
    this.#isOver = true;
    this.releaseBody();
    if (!this.#isAnswered) {
      const gone = new ProglogError("CANCELED", "The client gave up the call");
      this.failed(gone);
      this.abort(gone);
    }
    for (const ending of this.#endings.splice(0)) ending();
  }
}

function deadlineError(deadlineMs: number): ProglogError {
  return new ProglogError(
    "DEADLINE_EXCEEDED",
    `The call took longer than its deadline of ${deadlineMs} ms`,
    { metadata: { deadlineMs: `${deadlineMs}` } },
  );
}

/** Where handlers find their {@link Call}. */
export const CALL_KEY = createContextKey<Call | undefined>(undefined);

/** The call that a handler was called for. */
export function callOf(context: HandlerContext): Call {
  const call = context.values.get(CALL_KEY);
  assert(call !== undefined, "A handler was called without a call");
  return call;
}
