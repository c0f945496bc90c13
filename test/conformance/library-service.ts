import type { HandlerContext } from "@connectrpc/connect";
import { ProglogError } from "../../src/base/errors.ts";
import { callOf } from "../../src/rpc/call.ts";
import type { ErrorMap } from "../../src/rpc/error-map.ts";
import type { Implementation } from "../../src/rpc/handler-errors.ts";
import type { BidiStreamRequest, ServerStreamRequest, UnaryRequest } from "./messages.ts";
import type { ConformanceCall, ConformanceHandlers, ResponseInit } from "./service.ts";

/** The service for the library's way. The method that must not be there is not. */
export class LibraryService {
  readonly #handlers: ConformanceHandlers;
  readonly #errors: ErrorMap;
  #callCount = 0;

  constructor(handlers: ConformanceHandlers, errors: ErrorMap) {
    this.#handlers = handlers;
    this.#errors = errors;
  }

  /** Calls that came this way. */
  get callCount(): number {
    return this.#callCount;
  }

  methods(): Readonly<Record<string, Implementation>> {
    const handlers = this.#handlers;
    return {
      unary: this.#once((request: UnaryRequest, call) => handlers.unary(request, call)),
      idempotentUnary: this.#once((request: UnaryRequest, call) =>
        handlers.idempotentUnary(request, call),
      ),
      clientStream: this.#once((requests: AsyncIterable<UnaryRequest>, call) =>
        handlers.clientStream(requests, call),
      ),
      serverStream: this.#many((request: ServerStreamRequest, call) =>
        handlers.serverStream(request, call),
      ),
      bidiStream: this.#many((requests: AsyncIterable<BidiStreamRequest>, call) =>
        handlers.bidiStream(requests, call),
      ),
    };
  }

  #once<Request>(
    answer: (request: Request, call: ConformanceCall) => Promise<ResponseInit>,
  ): (request: Request, context: HandlerContext) => Promise<ResponseInit> {
    return async (request, context) => {
      try {
        return await answer(request, this.#begin(context));
      } catch (thrown) {
        throw this.#toConnectError(thrown, context);
      }
    };
  }

  #many<Request>(
    answer: (request: Request, call: ConformanceCall) => AsyncGenerator<ResponseInit>,
  ): (request: Request, context: HandlerContext) => AsyncGenerator<ResponseInit> {
    const begin = (context: HandlerContext) => this.#begin(context);
    const toConnectError = (thrown: unknown, context: HandlerContext) =>
      this.#toConnectError(thrown, context);
    return async function* (request, context) {
      try {
        yield* answer(request, begin(context));
      } catch (thrown) {
        throw toConnectError(thrown, context);
      }
    };
  }

  #begin(context: HandlerContext): ConformanceCall {
    this.#callCount += 1;
    const { requestHeader, responseHeader, responseTrailer, requestMethod, url } = context;
    const { deadlineMs, signal } = callOf(context);
    return {
      requestHeader,
      responseHeader,
      responseTrailer,
      deadlineMs,
      query: requestMethod === "GET" ? new URL(url).searchParams : undefined,
      signal,
    };
  }

  /** A deadline or a client that is gone comes as ours; what the suite wants thrown is encoded. */
  #toConnectError(thrown: unknown, context: HandlerContext): unknown {
    if (!(thrown instanceof ProglogError)) return thrown;
    callOf(context).failed(thrown);
    return this.#errors.encode(thrown);
  }
}
