import { createContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type {
  Http1Response,
  HttpConnection,
  HttpHeaders,
  HttpRequest,
  HttpResponse,
  HttpStream,
} from "../platform/http-options.ts";
import { resetAnswer } from "../platform/http-reset.ts";
import { answerBare } from "./bare-answer.ts";
import { BodySource } from "./body-source.ts";
import { CALL_KEY, type Call } from "./call.ts";
import { CallDoor, type CallDoorOptions } from "./call-door.ts";
import { DEADLINE_HEADERS } from "./deadline.ts";
import { JoinedBody } from "./joined-body.ts";
import { LeanServer } from "./lean/lean-server.ts";
import { LibraryErrors } from "./library-errors.ts";
import { JSON_GROWTH, REQUEST_SLACK_BYTES } from "./limits.ts";
import { makeRoutes, type Route, type RouteLimits, type ServedService } from "./method-routes.ts";
import { hasEnvelopes, isJson, protocolOf } from "./protocols.ts";
import { respond } from "./respond.ts";
import { decodeWebText, encodeWebText } from "./web-text.ts";

export interface CallServerOptions extends CallDoorOptions {
  readonly logger: Logger;
  /** Whether the lean path takes the calls that it can; else the library takes all but those of servers. Default true. */
  readonly lean?: boolean | undefined;
}

/**
 * Takes calls of all protocols to the services, by one of two ways: the lean one
 * (lean/lean-server.ts) or the library's. Both begin at the one {@link CallDoor}.
 */
export class CallServer {
  readonly #options: CallServerOptions;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #bytesMax: RouteLimits;
  readonly #libraryErrors: LibraryErrors;
  readonly #door: CallDoor;
  readonly #lean: LeanServer;
  readonly #isLean: boolean;

  constructor(services: readonly ServedService[], options: CallServerOptions) {
    const { errors, lean = true, limits } = options;
    this.#options = options;
    this.#door = new CallDoor(options);
    this.#lean = new LeanServer({ ...options, door: this.#door });
    this.#isLean = lean;
    this.#libraryErrors = new LibraryErrors(errors, limits.requestBytesMax);
    const binaryBytesMax = limits.requestBytesMax + REQUEST_SLACK_BYTES;
    const jsonBytesMax = Math.ceil(binaryBytesMax * JSON_GROWTH);
    this.#bytesMax = { binaryBytesMax, jsonBytesMax };
    this.#routes = makeRoutes(services, this.#bytesMax, errors);
  }

  /**
   * Offers a stream of HTTP/2 to the lean path.
   *
   * @param fields that its answer is to have, such as those of CORS
   * @returns false when it is to come again by {@link handle}, or is no call
   */
  handleStream(
    stream: HttpStream,
    headers: HttpHeaders,
    connection: HttpConnection,
    fields?: Record<string, string>,
  ): boolean {
    const route = this.#routes.get(headers[":path"] ?? "");
    if (route === undefined || !this.#isLeanFor(route)) return false;
    return this.#lean.takeStream(route, stream, headers, connection, fields);
  }

  /**
   * @param path of the request, without a query
   * @returns false when no method has that path
   */
  handle(
    request: HttpRequest,
    response: HttpResponse,
    path: string,
    connection: HttpConnection,
  ): boolean {
    const route = this.#routes.get(path);
    if (route === undefined) return false;
    const isHttp1 = request.httpVersionMajor === 1;
    if (isHttp1 && this.#takeLean(route, request, response, connection)) return true;
    this.#call(route, request, response, connection).catch((thrown: unknown) => {
      this.#options.logger.warn("An answer could not be written", { method: route.method }, thrown);
      if (!response.headersSent) response.statusCode = 500;
      response.end();
    });
    return true;
  }

  /** Resolves when no call of a client is under way. */
  whenIdle(): Promise<void> {
    return this.#door.whenIdle();
  }

  #takeLean(
    route: Route,
    request: HttpRequest,
    response: HttpResponse,
    connection: HttpConnection,
  ): boolean {
    const http1 = response as Http1Response;
    return this.#isLeanFor(route) && this.#lean.takeRequest(route, request, http1, connection);
  }

  /** Servers' calls have no other way. */
  #isLeanFor(route: Route): boolean {
    return this.#isLean || route.isPeer;
  }

  /** The library's way. */
  async #call(
    route: Route,
    request: HttpRequest,
    response: HttpResponse,
    connection: HttpConnection,
  ): Promise<void> {
    const call = this.#door.enter(route, {
      protocol: protocolOf(request),
      headers: request.headers,
      connection,
      closing: response.stream ?? response,
      reset: () => resetAnswer(response),
    });
    if (call.admission !== undefined) await call.admission;
    const handler = isJson(request) ? route.json : route.binary;
    let answer: UniversalServerResponse;
    try {
      answer = await handler(this.#toUniversal(call, route, request));
    } catch (thrown) {
      this.#answerUnencoded(call, request, response, thrown);
      return;
    }
    await respond(call, answer, response, this.#libraryErrors, encodeWebText(call, answer));
  }

  /**
   * The library could not even encode its error. It does so when the error quotes
   * half of a pair of surrogates from JSON, which no header can hold.
   */
  #answerUnencoded(
    call: Call,
    request: HttpRequest,
    response: HttpResponse,
    thrown: unknown,
  ): void {
    const { errors } = this.#options;
    const isQuote = thrown instanceof URIError;
    const error = isQuote
      ? new ProglogError("MESSAGE_INVALID", "Cannot read the request: a name in it is no text")
      : errors.toProglogError(thrown, call.method, call);
    call.failed(error);
    call.answered();
    answerBare(request, response, errors.encode(error), isQuote ? 400 : 500);
  }

  /** Deadlines are ours: Connect would only abort, without a reason of the table. */
  #toUniversal(call: Call, route: Route, request: HttpRequest): UniversalServerRequest {
    const { clock, errors, limits } = this.#options;
    const { binaryBytesMax, jsonBytesMax } = this.#bytesMax;
    const header = toHeaders(request, [
      DEADLINE_HEADERS[call.protocol],
      ...(isCompressed(request) ? [] : ACCEPT_HEADERS),
    ]);
    const source = new BodySource(request, call, {
      clock,
      errors,
      timeoutMs: limits.bodyTimeoutMs,
    });
    const body = decodeWebText(call, header, source, errors);
    return {
      httpVersion: request.httpVersion,
      method: request.method ?? "",
      url: new URL(request.url ?? "/", "http://localhost").toString(),
      header,
      body: new JoinedBody(body, {
        hasEnvelopes: hasEnvelopes(request),
        bytesMax: isJson(request) ? jsonBytesMax : binaryBytesMax,
        onAsk: (isBegun) => {
          source.mayRest = route.sendsMany && !isBegun;
        },
      }),
      signal: call.signal,
      contextValues: createContextValues().set(CALL_KEY, call),
    };
  }
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
