import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { type Call, callOf } from "./call.ts";
import type { ErrorMap } from "./error-map.ts";

/**
 * Handlers know {@link Call}s and throw ProglogErrors; Connect knows contexts and
 * ConnectErrors. These two stand between.
 */
export class Guard {
  readonly #errors: ErrorMap;

  constructor(errors: ErrorMap) {
    this.#errors = errors;
  }

  unary<Request, Response>(
    handler: (request: Request, call: Call) => Response | Promise<Response>,
  ): (request: Request, context: HandlerContext) => Promise<Response> {
    return async (request, context) => {
      const call = callOf(context);
      try {
        return await handler(request, call);
      } catch (thrown) {
        throw this.#toConnectError(thrown, call);
      }
    };
  }

  stream<Request, Response>(
    handler: (request: Request, call: Call) => AsyncIterable<Response>,
  ): (request: Request, context: HandlerContext) => AsyncGenerator<Response> {
    const toConnectError = (thrown: unknown, call: Call) => this.#toConnectError(thrown, call);
    return async function* (request, context) {
      const call = callOf(context);
      try {
        yield* handler(request, call);
      } catch (thrown) {
        throw toConnectError(thrown, call);
      }
    };
  }

  #toConnectError(thrown: unknown, call: Call): unknown {
    // Encoded already, or Connect's own about a request it could not read (see library-errors.ts).
    if (thrown instanceof ConnectError) return thrown;
    const error = this.#errors.toProglogError(thrown, call.method, call);
    call.failed(error);
    return this.#errors.encode(error);
  }
}
