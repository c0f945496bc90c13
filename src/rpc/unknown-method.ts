import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { ProglogError } from "../base/errors.ts";
import type { HttpRequest, HttpResponse } from "../platform/http-options.ts";
import { encodeError } from "./error-map.ts";
import { protocolOf } from "./protocols.ts";

/** `/package.Service/Method`: what a call asks for. */
const METHOD_PATH = /^\/[\w.]+\/\w+$/;
const CALL_MEDIA_TYPE = /^application\/(?:grpc|connect\+|json\b|proto\b)/i;

/**
 * Answers a call of a method that is not here, in its own protocol.
 * @returns false when the request is no call
 */
export function answerUnknownMethod(
  request: HttpRequest,
  response: HttpResponse,
  path: string,
): boolean {
  const contentType = request.headers["content-type"] ?? "";
  if (request.method !== "POST" || !METHOD_PATH.test(path)) return false;
  if (!CALL_MEDIA_TYPE.test(contentType)) return false;
  const method = path.slice(1);
  const error = encodeError(
    new ProglogError("UNIMPLEMENTED", `This server has no method "${method}"`, {
      metadata: { method },
    }),
  );
  if (protocolOf(request) === "connect") {
    response.writeHead(404, { "content-type": "application/json" });
    response.end(errorToJsonBytes(error, undefined));
  } else {
    // Both gRPC protocols take an error without messages from the headers alone.
    const headers = setTrailerStatus(new Headers({ "content-type": contentType }), error);
    response.writeHead(200, Object.fromEntries(headers));
    response.end();
  }
  return true;
}
