import type { TestContext } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { ProglogError } from "../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../src/base/log.ts";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import {
  type ConsumeStreamRequest,
  ConsumeStreamRequestSchema,
  ConsumeStreamResponseSchema,
  LogService,
  type ProduceRequest,
  ProduceRequestSchema,
  ProduceResponseSchema,
  type ProduceStreamRequest,
  ProduceStreamRequestSchema,
  ProduceStreamResponseSchema,
} from "../../src/gen/proglog/v1/log_service_pb.ts";
import type { Listener, ListenOptions } from "../../src/platform/http-options.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { type Call, callOf } from "../../src/rpc/call.ts";
import { CallServer, type CallServerOptions } from "../../src/rpc/call-server.ts";
import { ErrorMap } from "../../src/rpc/error-map.ts";
import { Guard } from "../../src/rpc/guard.ts";
import type { LeanCall } from "../../src/rpc/lean/lean-call.ts";
import type { Encoded, LeanMethod } from "../../src/rpc/lean/lean-method.ts";
import { RPC_LIMITS, type RpcLimits } from "../../src/rpc/limits.ts";
import type { ServedService } from "../../src/rpc/method-routes.ts";
import { ServingState } from "../../src/rpc/serving-state.ts";
import { openPort } from "./ports.ts";

export const UNARY = "/proglog.v1.LogService/Produce";
export const SERVER_STREAM = "/proglog.v1.LogService/ConsumeStream";
export const BIDI = "/proglog.v1.LogService/ProduceStream";

/** What the handlers of both ways know of a call. */
interface Context {
  readonly call: Call;
  readonly requestHeader: Headers;
  readonly responseHeader: Headers;
  readonly responseTrailer: Headers;
}

/** Does what `topic` of a request says, and answers how many bytes its records have. */
async function obey(topic: string, context: Context): Promise<void> {
  const [verb, word = ""] = topic.split(" ");
  if (verb === "fields") setFields(context);
  if (verb === "refuse" || word === "refuse") {
    throw new ProglogError("TOPIC_NOT_FOUND", 'There is no topic "50% \u00e4"', {
      metadata: { topic: "50% \u00e4" },
    });
  }
  if (verb === "defect") throw new Error("secret");
  if (verb === "own" || word === "own") throw ownError([]);
  if (verb === "detailed") throw ownError([{ desc: ErrorInfoSchema, value: { reason: "OWN" } }]);
  if (verb === "deaf") await new Promise(() => {});
  if (verb === "heed") await aborted(context.call.signal);
}

function ownError(details: ConstructorParameters<typeof ConnectError>[3]): ConnectError {
  const metadata = { "x-error": "why", "x-error-bin": "AQI" };
  return new ConnectError("own 50% \u00e4", Code.OutOfRange, metadata, details);
}

function setFields({ requestHeader, responseHeader, responseTrailer }: Context): void {
  responseHeader.set("x-header", requestHeader.get("x-sent") ?? "nothing");
  responseHeader.append("set-cookie", "a=1");
  responseTrailer.set("x-trailer", "last");
  responseTrailer.set("x-trailer-bin", "AQI");
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () =>
      reject(new ProglogError("CANCELED", "Gave up", { metadata: { outcome: "unknown" } })),
    );
  });
}

const encoded = (bytes: Uint8Array): Encoded => ({ parts: [bytes], byteLength: bytes.length });
const bytesOf = ({ records }: ProduceRequest) =>
  records.reduce((sum, { value }) => sum + value.length, 0);
const answerTo = (request: ProduceRequest) => ({ firstOffset: BigInt(bytesOf(request)) });
const heartbeats = (count: bigint) =>
  Array.from({ length: Number(count) }, (_, number) => ({ resumeOffset: BigInt(number) }));

/** Requests that a lean handler was given. */
export interface Counts {
  lean: number;
  library: number;
}

/**
 * A service with both ways to each of its methods, which do the same: the topic of a
 * request says what.
 */
function bothWays(counts: Counts, guard: Guard): ServedService {
  const context = (handler: HandlerContext): Context => {
    counts.library += 1;
    const { requestHeader, responseHeader, responseTrailer } = handler;
    return { call: callOf(handler), requestHeader, responseHeader, responseTrailer };
  };
  const guarded = <T>(handler: HandlerContext, work: () => Promise<T>): Promise<T> =>
    guard.unary<undefined, T>(work)(undefined, handler);
  return {
    desc: LogService,
    endsWithDrain: true,
    implementation: {
      produce: (request: ProduceRequest, handler: HandlerContext) =>
        guarded(handler, async () => {
          await obey(request.topic, context(handler));
          return answerTo(request);
        }),
      async *consumeStream(request: ConsumeStreamRequest, handler: HandlerContext) {
        const { topic, topicId } = request;
        if (topic.startsWith("late")) yield* heartbeats(topicId);
        await guarded(handler, () => obey(topic, context(handler)));
        if (!topic.startsWith("late")) yield* heartbeats(topicId);
      },
      async *produceStream(requests: AsyncIterable<ProduceStreamRequest>, handler: HandlerContext) {
        const found = context(handler);
        for await (const { batches } of requests) {
          for (const batch of batches) await guarded(handler, () => obey(batch.topic, found));
          yield { acknowledgements: batches.map(answerTo) };
        }
      },
    } as ServedService["implementation"],
    lean: leanMethods(counts),
  };
}

