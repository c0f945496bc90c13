import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { createOfficialTransport } from "./official-transport.ts";

/** What connect-web can speak, and what the official client of gRPC-Web can, by name. */
export const TRANSPORTS = {
  // What one gets without options.
  "connect-json": (baseUrl: string): Transport => createConnectTransport({ baseUrl }),
  connect: (baseUrl: string): Transport =>
    createConnectTransport({ baseUrl, useBinaryFormat: true }),
  "connect-get": (baseUrl: string): Transport =>
    createConnectTransport({ baseUrl, useBinaryFormat: true, useHttpGet: true }),
  "grpc-web": (baseUrl: string): Transport => createGrpcWebTransport({ baseUrl }),
  "official-text": (baseUrl: string): Transport => createOfficialTransport(baseUrl, "text"),
  "official-binary": (baseUrl: string): Transport => createOfficialTransport(baseUrl, "binary"),
} as const;

export type TransportName = keyof typeof TRANSPORTS;

/** A transport and an HTTP version: browsers speak HTTP/2 over TLS only. */
export interface Way {
  readonly transport: TransportName;
  readonly isHttp2: boolean;
  /** Checks that it cannot pass, since its client cannot do what they are about. */
  readonly without?: readonly string[];
}

/** In binary the official client shows nothing of a stream before its end, and tails have none. */
const NO_TAILS = ["tail", "cancel", "parallel-tails", "reconnect"];

/** By the name that the program takes as its first argument. */
export const WAYS: Readonly<Record<string, Way>> = {
  "connect-json-http1": { transport: "connect-json", isHttp2: false },
  "connect-json-http2": { transport: "connect-json", isHttp2: true },
  "connect-http1": { transport: "connect", isHttp2: false },
  "connect-http2": { transport: "connect", isHttp2: true },
  "connect-get-http2": { transport: "connect-get", isHttp2: true },
  "grpc-web-http1": { transport: "grpc-web", isHttp2: false },
  "grpc-web-http2": { transport: "grpc-web", isHttp2: true },
  "grpc-web-text-http1": { transport: "official-text", isHttp2: false },
  "grpc-web-text-http2": { transport: "official-text", isHttp2: true },
  "grpc-web-official-http2": { transport: "official-binary", isHttp2: true, without: NO_TAILS },
};
