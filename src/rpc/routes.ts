import { createContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { HttpRequest, HttpResponse, RequestHandler } from "../platform/http-options.ts";
import type { Topics } from "../topics/topics.ts";
import { BodySource } from "./body-source.ts";
import { type BodyBudget, CALL_KEY, Call, type CallHook } from "./call.ts";
import { Cors } from "./cors.ts";
import { DEADLINE_HEADERS, readDeadline } from "./deadline.ts";
import { ErrorMap } from "./error-map.ts";
import { LibraryErrors } from "./library-errors.ts";
import { JSON_GROWTH, REQUEST_SLACK_BYTES, RPC_LIMITS, type RpcLimits } from "./limits.ts";
import { makeRoutes, type Route } from "./method-routes.ts";
import { PlainHttp } from "./plain-http.ts";
import { isJson, protocolOf } from "./protocols.ts";
import { respond } from "./respond.ts";
import { makeServices } from "./services.ts";
import type { ServingState } from "./serving-state.ts";
import type { ServerSelf } from "./topic-service.ts";
import { TopicsSource } from "./topics-source.ts";
import { answerUnknownMethod } from "./unknown-method.ts";

export interface HandlerOptions {
  /** May come later: calls wait for them as `limits.startWaitMs` says. */
  readonly topics: Topics | Promise<Topics>;
  readonly state: ServingState;
  readonly version: string;
  /** This server, as told to clients; undefined as long as it is not known. */
  readonly self: () => ServerSelf | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<RpcLimits>;
  /** Origins whose web pages may call; `*` for all. Default none. */
  readonly corsOrigins?: readonly string[];
  /** Default true. */
  readonly reflection?: boolean;
  /** Told of every call at its begin and its end; may refuse it. */
  readonly hook?: CallHook;
  /** Told of a broken invariant: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

/** What the listener calls. */
export interface Handler {
  readonly onRequest: RequestHandler;
}

/** Answers every request of the port: calls of all protocols, probes, and the rest with 404. */
export function createHandler(options: HandlerOptions): Handler {
  const handler = new RequestRouter(options);
  return { onRequest: (request, response) => handler.handle(request, response) };
}

class RequestRouter {
  readonly #options: HandlerOptions;
  readonly #limits: RpcLimits;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #libraryErrors: LibraryErrors;
  readonly #plain: PlainHttp;
  readonly #cors: Cors;
  readonly #budget: BodyBudget;
  #streamCount = 0;

  constructor(options: HandlerOptions) {
    const { clock, state } = options;
    this.#options = options;
    const limits = { ...RPC_LIMITS, ...options.limits };
    this.#limits = limits;
    this.#budget = { bytes: 0, bytesMax: limits.bodyBytesMax };
    const errors = new ErrorMap(options.logger, clock.wallUs().toString(36), options.onFatal);
    this.#libraryErrors = new LibraryErrors(errors, limits.requestBytesMax);
    this.#plain = new PlainHttp(state, options.version);
    this.#cors = new Cors(options.corsOrigins ?? []);
    const services = makeServices({
      topics: new TopicsSource(options.topics, clock, limits.startWaitMs),
      state,
      limits,
      clock,
      errors,
      self: options.self,
      reflection: options.reflection ?? true,
    });
    const binaryBytesMax = limits.requestBytesMax + REQUEST_SLACK_BYTES;
    this.#routes = makeRoutes(services, {
      binaryBytesMax,
      jsonBytesMax: Math.ceil(binaryBytesMax * JSON_GROWTH),
    });
  }

  handle(request: HttpRequest, response: HttpResponse): void {
    if (this.#cors.handle(request, response)) return;
    const [path = ""] = (request.url ?? "").split("?", 1);
    const route = this.#routes.get(path);
    if (route !== undefined) {
      this.#call(route, request, response).catch((thrown: unknown) => {
        this.#options.logger.warn(
          "An answer could not be written",
          { method: route.method },
          thrown,
        );
        response.end();
      });
    } else if (!answerUnknownMethod(request, response, path)) {
      this.#plain.handle(request, response, path);
    }
  }

  async #call(route: Route, request: HttpRequest, response: HttpResponse): Promise<void> {
    const call = this.#begin(route, request, response);
    const handler = isJson(request) ? route.json : route.binary;
    const answer = await handler(toUniversalRequest(call));
    await respond(call, answer, response, this.#libraryErrors);
  }

  /** The one door of all calls: limits, deadline, drain, and whoever wants to know of them. */
  #begin(route: Route, request: HttpRequest, response: HttpResponse): Call {
    const { clock, hook, state } = this.#options;
    const protocol = protocolOf(request);
    const call = new Call(route.method, protocol, request, this.#budget);
    const startMs = clock.monotonicMs();
    let deadlineMs: number | undefined;
    let onEnd: ReturnType<CallHook>;
    try {
      deadlineMs = readDeadline(protocol, headerOf(request, DEADLINE_HEADERS[protocol]));
      onEnd = hook?.(call);
      if (route.endsWithDrain && state.isDraining) throw drainingError();
      if (route.isStreaming) this.#openStream(call);
    } catch (thrown) {
      if (!(thrown instanceof ProglogError)) throw thrown;
      call.refuse(thrown);
    }
    call.watch(response, clock, deadlineMs);
    if (onEnd !== undefined) {
      const tell = onEnd;
      call.whenOver(() =>
        tell({ outcome: call.outcome, durationMs: clock.monotonicMs() - startMs }),
      );
    }
    return call;
  }

  #openStream(call: Call): void {
    const { streamsMax } = this.#limits;
    if (this.#streamCount >= streamsMax) {
      throw new ProglogError(
        "RATE_LIMITED",
        `Cannot open a stream: ${this.#streamCount} are open, at most ${streamsMax} may be`,
        { metadata: { streamCount: `${this.#streamCount}`, streamCountMax: `${streamsMax}` } },
      );
    }
    this.#streamCount += 1;
    call.whenOver(() => {
      this.#streamCount -= 1;
    });
  }
}

function drainingError(): ProglogError {
  return new ProglogError("DRAINING", "This server is stopping");
}

function headerOf(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Deadlines are ours: Connect would only abort, without a reason of the table. */
function toUniversalRequest(call: Call): UniversalServerRequest {
  const { request } = call;
  return {
    httpVersion: request.httpVersion,
    method: request.method ?? "",
    url: new URL(request.url ?? "/", "http://localhost").toString(),
    header: toHeaders(request, DEADLINE_HEADERS[call.protocol]),
    body: new BodySource(request, call),
    signal: call.signal,
    contextValues: createContextValues().set(CALL_KEY, call),
  };
}

function toHeaders(request: HttpRequest, without: string): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (name === without || name.startsWith(":") || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
  }
  return headers;
}