function leanMethods(counts: Counts): Record<string, LeanMethod> {
  const decode = <T>(read: () => T): T => {
    try {
      return read();
    } catch (thrown) {
      throw new ProglogError(
        "MESSAGE_INVALID",
        `Cannot read the request: parse binary: ${(thrown as Error).message}`,
      );
    }
  };
  return {
    produce: {
      kind: "unary",
      answer(body, call) {
        counts.lean += 1;
        const request = decode(() => fromBinary(ProduceRequestSchema, body));
        const answer = create(ProduceResponseSchema, answerTo(request));
        const message = encoded(toBinary(ProduceResponseSchema, answer));
        if (request.topic === "sync") return message;
        return obey(request.topic, call).then(() => message);
      },
    },
    consumeStream: {
      kind: "server_streaming",
      async run(body, output, call) {
        counts.lean += 1;
        const { topic, topicId } = decode(() => fromBinary(ConsumeStreamRequestSchema, body));
        if (!topic.startsWith("late")) await obey(topic, call);
        for (const beat of heartbeats(topicId)) {
          const answer = create(ConsumeStreamResponseSchema, beat);
          const bytes = toBinary(ConsumeStreamResponseSchema, answer);
          if (!output.write(encoded(bytes))) await output.whenRoom();
        }
        if (topic.startsWith("late")) await obey(topic, call);
      },
    },
    produceStream: {
      kind: "bidi_streaming",
      async run(input, output, call: LeanCall) {
        counts.lean += 1;
        for await (const messages of input) {
          for (const message of messages) {
            const { batches } = decode(() => fromBinary(ProduceStreamRequestSchema, message));
            for (const batch of batches) await obey(batch.topic, call);
            const answer = create(ProduceStreamResponseSchema, {
              acknowledgements: batches.map(answerTo),
            });
            output.write(encoded(toBinary(ProduceStreamResponseSchema, answer)));
          }
          await output.whenRoom();
        }
      },
    },
  };
}

export interface Served {
  readonly port: number;
  readonly listener: Listener;
  readonly state: ServingState;
  readonly counts: Counts;
}

export interface ServeOptions extends Partial<Omit<CallServerOptions, "limits">> {
  readonly limits?: Partial<RpcLimits>;
  /** Instead of {@link bothWays}. */
  readonly lean?: boolean;
  readonly methods?: Record<string, LeanMethod>;
  readonly listen?: Partial<ListenOptions>;
}

/** Serves {@link bothWays}, or with `methods` other lean methods of the same names, on a port. */
export async function serveBothWays(t: TestContext, options: ServeOptions = {}): Promise<Served> {
  const { listen = {}, methods, ...rest } = options;
  const counts = { lean: 0, library: 0 };
  const logger = options.logger ?? SILENT_LOGGER;
  const state = options.state ?? new ServingState();
  const errors = new ErrorMap(logger, "test", (error) => {
    throw error;
  });
  const service = bothWays(counts, new Guard(errors));
  const calls = new CallServer([methods === undefined ? service : { ...service, lean: methods }], {
    clock: new SystemClock(),
    logger,
    errors,
    ...rest,
    state,
    limits: { ...RPC_LIMITS, ...options.limits },
  });
  const listener = await openPort(
    t,
    (request, response, connection) => {
      calls.handle(request, response, request.url ?? "", connection);
    },
    {
      onStream: (stream, headers, connection) => calls.handleStream(stream, headers, connection),
      ...listen,
    },
  );
  return { port: listener.port, listener, state, counts };
}

export function unaryRequest(topic: string, ...values: Uint8Array[]): Uint8Array {
  const records = values.map((value) => ({ value }));
  return toBinary(ProduceRequestSchema, create(ProduceRequestSchema, { topic, records }));
}

export function serverStreamRequest(topic: string, count: number): Uint8Array {
  const request = create(ConsumeStreamRequestSchema, { topic, topicId: BigInt(count) });
  return toBinary(ConsumeStreamRequestSchema, request);
}

export function bidiRequest(topic: string, ...values: Uint8Array[]): Uint8Array {
  const batches = [{ topic, records: values.map((value) => ({ value })) }];
  return toBinary(ProduceStreamRequestSchema, create(ProduceStreamRequestSchema, { batches }));
}
