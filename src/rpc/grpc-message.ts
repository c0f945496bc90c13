import type { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

const MESSAGE = "grpc-message";
const SPACE = 0x20;
const TILDE = 0x7e;
const PERCENT = 0x25;

/** Sets the status fields of gRPC and gRPC-Web, as {@link plainMessage} leaves them. */
export function setStatus(fields: Headers, error: ConnectError): Headers {
  setTrailerStatus(fields, error);
  plainMessage(fields);
  return fields;
}

/**
 * Encodes `grpc-message` again as the gRPC specification says: only `%` and what is
 * not printable ASCII. The library encodes it as for addresses, and a client that
 * takes it as it is shows people `%20` and `%3A`.
 */
export function plainMessage(fields: Headers): void {
  const encoded = fields.get(MESSAGE);
  if (encoded?.includes("%") !== true) return;
  fields.set(MESSAGE, percentEncode(decodeURIComponent(encoded)));
}

function percentEncode(text: string): string {
  let encoded = "";
  for (const byte of new TextEncoder().encode(text)) {
    const isPlain = byte >= SPACE && byte <= TILDE && byte !== PERCENT;
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
