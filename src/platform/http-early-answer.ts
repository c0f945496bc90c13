import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { Clock } from "../base/clock.ts";
import { MIB } from "../base/units.ts";
import { IS_BUN } from "./http-runtime.ts";

/** How long the rest of a request may take after its answer. */
const REST_MS_MAX = 300;
/** From a half-closed connection to a closed one: time for the answer to arrive. */
const LINGER_MS = 500;
/** Bytes of a request's rest that are worth reading to keep an HTTP/2 stream tidy. */
const REST_BYTES_MAX = MIB;

/**
 * An HTTP/1.1 request that is answered before its body is read leaves unread
 * bytes in the connection, and neither Node nor connect-node drains them: the
 * client hangs until keep-alive ends. So discard what still comes, and close
 * when it does not end soon.
 *
 * Node must say `Connection: close` in such an answer; Bun 1.4 resets the socket
 * when it does, and the answer is lost. Hence by runtime.
 */
export function drainHttp1(request: IncomingMessage, response: ServerResponse, clock: Clock): void {
  if (!hasBody(request)) return;
  const socket = request.socket; // gone from the request by the time of "finish"
  if (!IS_BUN) {
    const writeHead = response.writeHead;
    response.writeHead = function (this: ServerResponse, ...args: Parameters<typeof writeHead>) {
      if (!request.complete) response.setHeader("Connection", "close");
      return writeHead.apply(response, args);
    } as typeof writeHead;
  }
  response.once("finish", () => {
    if (request.complete || socket.destroyed) return;
    request.removeAllListeners("readable");
    request.on("data", () => {});
    request.resume();
    clock.schedule(IS_BUN ? REST_MS_MAX : 0, () => {
      if (request.complete && IS_BUN) return; // the client may go on with this connection
      socket.end();
      clock.schedule(LINGER_MS, () => socket.destroy());
    });
  });
}

function hasBody(request: IncomingMessage): boolean {
  if (request.headers["transfer-encoding"] !== undefined) return true;
  return Number(request.headers["content-length"] ?? 0) > 0;
}

/**
 * The same for an HTTP/2 stream: unread bytes would hold the flow control window
 * of the whole connection. A client that goes on sending is told to stop, as
 * RFC 9113 section 8.1 says: RST_STREAM with NO_ERROR after the answer.
 */
export function drainHttp2(stream: ServerHttp2Stream): void {
  stream.once("finish", () => {
    if (stream.readableEnded || stream.destroyed) return;
    let restBytes = 0;
    stream.removeAllListeners("data");
    stream.removeAllListeners("readable");
    stream.on("data", (chunk: Buffer) => {
      restBytes += chunk.length;
      if (restBytes > REST_BYTES_MAX) stream.close(constants.NGHTTP2_NO_ERROR);
    });
    stream.resume();
  });
}
