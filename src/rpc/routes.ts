import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ClusterView } from "../cluster/cluster-view.ts";
import type { ClientTls } from "../platform/http-client-socket.ts";
import type { RequestHandler, StreamHandler } from "../platform/http-options.ts";
import { HttpPool } from "../platform/http-pool.ts";
import type { Topics } from "../topics/topics.ts";
import type { CallHook } from "./call.ts";
import { CallServer } from "./call-server.ts";
import { Cors } from "./cors.ts";
import { ErrorMap } from "./error-map.ts";
import { Hop } from "./forward/hop.ts";
import { Router } from "./forward/router.ts";
import { RPC_LIMITS, type RpcLimits } from "./limits.ts";
import type { PeerServer } from "./peer/peer-server.ts";
import { PlainHttp } from "./plain-http.ts";
import { makeServices } from "./services.ts";
import type { ServingState } from "./serving-state.ts";
import type { ServerSelf } from "./topic-service.ts";
import { TopicsSource } from "./topics-source.ts";
import { answerUnknownMethod } from "./unknown-method.ts";

export interface HandlerOptions {
  /** May come later: calls wait for them as `limits.startWaitMs` says. */
  readonly topics: Topics | Promise<Topics>;
  /** By which calls go to who leads their topic; comes with the topics. Absent: every topic is led here. */
  readonly cluster?: ClusterView | Promise<ClusterView> | undefined;
  /** How other servers are called; asked at each dial. Absent or undefined: plaintext. */
  readonly clientTls?: () => ClientTls | undefined;
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
  /** Whether hot calls take the lean path. Default true. */
  readonly lean?: boolean;
  /** What other servers of the cluster call; absent: they are not served. */
  readonly peers?: PeerServer;
  /** What `GET /metrics` answers; absent: there is no such page. */
  readonly metrics?: () => Promise<string>;
  /** Told of every call at its begin and its end; may refuse it. */
  readonly hook?: CallHook;
  /** Told of a broken invariant: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

/** What the listener calls. */
export interface Handler {
  readonly onRequest: RequestHandler;
  readonly onStream: StreamHandler;
  /** Resolves when no call of a client is under way. */
  whenIdle(): Promise<void>;
  /** Ends the connections to other servers: when the port is closed. */
  close(): void;
}

/** Answers every request of the port: calls of all protocols, probes, and the rest with 404. */
export function createHandler(options: HandlerOptions): Handler {
  const { clock, state } = options;
  const limits = { ...RPC_LIMITS, ...options.limits };
  const errors = new ErrorMap(options.logger, clock.wallUs().toString(36), options.onFatal);
  const topics = new TopicsSource(options, clock, limits.startWaitMs);
  const pool = new HttpPool({ clock, tls: options.clientTls });
  const hop = new Hop({ pool, clock, nodeId: () => topics.cluster?.nodeId ?? "" });
  const services = makeServices({
    topics,
    router: new Router({ topics, hop, clock, draining: state.draining }),
    state,
    limits,
    clock,
    errors,
    self: options.self,
    reflection: options.reflection ?? true,
    peers: options.peers,
  });
  const calls = new CallServer(services, { ...options, limits, errors });
  const plain = new PlainHttp(options);
  const cors = new Cors(options.corsOrigins ?? []);
  return {
    onStream(stream, headers, connection) {
      return calls.handleStream(stream, headers, connection, cors.fieldsFor(headers));
    },
    onRequest(request, response, connection) {
      if (cors.handle(request, response)) return;
      const [path = ""] = (request.url ?? "").split("?", 1);
      if (calls.handle(request, response, path, connection)) return;
      if (answerUnknownMethod(request, response, path, errors)) return;
      plain.handle(request, response, path);
    },
    whenIdle: () => calls.whenIdle(),
    close: () => pool.close(),
  };
}
