import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { Clock } from "../base/clock.ts";
import { MIB } from "../base/units.ts";

/** How long the rest of a request may take after its answer. */
const REST_MS_MAX = 300;
/** From a half-closed connection to a closed one: time for the answer to arrive. */
const LINGER_MS = 500;
/** How often it is looked whether the end of an answer is sent. */
const UNSENT_POLL_MS = 10;
/** Bytes of a request's rest that are worth reading to keep an HTTP/2 stream tidy. */
const REST_BYTES_MAX = MIB;

/**
 * An HTTP/1.1 request that is answered before its body is read leaves unread
 * bytes in the connection, and neither Node nor connect-node drains them: the
 * client hangs until keep-alive ends. So what still comes is discarded, and when
 * the end does not come soon the connection is closed, gently: the client must
 * read the answer first. `Connection: close` would be harsh: both runtimes then
 * reset the connection under a client that is still sending, and the answer is lost.
 */
export function drainHttp1(request: IncomingMessage, response: ServerResponse, clock: Clock): void {
  if (!hasBody(request)) return;
  const socket = request.socket; // gone from the request by the time of "finish"
  response.once("finish", () => {
    if (request.complete || socket.destroyed) return;
    request.removeAllListeners("readable");
    request.on("data", () => {});
    request.resume();
    clock.schedule(REST_MS_MAX, () => {
      if (request.complete || socket.destroyed) return;
      socket.end();
      clock.schedule(LINGER_MS, () => socket.destroy());
    });
  });
}

/** True when the header of a request announces a body. */
export function hasBody(request: IncomingMessage): boolean {
  if (request.headers["transfer-encoding"] !== undefined) return true;
  return Number(request.headers["content-length"] ?? 0) > 0;
}

/**
 * The same for an HTTP/2 stream: unread bytes would hold the flow control window
 * of the whole connection, and a client that never ends its side would keep the
 * stream open. One that goes on is told to stop, as RFC 9113 section 8.1 says:
 * RST_STREAM with NO_ERROR after the answer.
 */
export function drainHttp2(stream: ServerHttp2Stream, clock: Clock): void {
  stream.once("finish", () => {
    if (stream.readableEnded || stream.destroyed) return;
    let restBytes = 0;
    let isDue = false;
    let cancel = () => {};
    const stop = () => {
      if (stream.closed) return;
      // "finish" comes before the trailers, or the end of the answer, are sent.
      if (stream.state.localClose === 0) cancel = clock.schedule(UNSENT_POLL_MS, stop);
      else stream.close(constants.NGHTTP2_NO_ERROR);
    };
    const stopOnce = () => {
      if (isDue) return;
      isDue = true;
      cancel();
      stop();
    };
    stream.removeAllListeners("data");
    stream.removeAllListeners("readable");
    stream.on("data", (chunk: Buffer) => {
      restBytes += chunk.length;
      if (restBytes > REST_BYTES_MAX) stopOnce();
    });
    stream.resume();
    cancel = clock.schedule(REST_MS_MAX, stopOnce);
    stream.once("close", () => cancel());
  });
}
