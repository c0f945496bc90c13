import type { Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { createGrpcJsTransport } from "./grpc-js-transport.ts";

/** A library, protocol and HTTP version to call with. */
export interface Way {
  readonly canStreamBothWays: boolean;
  readonly open: (baseUrl: string) => Transport;
}

/** By the name that the program takes as its first argument. */
export const WAYS: Readonly<Record<string, Way>> = {
  "connect-http1": {
    canStreamBothWays: false,
    open: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  },
  "connect-http2": {
    canStreamBothWays: true,
    open: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  },
  "connect-json-http2": {
    canStreamBothWays: true,
    open: (baseUrl) =>
      createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
  },
  grpc: { canStreamBothWays: true, open: (baseUrl) => createGrpcTransport({ baseUrl }) },
  "grpc-web-http1": {
    canStreamBothWays: false,
    open: (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  },
  "grpc-web-http2": {
    canStreamBothWays: true,
    open: (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
  },
  "grpc-js": { canStreamBothWays: true, open: createGrpcJsTransport },
};
