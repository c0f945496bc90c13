import type { ConnectError } from "@connectrpc/connect";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import type { HttpRequest, HttpResponse } from "../platform/http-options.ts";
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
  error: ConnectError,
  httpStatus: number,
): void {
  const protocol = protocolOf(request);
  if (protocol === "connect") {
    response.writeHead(httpStatus, { "content-type": "application/json" });
    response.end(errorToJsonBytes(error, undefined));
  } else {
    const contentType = { "content-type": request.headers["content-type"] ?? "" };
    const status = Object.fromEntries(setStatus(new Headers(), error));
    if (protocol === "grpc-web") {
      response.writeHead(200, { ...contentType, ...status });
    } else {
      // In the header it would have to be the whole answer, and here the end is a frame of its own.
      response.writeHead(200, contentType);
      response.addTrailers(status);
    }
    response.end();
  }
}
