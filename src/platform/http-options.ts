import type { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { KIB } from "../base/units.ts";

/** A request as it comes from either protocol, in the shape that both modules of Node share. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;

/**
 * An answer to either protocol: what the responses of both modules have in common.
 * Events: `drain` when there is room after `write` said false, `close` at the end.
 */
export interface HttpResponse extends EventEmitter {
  statusCode: number;
  readonly headersSent: boolean;
  /** The stream of an HTTP/2 request: its `close` is the end of the call. */
  readonly stream?: EventEmitter | undefined;
  setHeader(name: string, value: string): unknown;
  writeHead(
    status: number,
    headers?: Readonly<Record<string, string | number | string[]>>,
  ): unknown;
  /** @returns false when the caller should wait for `drain` */
  write(chunk: string | Uint8Array): boolean;
  addTrailers(trailers: Readonly<Record<string, string>>): void;
  end(chunk?: string | Uint8Array): unknown;
}

/** A response of HTTP/1.1. */
export type Http1Response = HttpResponse & Pick<ServerResponse, "destroyed" | "writableLength">;

/** The fields of a request's header; those of HTTP/2 that begin with `:` among them. */
export type HttpHeaders = IncomingHttpHeaders;

/** A stream of HTTP/2, with a request on it. */
export type HttpStream = ServerHttp2Stream;

/** The body of a request: what a request of HTTP/1.1 and a stream of HTTP/2 have in common. */
export type HttpBody = Pick<Readable, "on" | "off" | "pause" | "resume" | "destroyed"> & {
  /** The client broke off. */
  readonly aborted?: boolean;
  /** What the client said when it broke off a stream; 0 and undefined: it did not. */
  readonly rstCode?: number | undefined;
};

/** What a request came on: with TLS it is a `TLSSocket`, which knows the client's certificate. */
export type HttpConnection = Socket;

export type RequestHandler = (
  request: HttpRequest,
  response: HttpResponse,
  connection: HttpConnection,
) => void;

/**
 * Offered every request of HTTP/2 before anything is made of it. Must not throw. Who
 * takes one, and answers it before it has come whole, sees to the rest of it: see
 * `drainHttp2`.
 * @returns false when it is to go to the {@link RequestHandler}; true when it is taken
 */
export type StreamHandler = (
  stream: HttpStream,
  headers: HttpHeaders,
  connection: HttpConnection,
) => boolean;

/** Certificates, as PEM. */
export interface TlsMaterial {
  readonly key: string | Uint8Array;
  readonly cert: string | Uint8Array;
  /** When set, clients must show a certificate that one of these signed. */
  readonly clientCa?: string | Uint8Array;
}

export interface ListenOptions {
  /** Name or address to bind. */
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Called for every request of every protocol that {@link onStream} does not take. Must not throw. */
  readonly onRequest: RequestHandler;
  readonly onStream?: StreamHandler;
  /** With it the port speaks TLS only, without it plaintext only. */
  readonly tls?: TlsMaterial;
  readonly limits?: Partial<ListenLimits>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a peer may cost. Each has a setting or is fixed for good reason. */
export interface ListenLimits {
  /** Connections open at once; further ones are closed at once. */
  readonly connectionsMax: number;
  /**
   * Calls open at once on one connection. Further ones are refused on HTTP/2, safe to
   * retry; on HTTP/1.1, where they must be pipelined, they close the connection.
   */
  readonly streamsPerConnectionMax: number;
  /** Bytes of one request's header. */
  readonly headerBytesMax: number;
  /** Time for TLS, for the first bytes, for each HTTP/1.1 header, for HTTP/2 SETTINGS. */
  readonly headerTimeoutMs: number;
  /** Longest silence inside the body of an HTTP/1.1 request. */
  readonly bodyTimeoutMs: number;
  /** How long an HTTP/1.1 connection stays open between requests. */
  readonly keepAliveTimeoutMs: number;
  /** How often an HTTP/2 connection is asked whether it is alive. */
  readonly pingIntervalMs: number;
  /** How long it may take to answer. */
  readonly pingTimeoutMs: number;
  /** How often the time-outs above are looked at: they are late by up to this. */
  readonly scanIntervalMs: number;
}

export const LISTEN_LIMITS: ListenLimits = {
  connectionsMax: 4096,
  streamsPerConnectionMax: 1000,
  headerBytesMax: 16 * KIB,
  headerTimeoutMs: 10_000,
  bodyTimeoutMs: 60_000,
  keepAliveTimeoutMs: 65_000,
  pingIntervalMs: 60_000,
  pingTimeoutMs: 20_000,
  scanIntervalMs: 1_000,
};

/** An open port. */
export interface Listener {
  /** The port that is bound, also when 0 was asked for. */
  readonly port: number;
  /** Connections open now. */
  readonly connectionCount: number;
  /**
   * Tells the present connections to go (GOAWAY, or the end of the connection after
   * the answer under way). New ones are taken until these have gone, so that probes
   * are answered; then they are told too, and no more are taken. Resolves when
   * nothing is open; after `graceMs` closes what still is.
   */
  close(graceMs: number): Promise<void>;
  /**
   * New connections use `material`; old ones live on.
   * @throws {Error} when it does not fit together, or the port is plaintext.
   */
  reloadTls(material: TlsMaterial): void;
}
