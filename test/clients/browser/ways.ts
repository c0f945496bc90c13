import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

/** What connect-web can speak, by name. */
export const TRANSPORTS = {
  // What one gets without options.
  "connect-json": (baseUrl: string): Transport => createConnectTransport({ baseUrl }),
  connect: (baseUrl: string): Transport =>
    createConnectTransport({ baseUrl, useBinaryFormat: true }),
  "connect-get": (baseUrl: string): Transport =>
    createConnectTransport({ baseUrl, useBinaryFormat: true, useHttpGet: true }),
  "grpc-web": (baseUrl: string): Transport => createGrpcWebTransport({ baseUrl }),
} as const;

export type TransportName = keyof typeof TRANSPORTS;

/** A transport and an HTTP version: browsers speak HTTP/2 over TLS only. */
export interface Way {
  readonly transport: TransportName;
  readonly isHttp2: boolean;
}

/** By the name that the program takes as its first argument. */
export const WAYS: Readonly<Record<string, Way>> = {
  "connect-json-http1": { transport: "connect-json", isHttp2: false },
  "connect-json-http2": { transport: "connect-json", isHttp2: true },
  "connect-http1": { transport: "connect", isHttp2: false },
  "connect-http2": { transport: "connect", isHttp2: true },
  "connect-get-http2": { transport: "connect-get", isHttp2: true },
  "grpc-web-http1": { transport: "grpc-web", isHttp2: false },
  "grpc-web-http2": { transport: "grpc-web", isHttp2: true },
};
