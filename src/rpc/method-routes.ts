import type {
  DescMethod,
  DescService,
  JsonReadOptions,
  JsonWriteOptions,
  Registry,
} from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { callOf } from "./call.ts";
import type { ErrorMap } from "./error-map.ts";
import { type Implementation, watchErrors } from "./handler-errors.ts";
import type { LeanMethod } from "./lean/lean-method.ts";

/** A service with its implementations, by the methods' local names. */
export interface ServedService {
  readonly desc: DescService;
  readonly implementation: Readonly<Record<string, Implementation>>;
  /** The same for binary calls, where records are bytes; absent: as for JSON. */
  readonly wire?: Pick<ServedService, "desc" | "implementation">;
  /** Methods that refuse JSON fields they do not know. */
  readonly strictJson?: readonly string[];
  /** Knows the types that JSON may hold in `google.protobuf.Any`. */
  readonly jsonRegistry?: Registry;
  /** Methods that the lean path serves too, where it can: see lean/lean-server.ts. */
  readonly lean?: Readonly<Record<string, LeanMethod>>;
  /** Refused while the server drains. Health and reflection are not. */
  readonly endsWithDrain: boolean;
  /** Called by other servers of the cluster: see {@link DoorRoute}. */
  readonly isPeer?: boolean;
}

/** A method, ready to be called by either encoding. */
export interface Route {
  /** Such as `proglog.v1.LogService/Produce`. */
  readonly method: string;
  readonly isStreaming: boolean;
  /** True when the client sends a stream of messages. */
  readonly sendsMany: boolean;
  readonly endsWithDrain: boolean;
  readonly isPeer: boolean;
  readonly binary: UniversalHandler;
  readonly json: UniversalHandler;
  readonly lean: LeanMethod | undefined;
  /** How errors are written in JSON. */
  readonly jsonOptions: Partial<JsonWriteOptions>;
}

export interface RouteLimits {
  readonly binaryBytesMax: number;
  readonly jsonBytesMax: number;
}

/** All methods by their paths. */
export function makeRoutes(
  services: readonly ServedService[],
  limits: RouteLimits,
  errors: ErrorMap,
): ReadonlyMap<string, Route> {
  const binary = makeRouter(limits.binaryBytesMax, errors);
  const json = makeRouter(limits.jsonBytesMax, errors);
  for (const service of services) {
    addMethods(binary, service, service.wire ?? service);
    addMethods(json, service, service);
  }
  const jsonHandlers = new Map(json.handlers.map((handler) => [handler.requestPath, handler]));
  const routes = new Map<string, Route>();
  for (const handler of binary.handlers) {
    const twin = jsonHandlers.get(handler.requestPath);
    const service = services.find(({ desc }) => desc.typeName === handler.service.typeName);
    if (twin === undefined || service === undefined) continue;
    const { localName, methodKind } = handler.method;
    routes.set(handler.requestPath, {
      method: handler.requestPath.slice(1),
      isStreaming: methodKind !== "unary",
      sendsMany: methodKind === "client_streaming" || methodKind === "bidi_streaming",
      endsWithDrain: service.endsWithDrain,
      isPeer: service.isPeer === true,
      binary: handler,
      json: twin,
      lean: service.lean?.[localName],
      jsonOptions: jsonOptionsOf(service),
    });
  }
  return routes;
}

/** How JSON is written: a 0 is seen, such as the offset 0. */
export const JSON_OPTIONS = { alwaysEmitImplicit: true } as const;

function makeRouter(readMaxBytes: number, errors: ErrorMap): ConnectRouter {
  return createConnectRouter({
    acceptCompression: [compressionGzip, compressionBrotli],
    readMaxBytes,
    jsonOptions: JSON_OPTIONS,
    // Runs before a byte of the body is read, and answers in the call's own protocol.
    requestGate(context) {
      const { refusal } = callOf(context);
      if (refusal !== undefined) throw errors.encode(refusal);
    },
  });
}

function jsonOptionsOf({ jsonRegistry }: ServedService) {
  return jsonRegistry === undefined ? JSON_OPTIONS : { ...JSON_OPTIONS, registry: jsonRegistry };
}

/** @param twin what of `service` is to be called: itself, or its `wire` */
function addMethods(
  router: ConnectRouter,
  service: ServedService,
  { desc, implementation }: Pick<ServedService, "desc" | "implementation">,
): void {
  const { strictJson = [] } = service;
  for (const method of desc.methods) {
    const answer = implementation[method.localName];
    if (answer === undefined) continue; // the client gets UNIMPLEMENTED, as for other paths
    const jsonOptions: Partial<JsonReadOptions & JsonWriteOptions> = {
      ...jsonOptionsOf(service),
      ignoreUnknownFields: !strictJson.includes(method.localName),
    };
    // Implementations have the shapes that Connect wants; which one, only the descriptor knows.
    (router.rpc as (method: DescMethod, answer: Implementation, options: object) => unknown)(
      method,
      watchErrors(method.methodKind, answer),
      { jsonOptions },
    );
  }
}
