import { cors } from "@connectrpc/connect";
import type { HttpRequest, HttpResponse } from "../platform/http-options.ts";

/** How long a browser may remember the answer to a preflight. */
const PREFLIGHT_AGE_S = 7200;

const ALLOWED_HEADERS = [...cors.allowedHeaders, "Authorization", "Traceparent", "Tracestate"].join(
  ", ",
);
const ALLOWED_METHODS = cors.allowedMethods.join(", ");
const EXPOSED_HEADERS = cors.exposedHeaders.join(", ");

/**
 * Lets web pages of the given origins call this server. Without origins no header
 * is sent, and browsers keep pages of other origins out.
 *
 * @param origins such as `https://example.com`; `*` for all
 */
export class Cors {
  readonly #origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins.map((origin) => origin.toLowerCase().replace(/\/$/, "")));
  }

  /** Sets the headers, and answers a preflight. @returns true when the request has been answered */
  handle(request: HttpRequest, response: HttpResponse): boolean {
    // Answers to GET may be kept by caches: they must know that the origin matters.
    if (this.#origins.size > 0) response.setHeader("Vary", "Origin");
    const { origin } = request.headers;
    if (origin === undefined) return false;
    const isPreflight =
      request.method === "OPTIONS" &&
      request.headers["access-control-request-method"] !== undefined;
    if (this.#allows(origin)) {
      response.setHeader("Access-Control-Allow-Origin", this.#origins.has("*") ? "*" : origin);
      if (isPreflight) {
        response.setHeader("Access-Control-Allow-Methods", ALLOWED_METHODS);
        response.setHeader("Access-Control-Allow-Headers", ALLOWED_HEADERS);
        response.setHeader("Access-Control-Max-Age", `${PREFLIGHT_AGE_S}`);
      } else {
        response.setHeader("Access-Control-Expose-Headers", EXPOSED_HEADERS);
      }
    }
    if (!isPreflight) return false;
    response.statusCode = 204;
    response.end();
    return true;
  }

  #allows(origin: string): boolean {
    return this.#origins.has("*") || this.#origins.has(origin.toLowerCase());
  }
}
