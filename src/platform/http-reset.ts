import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { constants } from "node:http2";
import type { HttpResponse, HttpStream } from "./http-options.ts";
import { IS_BUN } from "./http-runtime.ts";

/**
 * Ends an answer of which the client takes no more: what is written but not sent is
 * dropped. Tells an HTTP/2 client ENHANCE_YOUR_CALM, which gRPC takes for
 * RESOURCE_EXHAUSTED; HTTP/1.1 can only close the connection.
 */
export function resetAnswer(response: HttpResponse): void {
  const { stream } = response as HttpResponse & Partial<Http2ServerResponse>;
  if (stream === undefined) (response as HttpResponse & ServerResponse).destroy();
  else resetStream(stream as HttpStream);
}

/**
 * The same for a stream of HTTP/2.
 *
 * On Node 24 `close` alone is not enough: while the connection is full it puts the
 * RST_STREAM off, and sends all that is written before it. When the connection breaks
 * meanwhile, Node drops the stream without having told nghttp2 of the reset, and then asks
 * a stream that is no more for its data, in native code, for ever: the process stands
 * still and its memory grows. `destroy` hands the reset over at once.
 */
export function resetStream(stream: HttpStream): void {
  stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  if (!IS_BUN) stream.destroy();
}
