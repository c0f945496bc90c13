import { createContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { HttpRequest, HttpResponse } from "../platform/http-options.ts";
import { resetAnswer } from "../platform/http-reset.ts";
import { AnswerBudget } from "./answer-budget.ts";
import { answerBare } from "./bare-answer.ts";
import { BodySource } from "./body-source.ts";
import { type BodyBudget, CALL_KEY, Call, type CallHook } from "./call.ts";
import { DEADLINE_HEADERS, readDeadline } from "./deadline.ts";
import type { ErrorMap } from "./error-map.ts";
import { LibraryErrors } from "./library-errors.ts";
import { JSON_GROWTH, REQUEST_SLACK_BYTES, type RpcLimits } from "./limits.ts";
import { makeRoutes, type Route, type ServedService } from "./method-routes.ts";
import { isJson, protocolOf } from "./protocols.ts";
import { respond } from "./respond.ts";
import type { ServingState } from "./serving-state.ts";
import { onAbort } from "./wakeup.ts";

export interface CallServerOptions {
  readonly state: ServingState;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: RpcLimits;
  readonly errors: ErrorMap;
  readonly hook?: CallHook | undefined;
}

/** Takes calls of all protocols to the services. */
export class CallServer {
  readonly #options: CallServerOptions;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #libraryErrors: LibraryErrors;
  readonly #budget: BodyBudget;
  readonly #answers: AnswerBudget;
  #callCount = 0;
  #streamCount = 0;

  constructor(services: readonly ServedService[], options: CallServerOptions) {
    const { errors, limits } = options;
    this.#options = options;
    this.#budget = { bytes: 0, bytesMax: limits.bodyBytesMax };
    this.#answers = new AnswerBudget({
      bytesMax: limits.answerBytesMax,
      stuckMs: limits.stuckMs,
      clock: options.clock,
    });
    this.#libraryErrors = new LibraryErrors(errors, limits.requestBytesMax);
    const binaryBytesMax = limits.requestBytesMax + REQUEST_SLACK_BYTES;
    const jsonBytesMax = Math.ceil(binaryBytesMax * JSON_GROWTH);
    this.#routes = makeRoutes(services, { binaryBytesMax, jsonBytesMax });
  }

  /** @returns false when no method has that path */
  handle(request: HttpRequest, response: HttpResponse, path: string): boolean {
    const route = this.#routes.get(path);
    if (route === undefined) return false;
    this.#call(route, request, response).catch((thrown: unknown) => {
      this.#options.logger.warn("An answer could not be written", { method: route.method }, thrown);
      if (!response.headersSent) response.statusCode = 500;
      response.end();
    });
    return true;
  }

  async #call(route: Route, request: HttpRequest, response: HttpResponse): Promise<void> {
    const call = this.#begin(route, request, response);
    const handler = isJson(request) ? route.json : route.binary;
    let answer: UniversalServerResponse;
    try {
      answer = await handler(this.#toUniversal(call, route));
    } catch (thrown) {
      this.#answerUnencoded(call, response, thrown);
      return;
    }
    await respond(call, answer, response, this.#libraryErrors);
  }

  /**
   * The library could not even encode its error. It does so when the error quotes
   * half of a pair of surrogates from JSON, which no header can hold.
   */
  #answerUnencoded(call: Call, response: HttpResponse, thrown: unknown): void {
    const isQuote = thrown instanceof URIError;
    const error = isQuote
      ? new ProglogError("MESSAGE_INVALID", "Cannot read the request: a name in it is no text")
      : this.#options.errors.toProglogError(thrown, call.method, call.signal);
    call.failed(error);
    call.answered();
    answerBare(call.request, response, error, isQuote ? 400 : 500);
  }

  /** The one door of all calls: limits, deadline, drain, and whoever wants to know of them. */
  #begin(route: Route, request: HttpRequest, response: HttpResponse): Call {
    const { clock, errors } = this.#options;
    const protocol = protocolOf(request);
    const call = new Call(route.method, protocol, request, this.#budget);
    let deadlineMs: number | undefined;
    try {
      deadlineMs = readDeadline(protocol, headerOf(request, DEADLINE_HEADERS[protocol]));
      this.#tellHook(call);
      this.#admit(route, call);
    } catch (thrown) {
      const refusal = errors.toProglogError(thrown, route.method);
      call.failed(refusal);
      call.refuse(refusal);
    }
    if (route.isStreaming) this.#share(call, response);
    call.watch(response, clock, deadlineMs);
    return call;
  }

  /** Gives a stream its part of what all streams may hold of their answers. */
  #share(call: Call, response: HttpResponse): void {
    const share = this.#answers.open(() => {
      const error = tooSlow(this.#options.limits);
      call.failed(error);
      call.abort(error);
      resetAnswer(response);
    });
    const close = () => share.close();
    call.answers = share;
    call.whenOver(close);
    // Who waits for its turn is to see that it must end.
    call.whenOver(onAbort(call.signal, close));
    call.whenOver(onAbort(this.#options.state.draining, close));
  }

  #tellHook(call: Call): void {
    const { clock, hook } = this.#options;
    const startMs = clock.monotonicMs();
    const onEnd = hook?.(call);
    if (onEnd === undefined) return;
    call.whenOver(() =>
      onEnd({ outcome: call.outcome, durationMs: clock.monotonicMs() - startMs }),
    );
  }

  /** @throws DRAINING, RATE_LIMITED */
  #admit(route: Route, call: Call): void {
    const { limits, state } = this.#options;
    if (route.endsWithDrain) state.draining.throwIfAborted();
    if (this.#callCount >= limits.callsMax) throw tooMany("call", limits.callsMax);
    if (route.isStreaming && this.#streamCount >= limits.streamsMax) {
      throw tooMany("stream", limits.streamsMax);
    }
    const streams = route.isStreaming ? 1 : 0;
    this.#callCount += 1;
    this.#streamCount += streams;
    call.whenOver(() => {
      this.#callCount -= 1;
      this.#streamCount -= streams;
    });
  }

  /** Deadlines are ours: Connect would only abort, without a reason of the table. */
  #toUniversal(call: Call, route: Route): UniversalServerRequest {
    const { request } = call;
    const { clock, limits } = this.#options;
    const timeoutMs = route.sendsMany ? undefined : limits.bodyTimeoutMs;
    return {
      httpVersion: request.httpVersion,
      method: request.method ?? "",
      url: new URL(request.url ?? "/", "http://localhost").toString(),
      header: toHeaders(request, [
        DEADLINE_HEADERS[call.protocol],
        ...(isCompressed(request) ? [] : ACCEPT_HEADERS),
      ]),
      body: new BodySource(request, call, { clock, timeoutMs }),
      signal: call.signal,
      contextValues: createContextValues().set(CALL_KEY, call),
    };
  }
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

function headerOf(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

const ENCODING_HEADERS = ["grpc-encoding", "connect-content-encoding", "content-encoding"];
const ACCEPT_HEADERS = ["grpc-accept-encoding", "connect-accept-encoding", "accept-encoding"];

/**
 * Answers are compressed for clients that compress their requests. Most libraries
 * say that they accept gzip without being asked, and compressing a fast tail for
 * all of them would cost many times what serving it does.
 */
function isCompressed(request: HttpRequest): boolean {
  return ENCODING_HEADERS.some((name) => (request.headers[name] ?? "identity") !== "identity");
}

function toHeaders(request: HttpRequest, without: readonly string[]): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === undefined || name.startsWith(":") || without.includes(name)) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
  }
  return headers;
}
