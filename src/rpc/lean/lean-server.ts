import type { ConnectError } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type {
  Http1Response,
  HttpBody,
  HttpConnection,
  HttpHeaders,
  HttpRequest,
  HttpStream,
} from "../../platform/http-options.ts";
import type { Call } from "../call.ts";
import type { CallDoor } from "../call-door.ts";
import type { ErrorMap } from "../error-map.ts";
import type { RpcLimits } from "../limits.ts";
import type { Route } from "../method-routes.ts";
import { type Dialect, dialectOf } from "./dialect.ts";
import { Exchange } from "./exchange.ts";
import { toWireError } from "./failure.ts";
import { Http1Sink } from "./http1-sink.ts";
import { Http2Sink } from "./http2-sink.ts";
import { Inbox } from "./inbox.ts";
import type {
  Encoded,
  LeanBidiStreaming,
  LeanMethod,
  LeanServerStreaming,
  LeanUnary,
} from "./lean-method.ts";
import { Output } from "./output.ts";
import { SilenceWatch } from "./silence-watch.ts";
import type { Fields, Sink } from "./sink.ts";
import { WholeBody } from "./whole-body.ts";

export interface LeanServerOptions {
  readonly door: CallDoor;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: RpcLimits;
  readonly errors: ErrorMap;
}

/** From a deadline to the end of the call: time for the handler to say itself what came of it. */
const DEADLINE_GRACE_MS = 5;

/** One call on this way. */
interface Visit {
  readonly exchange: Exchange;
  readonly body: HttpBody;
  /** Ends the answer; does nothing when it has ended. */
  readonly finish: (error: ConnectError | undefined) => void;
}

/**
 * The lean way of a call: straight from `node:http2` and `node:http` to the handler,
 * with nothing made that is not asked for. It takes calls of methods that have a lean
 * handler, when they are sent with POST, binary and uncompressed; the library takes
 * all others. docs/adr/0006-lean-path.md says why.
 */
export class LeanServer {
  readonly #options: LeanServerOptions;
  readonly #silence: SilenceWatch;

  constructor(options: LeanServerOptions) {
    this.#options = options;
    this.#silence = new SilenceWatch(options.clock, options.limits.bodyTimeoutMs);
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
    const sink = new Http2Sink(stream);
    const { protocol } = dialect;
    const arrival = { protocol, headers, connection, closing: stream, reset: () => sink.reset() };
    const call = this.#options.door.enter(route, arrival);
    this.#serve(route, { call, dialect, sink, fields }, stream);
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
    const sink = new Http1Sink(response);
    const { protocol } = dialect;
    const arrival = { protocol, headers, connection, closing: response, reset: () => sink.reset() };
    const call = this.#options.door.enter(route, arrival);
    this.#serve(route, { call, dialect, sink, fields: undefined }, request);
    return true;
  }

  #serve(
    { lean, jsonOptions }: Route,
    parts: {
      readonly call: Call;
      readonly dialect: Dialect;
      readonly sink: Sink;
      readonly fields: Fields | undefined;
    },
    body: HttpBody,
  ): void {
    if (lean === undefined) return;
    const exchange = new Exchange({ ...parts, jsonOptions });
    const { call } = parts;
    const output = lean.kind === "unary" ? undefined : new Output(exchange);
    const visit: Visit = {
      exchange,
      body,
      finish: (error) => {
        this.#guard(exchange, () =>
          output === undefined ? exchange.finish(error) : output.finish(error),
        );
      },
    };
    if (call.admission === undefined) this.#admitted(lean, visit, output);
    else void call.admission.then(() => this.#admitted(lean, visit, output));
  }

  #admitted(lean: LeanMethod, visit: Visit, output: Output | undefined): void {
    const { call } = visit.exchange;
    const refusal = call.refusal ?? call.reason;
    if (refusal !== undefined) {
      this.#fail(visit, refusal);
      return;
    }
    if (call.deadlineMs !== undefined) call.whenAborted(() => this.#endLate(visit));
    if (lean.kind === "unary") this.#unary(lean, visit);
    else if (output === undefined) return;
    else if (lean.kind === "server_streaming") this.#serverStreaming(lean, visit, output);
    else this.#bidiStreaming(lean, visit, output);
  }

  #unary(lean: LeanUnary, visit: Visit): void {
    const { exchange } = visit;
    this.#read(visit, "unary", (message) => {
      const answer = lean.answer(message, exchange);
      const succeed = (found: Encoded) => this.#guard(exchange, () => exchange.succeed(found));
      if (answer instanceof Promise) {
        answer.then(succeed, (thrown: unknown) => this.#fail(visit, thrown));
      } else {
        succeed(answer);
      }
    });
  }

  #serverStreaming(lean: LeanServerStreaming, visit: Visit, output: Output): void {
    this.#read(visit, "server-streaming", (message) => {
      this.#follow(visit, lean.run(message, output, visit.exchange));
    });
  }

  #bidiStreaming(lean: LeanBidiStreaming, visit: Visit, output: Output): void {
    const { call, dialect } = visit.exchange;
    const { errors, limits } = this.#options;
    const inbox = new Inbox(visit.body, {
      call,
      endFlag: dialect.endFlag,
      requestBytesMax: limits.requestBytesMax,
      errors,
    });
    inbox.start();
    try {
      const running = lean.run(inbox, output, visit.exchange);
      this.#follow(
        visit,
        running.finally(() => inbox.stop()),
      );
    } catch (thrown) {
      inbox.stop();
      this.#fail(visit, thrown);
    }
  }

  /** Reads the one message of a call, and hands it to `serve`, which may throw. */
  #read(visit: Visit, kind: string, serve: (message: Uint8Array) => void): void {
    const { exchange, body } = visit;
    const { errors, limits } = this.#options;
    const { requestBytesMax } = limits;
    const { call, dialect } = exchange;
    const silence = this.#silence;
    new WholeBody(
      body,
      { call, dialect, kind, requestBytesMax, errors, silence },
      {
        onMessage: (message) => {
          if (call.aborted) return;
          try {
            serve(message);
          } catch (thrown) {
            this.#fail(visit, thrown);
          }
        },
        onBadBody: (error) => this.#fail(visit, error),
      },
    ).start();
  }

  #follow(visit: Visit, running: Promise<void>): void {
    running.then(
      () => visit.finish(undefined),
      (thrown: unknown) => this.#fail(visit, thrown),
    );
  }

  #fail(visit: Visit, thrown: unknown): void {
    const { exchange } = visit;
    visit.finish(toWireError(thrown, exchange.call, this.#options.errors));
  }

  /** The handler was told; what it does not say now is not awaited. */
  #endLate(visit: Visit): void {
    const { exchange } = visit;
    if (exchange.isOver) return;
    this.#options.clock.schedule(DEADLINE_GRACE_MS, () => {
      if (!exchange.isOver) this.#fail(visit, exchange.call.reason);
    });
  }

  /** An answer that cannot be written, such as fields that no header can hold. */
  #guard(exchange: Exchange, write: () => void): void {
    try {
      write();
    } catch (thrown) {
      const { method } = exchange.call;
      this.#options.logger.warn("An answer could not be written", { method }, thrown);
      exchange.sink.reset();
    }
  }
}
