import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Abortable } from "../base/abortable.ts";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { HttpConnection, HttpHeaders } from "../platform/http-options.ts";
import type { AnswerShare } from "./answer-budget.ts";
import type { BodyBudget } from "./body-budget.ts";
import type { Deadlined, DeadlineWatch } from "./deadline-watch.ts";
import { type Margin, marginOf } from "./margin.ts";

export type Protocol = "connect" | "grpc" | "grpc-web";

/** So long before its deadline a call is given up: its client is to hear why. */
const MARGIN: Margin = { msMax: 50, part: 0.1 };

/** How a call ended. */
export interface CallEnd {
  /** The error it ended with; undefined when it succeeded. */
  readonly outcome: ProglogError | undefined;
  readonly durationMs: number;
}

/** Told of the end of a call. */
export type CallEndHook = (end: CallEnd) => void;

/**
 * Told of a call before anything of it is read. Refuses it by throwing a
 * ProglogError; may return a function that is told of its end. One that has to ask
 * somebody first returns a promise: the call waits for it.
 */
export type CallHook = (call: Call) => CallEndHook | undefined | Promise<CallEndHook | undefined>;

export interface CallOptions {
  /** Such as `proglog.v1.LogService/Produce`. */
  readonly method: string;
  readonly protocol: Protocol;
  /** Fields of the request. */
  readonly headers: HttpHeaders;
  /** What it came on: knows the client's address and certificate. */
  readonly connection: HttpConnection;
  /** How long it may take in all; undefined: for ever. */
  readonly deadlineMs: number | undefined;
  /** Where the bytes of its body count. */
  readonly budgets: readonly BodyBudget[];
}

/**
 * One call from its header to its end, whatever the protocol: who asked for what,
 * how long it may take, and how it ended. The one thing that both ways in share.
 */
export class Call implements Abortable, Deadlined {
  readonly method: string;
  readonly protocol: Protocol;
  readonly headers: HttpHeaders;
  readonly connection: HttpConnection;
  readonly deadlineMs: number | undefined;
  /** When it is given up, a little before the deadline, on the clock's monotonic time. */
  dueMs = Number.POSITIVE_INFINITY;
  /** Where a stream counts what it holds of its answer; undefined for other calls. */
  answers: AnswerShare | undefined;
  /** What must be over before a handler is called: a hook that asks somebody. Never rejects. */
  admission: Promise<void> | undefined;
  readonly #budgets: readonly BodyBudget[];
  #bodyBytes = 0;
  #refusal: ProglogError | undefined;
  #outcome: ProglogError | undefined;
  #ownError: unknown;
  #reason: ProglogError | undefined;
  #isAnswered = false;
  #isOver = false;
  /** Made when somebody asks for the signal: most calls are over before anybody does. */
  #controller: AbortController | undefined;
  /** Undefined: none, as of most calls. */
  #abortListeners: (() => void)[] | undefined;
  #endings: (() => void)[] | undefined;
  #deadlines: DeadlineWatch | undefined;

  constructor(options: CallOptions) {
    this.method = options.method;
    this.protocol = options.protocol;
    this.headers = options.headers;
    this.connection = options.connection;
    this.deadlineMs = options.deadlineMs;
    this.#budgets = options.budgets;
  }

  /** Aborted, with a ProglogError as the reason, at the deadline, or when the client is gone. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** As {@link signal} says, without making one. */
  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  /** Why it was aborted; undefined when it was not. */
  get reason(): ProglogError | undefined {
    return this.#reason;
  }

  /** Why the call must be answered with an error before anything is read; undefined when it need not. */
  get refusal(): ProglogError | undefined {
    return this.#refusal;
  }

  /** The error the call ended with, as far as it is known. */
  get outcome(): ProglogError | undefined {
    return this.#outcome;
  }

  /** True when the connection has closed the call. */
  get isOver(): boolean {
    return this.#isOver;
  }

  refuse(error: ProglogError): void {
    this.failed(error);
    this.#refusal ??= error;
  }

  /** Remembers the first error: what follows is its echo. */
  failed(error: ProglogError): void {
    this.#outcome ??= error;
  }

  /** A handler made its error for the wire itself: it goes out as it is. */
  failedWith(error: unknown, outcome: ProglogError): void {
    this.failed(outcome);
    this.#ownError ??= error;
  }

  /** True when {@link failedWith} was told of an error. */
  get hasOwnError(): boolean {
    return this.#ownError !== undefined;
  }

  abort(reason: ProglogError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    const listeners = this.#abortListeners ?? [];
    // One that leaves meanwhile is not called any more.
    for (let next = listeners.shift(); next !== undefined; next = listeners.shift()) next();
  }

  /** Calls `listener` when the call is aborted, at once when it was. @returns a function that ends it */
  whenAborted(listener: () => void): () => void {
    if (this.#reason !== undefined) {
      listener();
      return () => {};
    }
    const listeners = this.#abortListeners ?? [];
    this.#abortListeners = listeners;
    listeners.push(listener);
    return () => {
      const place = listeners.indexOf(listener);
      if (place >= 0) listeners.splice(place, 1);
    };
  }

  /** The last byte of the answer was handed to the connection. */
  answered(): void {
    this.#isAnswered = true;
  }

  /** Runs `ending` when the connection has closed the call, or at once when it has. */
  whenOver(ending: () => void): void {
    if (this.#isOver) {
      ending();
      return;
    }
    this.#endings ??= [];
    this.#endings.push(ending);
  }

  /** Counts a piece of the body. @returns RATE_LIMITED when more is in flight than may be */
  received(byteCount: number): ProglogError | undefined {
    if (this.#isOver) return undefined;
    this.#bodyBytes += byteCount;
    let error: ProglogError | undefined;
    for (const budget of this.#budgets) {
      const overdraft = budget.add(byteCount);
      error ??= overdraft;
    }
    return error;
  }

  /** What was received so far has been dealt with, or `byteCount` of it. */
  releaseBody(byteCount = this.#bodyBytes): void {
    const released = Math.min(byteCount, this.#bodyBytes);
    if (released === 0) return;
    this.#bodyBytes -= released;
    for (const budget of this.#budgets) budget.release(released);
  }

  /** Aborts the call shortly before its deadline: call once, when the call begins. */
  startDeadline(clock: Clock, deadlines: DeadlineWatch): void {
    const { deadlineMs } = this;
    if (deadlineMs === undefined) return;
    if (deadlineMs <= 0) {
      this.expire();
      return;
    }
    this.dueMs = clock.monotonicMs() + deadlineMs - marginOf(deadlineMs, MARGIN);
    this.#deadlines = deadlines;
    deadlines.watch(this);
  }

  /** The deadline has come. */
  expire(): void {
    this.abort(deadlineError(this.deadlineMs ?? 0));
  }

  /** The connection has closed the call. */
  over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.releaseBody();
    if (!this.#isAnswered) {
      const gone = new ProglogError("CANCELED", "The client gave up the call");
      this.failed(gone);
      this.abort(gone);
    }
    this.#deadlines?.leave(this);
    const endings = this.#endings ?? [];
    this.#endings = undefined;
    for (const ending of endings) ending();
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
