import type { HttpHeaders } from "../../platform/http-options.ts";
import type { Fields } from "./sink.ts";

/** Fields by which the protocols talk to each other; they are not the application's. */
export const PROTOCOL_FIELDS: ReadonlySet<string> = new Set([
  "connect-accept-encoding",
  "connect-content-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
  "content-encoding",
  "content-length",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-timeout",
  "te",
]);

/** What of a request's header is the application's. */
export function toRequestHeader(headers: HttpHeaders): Headers {
  const result = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":") || PROTOCOL_FIELDS.has(name)) continue;
    if (Array.isArray(value)) for (const one of value) result.append(name, one);
    else result.append(name, value);
  }
  return result;
}

/**
 * Adds `headers` to the fields of an answer. `connection` belongs to the listener:
 * it knows what each runtime can bear.
 */
export function putFields(fields: Fields, headers: Headers | undefined, prefix: string): void {
  headers?.forEach((value, name) => {
    if (name === "connection") return;
    fields[prefix + name] = name === "set-cookie" ? headers.getSetCookie() : value;
  });
}
