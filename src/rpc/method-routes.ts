import type {
  DescMethod,
  DescService,
  JsonReadOptions,
  JsonWriteOptions,
} from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, type HandlerContext } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { callOf } from "./call.ts";
import { encodeError } from "./error-map.ts";

/** Answers one method: see {@link Guard}. */
export type Implementation = (request: never, context: HandlerContext) => unknown;

/** A service with its implementations, by the methods' local names. */
export interface ServedService {
  readonly desc: DescService;
  readonly implementation: Readonly<Record<string, Implementation>>;
  /** The same for binary calls, where records are bytes; absent: as for JSON. */
  readonly wire?: Pick<ServedService, "desc" | "implementation">;
  /** Methods that refuse JSON fields they do not know. */
  readonly strictJson?: readonly string[];
  /** Refused while the server drains. Health and reflection are not. */
  readonly endsWithDrain: boolean;
}

/** A method, ready to be called by either encoding. */
export interface Route {
  /** Such as `proglog.v1.LogService/Produce`. */
  readonly method: string;
  readonly isStreaming: boolean;
  /** True when the client sends a stream of messages. */
  readonly sendsMany: boolean;
  readonly endsWithDrain: boolean;
  readonly binary: UniversalHandler;
  readonly json: UniversalHandler;
}

export interface RouteLimits {
  readonly binaryBytesMax: number;
  readonly jsonBytesMax: number;
}

/** All methods by their paths. */
export function makeRoutes(
  services: readonly ServedService[],
  limits: RouteLimits,
): ReadonlyMap<string, Route> {
  const binary = makeRouter(limits.binaryBytesMax);
  const json = makeRouter(limits.jsonBytesMax);
  for (const service of services) {
    addMethods(binary, service.wire ?? service, []);
    addMethods(json, service, service.strictJson ?? []);
  }
  const jsonHandlers = new Map(json.handlers.map((handler) => [handler.requestPath, handler]));
  const routes = new Map<string, Route>();
  for (const handler of binary.handlers) {
    const twin = jsonHandlers.get(handler.requestPath);
    const service = services.find(({ desc }) => desc.typeName === handler.service.typeName);
    if (twin === undefined || service === undefined) continue;
    const { methodKind } = handler.method;
    routes.set(handler.requestPath, {
      method: handler.requestPath.slice(1),
      isStreaming: methodKind !== "unary",
      sendsMany: methodKind === "client_streaming" || methodKind === "bidi_streaming",
      endsWithDrain: service.endsWithDrain,
      binary: handler,
      json: twin,
    });
  }
  return routes;
}

const JSON_OPTIONS = { alwaysEmitImplicit: true } as const;

function makeRouter(readMaxBytes: number): ConnectRouter {
  return createConnectRouter({
    acceptCompression: [compressionGzip, compressionBrotli],
    readMaxBytes,
    jsonOptions: JSON_OPTIONS,
    // Runs before a byte of the body is read, and answers in the call's own protocol.
    requestGate(context) {
      const { refusal } = callOf(context);
      if (refusal !== undefined) throw encodeError(refusal);
    },
  });
}

function addMethods(
  router: ConnectRouter,
  { desc, implementation }: Pick<ServedService, "desc" | "implementation">,
  strictJson: readonly string[],
): void {
  for (const method of desc.methods) {
    const answer = implementation[method.localName];
    if (answer === undefined) continue; // the client gets UNIMPLEMENTED, as for other paths
    const jsonOptions: Partial<JsonReadOptions & JsonWriteOptions> = {
      ...JSON_OPTIONS,
      ignoreUnknownFields: !strictJson.includes(method.localName),
    };
    // Guard's functions have the shapes that Connect wants; which one, only the descriptor knows.
    (router.rpc as (method: DescMethod, answer: Implementation, options: object) => unknown)(
      method,
      answer,
      { jsonOptions },
    );
  }
}
