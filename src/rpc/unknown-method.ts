import { ProglogError } from "../base/errors.ts";
import type { HttpRequest, HttpResponse } from "../platform/http-options.ts";
import { answerBare } from "./bare-answer.ts";
import type { ErrorMap } from "./error-map.ts";

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
  errors: ErrorMap,
): boolean {
  const contentType = request.headers["content-type"] ?? "";
  if (request.method !== "POST" || !METHOD_PATH.test(path)) return false;
  if (!CALL_MEDIA_TYPE.test(contentType)) return false;
  const method = path.slice(1);
  const error = new ProglogError("UNIMPLEMENTED", `This server has no method "${method}"`, {
    metadata: { method },
  });
  answerBare(request, response, errors.encode(error), 404);
  return true;
}
