import type { Clock } from "../../src/base/clock.ts";
import type { Logger } from "../../src/base/log.ts";
import { CallServer } from "../../src/rpc/call-server.ts";
import { ErrorMap } from "../../src/rpc/error-map.ts";
import { REQUEST_SLACK_BYTES, RPC_LIMITS } from "../../src/rpc/limits.ts";
import type { Handler } from "../../src/rpc/routes.ts";
import { ServingState } from "../../src/rpc/serving-state.ts";
import { answerUnknownMethod } from "../../src/rpc/unknown-method.ts";
import { LeanService } from "./lean-service.ts";
import { LibraryService } from "./library-service.ts";
import type { Protos } from "./messages.ts";
import { ConformanceHandlers } from "./service.ts";

export interface HandlerSetup {
  /** True to serve by the lean path what it can serve. */
  readonly isLean: boolean;
  /** Most bytes of a message; 0: as the server has it. */
  readonly receiveBytesMax: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Calls that reached a method, by the path they came. */
export interface PathCounts {
  readonly library: number;
  readonly lean: number;
}

export interface CountingHandler extends Handler {
  counts(): PathCounts;
}

/** Serves the suite's service as `rpc/routes.ts` serves ours: the same call server, the same answers beside it. */
export function makeHandler(
  protos: Protos,
  { isLean, receiveBytesMax, clock, logger }: HandlerSetup,
): CountingHandler {
  const onFatal = (error: unknown) => {
    throw error;
  };
  const errors = new ErrorMap(logger, "conformance", onFatal, { hasDetails: false });
  const handlers = new ConformanceHandlers(protos);
  const library = new LibraryService(handlers, errors);
  const lean = new LeanService(handlers, protos);
  const limits =
    receiveBytesMax === 0
      ? RPC_LIMITS
      : { ...RPC_LIMITS, requestBytesMax: receiveBytesMax - REQUEST_SLACK_BYTES };
  const calls = new CallServer(
    [
      {
        desc: protos.service,
        implementation: library.methods(),
        lean: lean.methods(),
        jsonRegistry: protos.registry,
        endsWithDrain: true,
      },
    ],
    { state: new ServingState(), clock: early(clock), logger, limits, errors, lean: isLean },
  );
  return {
    counts: () => ({ library: library.callCount, lean: lean.callCount }),
    onStream: (stream, headers, connection) => calls.handleStream(stream, headers, connection),
    whenIdle: () => calls.whenIdle(),
    onRequest(request, response, connection) {
      const [path = ""] = (request.url ?? "").split("?", 1);
      if (calls.handle(request, response, path, connection)) return;
      if (answerUnknownMethod(request, response, path, errors)) return;
      response.statusCode = 404;
      response.end();
    },
    close() {},
  };
}

/** How much sooner a deadline comes to the server than to the suite's client. */
const EARLY_MS = 50;

/**
 * The client has the same deadlines by its own clock, and stops reading when they come. An
 * answer of that very moment the suite then finds broken; so the server is to be first.
 */
function early(clock: Clock): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallUs: () => clock.wallUs(),
    schedule: (delayMs, callback) => clock.schedule(Math.max(0, delayMs - EARLY_MS), callback),
  };
}
