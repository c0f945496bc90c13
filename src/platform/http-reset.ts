import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { HttpResponse } from "./http-options.ts";

/**
 * Ends an answer of which the client takes no more: what is written but not sent is
 * dropped. Tells an HTTP/2 client ENHANCE_YOUR_CALM, which gRPC takes for
 * RESOURCE_EXHAUSTED; HTTP/1.1 can only close the connection.
 */
export function resetAnswer(response: HttpResponse): void {
  const { stream } = response as HttpResponse & Partial<Http2ServerResponse>;
  if (stream === undefined) (response as HttpResponse & ServerResponse).destroy();
  else (stream as ServerHttp2Stream).close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}
