import { onAbort } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { HttpConnection, HttpHeaders } from "../platform/http-options.ts";
import { AnswerBudget } from "./answer-budget.ts";
import { BodyBudgets } from "./body-budget.ts";
import { Call, type CallEndHook, type CallHook, type Protocol } from "./call.ts";
import { DEADLINE_HEADERS, readDeadline } from "./deadline.ts";
import { DeadlineWatch } from "./deadline-watch.ts";
import type { ErrorMap } from "./error-map.ts";
import type { RpcLimits } from "./limits.ts";
import type { ServingState } from "./serving-state.ts";

export interface CallDoorOptions {
  readonly state: ServingState;
  readonly clock: Clock;
  readonly limits: RpcLimits;
  readonly errors: ErrorMap;
  readonly hook?: CallHook | undefined;
}

/** What the door wants to know of a method. */
export interface DoorRoute {
  readonly method: string;
  readonly isStreaming: boolean;
  readonly endsWithDrain: boolean;
  /** Between servers: has limits of its own, so that no client's load keeps servers apart. */
  readonly isPeer: boolean;
}

/** A call as it comes in, whatever way it takes. */
export interface Arrival {
  readonly protocol: Protocol;
  readonly headers: HttpHeaders;
  readonly connection: HttpConnection;
  /** Its `close` is the end of the call. */
  readonly closing: { on(event: "close", listener: () => void): unknown };
  /** Ends the call without an answer: what is written but not sent is dropped. */
  reset(): void;
}

/**
 * The one door of all calls, whatever way they take: limits, deadline, drain, and
 * whoever wants to know of them. Nobody makes a {@link Call} elsewhere.
 */
export class CallDoor {
  readonly #options: CallDoorOptions;
  readonly #bodies: BodyBudgets;
  readonly #answers: AnswerBudget;
  readonly #deadlines: DeadlineWatch;
  readonly #leave = () => {
    this.#callCount -= 1;
    if (this.#callCount > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  };
  readonly #leaveStream = () => {
    this.#streamCount -= 1;
    this.#leave();
  };
  readonly #leavePeer = () => {
    this.#peerCallCount -= 1;
  };
  #idle: PromiseWithResolvers<void> | undefined;
  #callCount = 0;
  #peerCallCount = 0;
  #streamCount = 0;

  constructor(options: CallDoorOptions) {
    const { clock, limits } = options;
    this.#options = options;
    this.#bodies = new BodyBudgets(limits);
    this.#deadlines = new DeadlineWatch(clock);
    this.#answers = new AnswerBudget({
      bytesMax: limits.answerBytesMax,
      stuckMs: limits.stuckMs,
      clock,
    });
  }

  /**
   * Begins a call. One that must not go on has a `refusal`, at once or after its
   * `admission`: it is to be answered with that, before anything of it is read.
   */
  enter(route: DoorRoute, arrival: Arrival): Call {
    const { protocol, headers, connection, closing } = arrival;
    const { errors } = this.#options;
    let deadlineMs: number | undefined;
    let badDeadline: unknown;
    try {
      deadlineMs = readDeadline(protocol, fieldOf(headers, DEADLINE_HEADERS[protocol]));
    } catch (thrown) {
      badDeadline = thrown;
    }
    const call = new Call({
      method: route.method,
      protocol,
      headers,
      connection,
      deadlineMs,
      budgets: route.isPeer ? [] : this.#bodies.of(connection),
    });
    try {
      if (badDeadline !== undefined) throw badDeadline;
      this.#tellHook(call);
      this.#admit(route, call);
    } catch (thrown) {
      call.refuse(errors.toProglogError(thrown, route.method));
    }
    if (route.isStreaming && !route.isPeer) this.#share(call, arrival);
    call.startDeadline(this.#options.clock, this.#deadlines);
    if (call.reason !== undefined) call.refuse(call.reason);
    closing.on("close", () => call.over());
    return call;
  }

  /** Resolves when no call is under way but those of other servers about the cluster. */
  whenIdle(): Promise<void> {
    if (this.#callCount === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers<void>();
    return this.#idle.promise;
  }

  /** Gives a stream its part of what all streams may hold of their answers. */
  #share(call: Call, arrival: Arrival): void {
    const share = this.#answers.open(() => {
      const error = tooSlow(this.#options.limits);
      call.failed(error);
      call.abort(error);
      arrival.reset();
    });
    const close = () => share.close();
    call.answers = share;
    call.whenOver(close);
    // Who waits for its turn is to see that it must end.
    call.whenOver(call.whenAborted(close));
    call.whenOver(onAbort(this.#options.state.draining, close));
  }

  #tellHook(call: Call): void {
    const { clock, errors, hook } = this.#options;
    if (hook === undefined) return;
    const startMs = clock.monotonicMs();
    const answer = hook(call);
    if (answer === undefined) return;
    const atEnd = (onEnd: CallEndHook | undefined) => {
      if (onEnd === undefined) return;
      call.whenOver(() =>
        onEnd({ outcome: call.outcome, durationMs: clock.monotonicMs() - startMs }),
      );
    };
    if (!(answer instanceof Promise)) {
      atEnd(answer);
      return;
    }
    const admitted = answer.then(atEnd).catch((thrown: unknown) => {
      call.refuse(errors.toProglogError(thrown, call.method, call));
    });
    call.admission = new Promise((resolve) => {
      const leave = call.whenAborted(() => {
        if (call.reason !== undefined) call.refuse(call.reason);
        resolve();
      });
      admitted.then(() => {
        leave();
        resolve();
      });
    });
  }

  /** @throws DRAINING, RATE_LIMITED */
  #admit(route: DoorRoute, call: Call): void {
    const { limits, state } = this.#options;
    if (route.endsWithDrain) state.draining.throwIfAborted();
    if (route.isPeer) {
      this.#admitPeer(call);
      return;
    }
    if (this.#callCount >= limits.callsMax) throw tooMany("call", limits.callsMax);
    if (route.isStreaming && this.#streamCount >= limits.streamsMax) {
      throw tooMany("stream", limits.streamsMax);
    }
    this.#callCount += 1;
    if (route.isStreaming) this.#streamCount += 1;
    call.whenOver(route.isStreaming ? this.#leaveStream : this.#leave);
  }

  /** @throws RATE_LIMITED */
  #admitPeer(call: Call): void {
    const { peerCallsMax } = this.#options.limits;
    if (this.#peerCallCount >= peerCallsMax) throw tooMany("call", peerCallsMax);
    this.#peerCallCount += 1;
    call.whenOver(this.#leavePeer);
  }
}

function fieldOf(headers: HttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function tooMany(what: "call" | "stream", max: number): ProglogError {
  return new ProglogError(
    "RATE_LIMITED",
    `Cannot begin the call: ${max} ${what}s are open, the most there may be`,
    { metadata: { [`${what}CountMax`]: `${max}` } },
  );
}

function tooSlow({ stuckMs, answerBytesMax }: RpcLimits): ProglogError {
  return new ProglogError(
    "RATE_LIMITED",
    `Cannot go on: the client took nothing for ${stuckMs} ms, and others need the memory`,
    { metadata: { stuckMs: `${stuckMs}`, answerBytesMax: `${answerBytesMax}` } },
  );
}
