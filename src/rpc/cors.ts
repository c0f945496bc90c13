import { cors } from "@connectrpc/connect";
import type { HttpHeaders, HttpRequest, HttpResponse } from "../platform/http-options.ts";

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
    this.#origins = new Set(origins.map(toOrigin));
  }

  /** Sets the headers, and answers a preflight. @returns true when the request has been answered */
  handle(request: HttpRequest, response: HttpResponse): boolean {
    const { headers } = request;
    const isPreflight =
      request.method === "OPTIONS" &&
      headers.origin !== undefined &&
      headers["access-control-request-method"] !== undefined;
    const fields = isPreflight ? this.#preflightFields(headers) : this.fieldsFor(headers);
    for (const [name, value] of Object.entries(fields ?? {})) response.setHeader(name, value);
    if (!isPreflight) return false;
    response.statusCode = 204;
    response.end();
    return true;
  }

  /** What the answer to a request with `headers` is to have, unless it is a preflight. */
  fieldsFor(headers: HttpHeaders): Record<string, string> | undefined {
    // Answers to GET may be kept by caches: they must know that the origin matters.
    if (this.#origins.size === 0) return undefined;
    const { origin } = headers;
    if (origin === undefined || !this.#allows(origin)) return { vary: "Origin" };
    return {
      vary: "Origin",
      "access-control-allow-origin": this.#origins.has("*") ? "*" : origin,
      "access-control-expose-headers": EXPOSED_HEADERS,
    };
  }

  #preflightFields(headers: HttpHeaders): Record<string, string> {
    const { "access-control-expose-headers": exposed, ...fields } = this.fieldsFor(headers) ?? {};
    if (exposed === undefined) return fields;
    return {
      ...fields,
      "access-control-allow-methods": ALLOWED_METHODS,
      "access-control-allow-headers": ALLOWED_HEADERS,
      "access-control-max-age": `${PREFLIGHT_AGE_S}`,
    };
  }

  #allows(origin: string): boolean {
    return this.#origins.has("*") || this.#origins.has(origin.toLowerCase());
  }
}

/** As browsers write it: they leave out the port that a scheme has by itself, and the path. */
function toOrigin(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : "null";
  // Of other schemes than http and https, such as those of extensions, URL knows no origin.
  return origin === "null" ? text.toLowerCase().replace(/\/$/, "") : origin;
}
