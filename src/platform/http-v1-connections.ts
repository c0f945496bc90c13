import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { drainHttp1, hasBody } from "./http-early-answer.ts";
import { ANSWERED_LINGER_MS, endGently, IDLE_LINGER_MS } from "./http-linger.ts";
import type { ListenLimits, ListenOptions } from "./http-options.ts";
import { IS_BUN } from "./http-runtime.ts";

/** What a connection is doing, and since when nothing came of it. */
interface Connection {
  /** Requests that have not been answered yet; more than one when they are pipelined. */
  readonly active: Set<IncomingMessage>;
  state: "header" | "idle";
  sinceMs: number;
  /** Bytes received when `sinceMs` was set. */
  bytesRead: number;
  /** Bytes that waited to be taken when `sinceMs` was set, of a connection that has ended on our side. */
  pendingBytes: number | undefined;
  /** No request is taken after those that are active. */
  isLeft: boolean;
}

/**
 * The HTTP/1.1 connections of a port.
 *
 * Sockets that are handed to an `http.Server` escape its time-outs (on Node its
 * check begins with `listen`, and Bun has none), so a scan over the bytes
 * received does their work.
 */
export class Http1Connections {
  readonly #server: Server;
  readonly #options: ListenOptions;
  readonly #limits: ListenLimits;
  readonly #connections = new Map<Socket, Connection>();

  constructor(options: ListenOptions, limits: ListenLimits) {
    this.#options = options;
    this.#limits = limits;
    this.#server = createServer(
      {
        requestTimeout: 0, // calls and streams have deadlines of their own
        keepAliveTimeout: limits.keepAliveTimeoutMs,
        maxHeaderSize: limits.headerBytesMax,
        noDelay: true,
      },
      (request, response) => this.#onRequest(request, response),
    );
    this.#server.on("connection", (socket) => this.#onConnection(socket));
    this.#server.on("clientError", refuse);
  }

  /** Takes over a connection whose first bytes, if any were read, are back in `socket`. */
  accept(socket: Socket): void {
    this.#server.emit("connection", socket);
  }

  /** The server itself, to listen on a port of its own. */
  get server(): Server {
    return this.#server;
  }

  /** Drops the connections that were silent for too long. */
  scan(nowMs: number): void {
    for (const [socket, connection] of this.#connections) {
      const silentMs = nowMs - connection.sinceMs;
      if (socket.writableEnded) {
        // Who took all of the answer closes; in TLS, Node may not notice that a client is gone.
        if (isTaking(socket, connection, nowMs)) continue;
        if (silentMs > this.#limits.bodyTimeoutMs) socket.destroy();
      } else if (connection.active.size > 0) {
        if (hasProgress(socket, connection, nowMs) || !hasOpenBody(connection)) continue;
        if (silentMs > this.#limits.bodyTimeoutMs) socket.destroy();
      } else if (connection.state === "idle") {
        if (silentMs > this.#limits.keepAliveTimeoutMs) socket.destroy();
        else if (hasProgress(socket, connection, nowMs)) connection.state = "header";
      } else if (silentMs > this.#limits.headerTimeoutMs) {
        socket.destroy();
      }
    }
  }

  /**
   * Ends idle connections now, the others after their answers. Connections that
   * come later live until the next call of it.
   */
  close(): void {
    for (const [socket, connection] of this.#connections) {
      connection.isLeft = true;
      if (connection.active.size === 0) endGently(socket, this.#options.clock, IDLE_LINGER_MS);
    }
  }

  #onConnection(socket: Socket): void {
    this.#connections.set(socket, {
      active: new Set(),
      state: "header",
      sinceMs: this.#options.clock.monotonicMs(),
      bytesRead: 0,
      pendingBytes: undefined,
      isLeft: false,
    });
    socket.once("close", () => this.#connections.delete(socket));
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const socket = request.socket;
    const connection = this.#connections.get(socket);
    if (connection !== undefined) {
      if (connection.active.size >= this.#limits.streamsPerConnectionMax) {
        socket.destroy(); // pipelined, and nobody takes the answers: no client does so by mistake
        return;
      }
      connection.active.add(request);
      response.once("close", () => this.#onAnswered(socket, connection, request));
    }
    if (IS_BUN) joinHead(response);
    else if (connection !== undefined) sayClose(request, response, connection);
    drainHttp1(request, response, this.#options.clock);
    this.#options.onRequest(request, response, socket);
  }

  #onAnswered(socket: Socket, connection: Connection, request: IncomingMessage): void {
    connection.active.delete(request);
    connection.state = "idle";
    connection.sinceMs = this.#options.clock.monotonicMs();
    connection.bytesRead = socket.bytesRead;
    if (!connection.isLeft || connection.active.size > 0) return;
    endGently(socket, this.#options.clock, ANSWERED_LINGER_MS);
  }
}

/**
 * The answers of a connection that is left tell the client not to use it again.
 * On Bun 1.4 that resets the socket before the answer is out; on Node it does so
 * when the client is still sending. Then the end of the connection must do.
 */
function sayClose(
  request: IncomingMessage,
  response: ServerResponse,
  connection: Connection,
): void {
  const { writeHead } = response;
  response.writeHead = ((...args: Parameters<typeof writeHead>) => {
    if (connection.isLeft && isComplete(request)) response.setHeader("Connection", "close");
    return writeHead.apply(response, args);
  }) as typeof writeHead;
}

/**
 * Has a header leave with what is written in the same turn. On Bun 1.4 it goes ahead in a packet of its own, and a
 * client whose deadline comes between the two sees an error's header without the error.
 */
function joinHead(response: ServerResponse): void {
  const { writeHead } = response;
  response.writeHead = ((...args: Parameters<typeof writeHead>) => {
    response.cork();
    process.nextTick(() => response.uncork());
    return writeHead.apply(response, args);
  }) as typeof writeHead;
}

function isComplete(request: IncomingMessage): boolean {
  return request.complete || !hasBody(request);
}

/** True when bytes came since the last look; then the silence begins anew. */
function hasProgress(socket: Socket, connection: Connection, nowMs: number): boolean {
  if (socket.bytesRead === connection.bytesRead) return false;
  connection.bytesRead = socket.bytesRead;
  connection.sinceMs = nowMs;
  return true;
}

/** True when bytes were taken since the last look; then the silence begins anew. */
function isTaking(socket: Socket, connection: Connection, nowMs: number): boolean {
  if (socket.writableLength === connection.pendingBytes) return false;
  connection.pendingBytes = socket.writableLength;
  connection.sinceMs = nowMs;
  return true;
}

function hasOpenBody(connection: Connection): boolean {
  for (const request of connection.active) if (!request.complete) return true;
  return false;
}

/** Answers what is not HTTP/1.1, where the socket still takes an answer. */
function refuse(error: NodeJS.ErrnoException, socket: NodeJS.WritableStream & { destroy(): void }) {
  const status =
    error.code === "HPE_HEADER_OVERFLOW"
      ? "431 Request Header Fields Too Large"
      : "400 Bad Request";
  if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
  else socket.destroy();
}
