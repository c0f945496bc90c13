import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { LeaderPlace, TopicRoute } from "../../src/cluster/cluster-view.ts";
import type { HttpConnection, ListenOptions } from "../../src/platform/http-options.ts";
import type { CallHook } from "../../src/rpc/call.ts";
import type { HandlerOptions } from "../../src/rpc/routes.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { type Api, type Clients, clientsOf, startApi, type Way } from "./api.ts";

/** A server of a cluster: its API over topics of its own, and what it knows of the others. */
export interface TestServer extends Api {
  readonly cluster: FakeCluster;
  readonly address: string;
  clients(way?: Way): Clients;
  /** This server as a leader in that term. */
  place(term?: number): LeaderPlace;
  /** The way to it. */
  route(term?: number): TopicRoute;
  /** Ends all connections to it, with what is on them. */
  cut(): void;
}

export async function startServer(
  t: TestContext,
  nodeId: string,
  options: Partial<HandlerOptions> = {},
  listenOptions: Partial<ListenOptions> = {},
): Promise<TestServer> {
  const cluster = new FakeCluster(nodeId);
  const connections = new Set<HttpConnection>();
  const hook: CallHook = ({ connection }) => {
    connections.add(connection);
    return undefined;
  };
  const api = await startApi(t, { cluster, hook, ...options }, listenOptions);
  const address = `127.0.0.1:${api.port}`;
  const place = (term = 1) => ({ nodeId, address, term });
  return {
    ...api,
    cluster,
    address,
    clients: (way) => clientsOf(api.port, way),
    place,
    route: (term) => ({ kind: "there", leader: place(term) }),
    cut() {
      for (const connection of connections) connection.destroy();
      connections.clear();
    },
  };
}

/** Two servers: `leader` leads the topic `default` and the catalogue, `other` knows that. */
export async function startPair(t: TestContext, options: Partial<HandlerOptions> = {}) {
  const leader = await startServer(t, "leader", options);
  const other = await startServer(t, "other", options);
  for (const topic of ["default", "_cluster"]) other.cluster.lead(topic, leader.route());
  return { leader, other };
}

/** A server that does with its streams what a test wants, and answers nothing by itself. */
export async function startStub(
  t: TestContext,
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
) {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  let calls = 0;
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream, headers) => {
    calls += 1;
    stream.on("error", () => {});
    onStream(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const destroy = () => {
    for (const session of sessions) session.destroy();
  };
  t.after(() => {
    destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const leader: LeaderPlace = { nodeId: "stub", address: `127.0.0.1:${port}`, term: 1 };
  return {
    route: { kind: "there", leader } as TopicRoute,
    leader,
    /** Ends all connections. */
    destroy,
    get callCount() {
      return calls;
    },
  };
}

export const GRPC_HEADER = { ":status": 200, "content-type": "application/grpc+proto" };
