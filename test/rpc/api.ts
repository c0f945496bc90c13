import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type Client, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { type Logger, SILENT_LOGGER } from "../../src/base/log.ts";
import type { Reason } from "../../src/base/reasons.ts";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { LogService } from "../../src/gen/proglog/v1/log_service_pb.ts";
import { TopicService } from "../../src/gen/proglog/v1/topic_service_pb.ts";
import type { Listener, ListenOptions } from "../../src/platform/http-options.ts";
import { SystemClock } from "../../src/platform/system-clock.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { createHandler, type HandlerOptions } from "../../src/rpc/routes.ts";
import { ServingState } from "../../src/rpc/serving-state.ts";
import { FakeTopics } from "../support/fake-topics.ts";
import { openPort } from "./ports.ts";

/** All tests are to pass both ways: `PROGLOG_TEST_LEAN=off` sends every call the library's. */
export const LEAN = process.env["PROGLOG_TEST_LEAN"] !== "off";

/** The whole API on a port, over topics in memory. */
export interface Api {
  readonly port: number;
  readonly listener: Listener;
  readonly topics: FakeTopics;
  readonly state: ServingState;
}

export async function startApi(
  t: TestContext,
  options: Partial<HandlerOptions> = {},
  listenOptions: Partial<ListenOptions> = {},
): Promise<Api> {
  const topics = new FakeTopics();
  const state = options.state ?? new ServingState();
  const handler = createHandler({
    topics,
    state,
    version: "0.0.0-test",
    self: () => ({ serverId: "server-1", address: "127.0.0.1:8400" }),
    clock: new SystemClock(),
    logger: SILENT_LOGGER,
    onFatal: (error) => {
      throw error;
    },
    lean: LEAN,
    ...options,
  });
  const { onRequest, onStream } = handler;
  const listener = await openPort(t, onRequest, { onStream, ...listenOptions });
  t.after(() => handler.close());
  return { port: listener.port, listener, topics, state };
}

/** A way to call: protocol, HTTP version, encoding. */
export interface Way {
  readonly name: string;
  readonly isBinary: boolean;
  readonly isHttp2: boolean;
  open(port: number): Transport;
}

function way(
  name: string,
  create: typeof createConnectTransport,
  httpVersion: "1.1" | "2",
  isBinary: boolean,
): Way {
  return {
    name: `${name} ${isBinary ? "binary" : "JSON"} HTTP/${httpVersion}`,
    isBinary,
    isHttp2: httpVersion === "2",
    open: (port) =>
      create({ baseUrl: `http://127.0.0.1:${port}`, httpVersion, useBinaryFormat: isBinary }),
  };
}

const grpc = createGrpcTransport as typeof createConnectTransport;

export const WAYS: readonly Way[] = [
  way("Connect", createConnectTransport, "1.1", true),
  way("Connect", createConnectTransport, "1.1", false),
  way("Connect", createConnectTransport, "2", true),
  way("Connect", createConnectTransport, "2", false),
  way("gRPC", grpc, "2", true),
  way("gRPC", grpc, "2", false),
  way("gRPC-Web", createGrpcWebTransport, "1.1", true),
  way("gRPC-Web", createGrpcWebTransport, "2", false),
];

/** The way of most clients in production. */
export const GRPC: Way = way("gRPC", grpc, "2", true);

export interface Clients {
  readonly log: Client<typeof LogService>;
  readonly topics: Client<typeof TopicService>;
  readonly transport: Transport;
}

export function clientsOf(port: number, by: Way = GRPC): Clients {
  const transport = by.open(port);
  return {
    log: createClient(LogService, transport),
    topics: createClient(TopicService, transport),
    transport,
  };
}

/**
 * A deadline that only the server keeps: the client's own timer may come first when this process stood
 * still, and what the server has to say is lost.
 */
export function serverDeadline(ms: number): { readonly headers: Record<string, string> } {
  return { headers: { "grpc-timeout": `${ms}m`, "connect-timeout-ms": `${ms}` } };
}

/** What a client learns of an error. Checks that there is exactly one ErrorInfo, and of our domain. */
export function infoOf(thrown: unknown): { reason: string; metadata: Record<string, string> } {
  const error = ConnectError.from(thrown);
  const infos = error.findDetails(ErrorInfoSchema);
  assert.equal(infos.length, 1, `${error.message} has ${infos.length} ErrorInfo`);
  assert.equal(infos[0]?.domain, "proglog");
  const types = error.details.map((detail) => ("type" in detail ? detail.type : ""));
  assert.equal(new Set(types).size, types.length, `Details twice: ${types}`);
  return { reason: infos[0]?.reason ?? "", metadata: infos[0]?.metadata ?? {} };
}

/** Checks that `call` fails for `reason`. @returns the metadata */
export async function failsWith(
  call: Promise<unknown>,
  reason: Reason,
): Promise<Record<string, string>> {
  let metadata: Record<string, string> = {};
  await assert.rejects(call, (thrown) => {
    const info = infoOf(thrown);
    assert.equal(info.reason, reason, String(thrown));
    metadata = info.metadata;
    return true;
  });
  return metadata;
}

/** Reads a stream to its end. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Resolves when `condition` holds; polls, since it is about another task's progress. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A logger that remembers. */
export class MemoryLogger implements Logger {
  readonly lines: { level: string; message: string; cause?: unknown }[] = [];

  debug(message: string): void {
    this.lines.push({ level: "debug", message });
  }
  info(message: string): void {
    this.lines.push({ level: "info", message });
  }
  warn(message: string, _fields?: unknown, cause?: unknown): void {
    this.lines.push({ level: "warn", message, cause });
  }
  error(message: string, _fields?: unknown, cause?: unknown): void {
    this.lines.push({ level: "error", message, cause });
  }
}

/** So many encoded records with values of so many bytes. */
export function bodies(count: number, bytes = 1): Uint8Array[] {
  return Array.from({ length: count }, () => recordOfValue(new Uint8Array(bytes)));
}
