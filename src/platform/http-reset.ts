import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { constants } from "node:http2";
import type { HttpResponse, HttpStream } from "./http-options.ts";

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

/** The same for a stream of HTTP/2. */
export function resetStream(stream: HttpStream): void {
  stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}
