import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import type { ProglogError } from "../base/errors.ts";
import type { HttpRequest, HttpResponse } from "../platform/http-options.ts";
import { encodeError } from "./error-map.ts";
import { setStatus } from "./grpc-message.ts";
import { protocolOf } from "./protocols.ts";

/**
 * Answers a call with an error and no message, in its own protocol, where none of
 * the library's handlers does.
 *
 * @param httpStatus for Connect; the others say it in `grpc-status`
 */
export function answerBare(
  request: HttpRequest,
  response: HttpResponse,
  error: ProglogError,
  httpStatus: number,
): void {
  const encoded = encodeError(error);
  if (protocolOf(request) === "connect") {
    response.writeHead(httpStatus, { "content-type": "application/json" });
    response.end(errorToJsonBytes(encoded, undefined));
  } else {
    const contentType = request.headers["content-type"] ?? "";
    // Both gRPC protocols take an error without messages from the headers alone.
    const headers = setStatus(new Headers({ "content-type": contentType }), encoded);
    response.writeHead(200, Object.fromEntries(headers));
    response.end();
  }
}
