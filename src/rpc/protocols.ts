import type { HttpHeaders, HttpRequest } from "../platform/http-options.ts";
import type { Protocol } from "./call.ts";

/** Which protocol a request speaks, by its media type; what is odd goes to Connect, which refuses it. */
export function protocolOf({ headers }: { readonly headers: HttpHeaders }): Protocol {
  const contentType = headers["content-type"] ?? "";
  if (!/^application\/grpc/i.test(contentType)) return "connect";
  return /^application\/grpc-web/i.test(contentType) ? "grpc-web" : "grpc";
}

/** True when messages stand in envelopes; in unary calls of Connect the body is the message. */
export function hasEnvelopes({ headers }: { readonly headers: HttpHeaders }): boolean {
  return /^application\/(?:grpc|connect\+)/i.test(headers["content-type"] ?? "");
}

/** True for messages in JSON, in the body or, with GET, in the address. */
export function isJson(request: HttpRequest): boolean {
  if (request.method === "GET") return /[?&]encoding=json(&|$)/.test(request.url ?? "");
  return /^application\/(?:grpc(?:-web)?\+|connect\+)?json\b/i.test(
    request.headers["content-type"] ?? "",
  );
}
