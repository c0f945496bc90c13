import type {
  Http1Response,
  HttpBody,
  HttpConnection,
  HttpHeaders,
  HttpRequest,
  HttpStream,
} from "../../platform/http-options.ts";
import type { Arrival, CallDoor } from "../call-door.ts";
import type { Route } from "../method-routes.ts";
import { type Dialect, dialectOf } from "./dialect.ts";
import { DuplexVisit } from "./duplex-visit.ts";
import { Exchange } from "./exchange.ts";
import { Http1Sink } from "./http1-sink.ts";
import { Http2Sink } from "./http2-sink.ts";
import type { LeanHouse } from "./lean-house.ts";
import type { LeanMethod } from "./lean-method.ts";
import { SilenceWatch } from "./silence-watch.ts";
import type { Fields, Sink } from "./sink.ts";
import { BidiVisit, ServerStreamVisit } from "./stream-visits.ts";
import { UnaryVisit } from "./unary-visit.ts";
import type { Visit } from "./visit.ts";

export interface LeanServerOptions extends Omit<LeanHouse, "silence"> {
  readonly door: CallDoor;
}

/**
 * The lean way of a call: straight from `node:http2` and `node:http` to the handler,
 * with nothing made that is not asked for. It takes calls of methods that have a lean
 * handler, when they are sent with POST, binary and uncompressed; the library takes
 * all others. docs/adr/0009-lean-path.md says why.
 */
export class LeanServer {
  readonly #door: CallDoor;
  readonly #house: LeanHouse;

  constructor({ door, clock, logger, limits, errors }: LeanServerOptions) {
    this.#door = door;
    const silence = new SilenceWatch(clock, limits.bodyTimeoutMs);
    this.#house = { clock, logger, limits, errors, silence };
  }

  /** @returns false when the call is not one for this way; nothing has been done then */
  takeStream(
    route: Route,
    stream: HttpStream,
    headers: HttpHeaders,
    connection: HttpConnection,
    fields: Fields | undefined,
  ): boolean {
    if (route.lean === undefined || headers[":method"] !== "POST") return false;
    const dialect = dialectOf(headers, route.lean.kind, true);
    if (dialect === undefined) return false;
    const { protocol } = dialect;
    const sink = new Http2Sink(stream, { protocol, headers, connection }, this.#house.clock);
    this.#serve(route, dialect, sink, stream, fields);
    return true;
  }

  /** The same for HTTP/1.1. */
  takeRequest(
    route: Route,
    request: HttpRequest,
    response: Http1Response,
    connection: HttpConnection,
  ): boolean {
    if (route.lean === undefined || request.method !== "POST") return false;
    const { headers } = request;
    const dialect = dialectOf(headers, route.lean.kind, false);
    if (dialect === undefined) return false;
    const { protocol } = dialect;
    const sink = new Http1Sink(response, { protocol, headers, connection });
    this.#serve(route, dialect, sink, request, undefined);
    return true;
  }

  #serve(
    route: Route,
    dialect: Dialect,
    sink: Sink & Arrival,
    body: HttpBody,
    fields: Fields | undefined,
  ): void {
    const { lean, jsonOptions } = route;
    if (lean === undefined) return;
    const call = this.#door.enter(route, sink);
    const exchange = new Exchange({ call, dialect, sink, fields, jsonOptions });
    visitOf(lean, exchange, body, this.#house).begin();
  }
}

function visitOf(lean: LeanMethod, exchange: Exchange, body: HttpBody, house: LeanHouse): Visit {
  switch (lean.kind) {
    case "unary":
      return new UnaryVisit(lean, exchange, body, house);
    case "server_streaming":
      return new ServerStreamVisit(lean, exchange, body, house);
    case "bidi_streaming":
      return new BidiVisit(lean, exchange, body, house);
    case "duplex":
      return new DuplexVisit(lean, exchange, body, house);
  }
}
