import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { ProglogError } from "../base/errors.ts";
import type { Reason } from "../base/reasons.ts";
import { type Call, callOf } from "./call.ts";

/** Answers one method: see {@link Guard}. */
export type Implementation = (request: never, context: HandlerContext) => unknown;

/**
 * Tells {@link Call}s of the errors that their handlers made for the wire themselves.
 * Connect's own errors come by the same way when a handler reads a stream of
 * requests, and those are to be completed: see library-errors.ts.
 */
export function watchErrors(
  kind: DescMethod["methodKind"],
  answer: Implementation,
): Implementation {
  const call = answer as (request: unknown, context: HandlerContext) => unknown;
  if (kind === "unary" || kind === "client_streaming") {
    return async (request: unknown, context: HandlerContext) => {
      const inputs = new InputErrors();
      try {
        return await call(kind === "unary" ? request : inputs.watch(request), context);
      } catch (thrown) {
        inputs.tell(callOf(context), thrown);
        throw thrown;
      }
    };
  }
  return async function* (request: unknown, context: HandlerContext) {
    const inputs = new InputErrors();
    try {
      yield* call(
        kind === "bidi_streaming" ? inputs.watch(request) : request,
        context,
      ) as AsyncIterable<unknown>;
    } catch (thrown) {
      inputs.tell(callOf(context), thrown);
      throw thrown;
    }
  };
}

/** The error with which the stream of requests ended, if it did. */
class InputErrors {
  #thrown: unknown;

  async *watch(requests: unknown): AsyncGenerator<unknown> {
    try {
      yield* requests as AsyncIterable<unknown>;
    } catch (thrown) {
      this.#thrown = thrown;
      throw thrown;
    }
  }

  tell(call: Call, thrown: unknown): void {
    if (thrown instanceof ConnectError && thrown !== this.#thrown) tellOwnError(call, thrown);
  }
}

/** `error` is the handler's own and goes out as it is; the call's outcome is as near as our table comes. */
export function tellOwnError(call: Call, error: ConnectError): void {
  const reason = REASONS_OF_CODES[error.code] ?? "INTERNAL";
  call.failedWith(error, new ProglogError(reason, error.rawMessage, { cause: error }));
}

const REASONS_OF_CODES: Readonly<Partial<Record<Code, Reason>>> = {
  [Code.Canceled]: "CANCELED",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.Unimplemented]: "UNIMPLEMENTED",
};
