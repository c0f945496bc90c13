import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  createEndStreamSerialization,
  endStreamFlag,
  errorFromJsonBytes,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { ProglogError } from "../base/errors.ts";
import type { Call } from "./call.ts";
import type { ErrorMap } from "./error-map.ts";
import { fieldError } from "./fields.ts";
import { plainMessage, setStatus } from "./grpc-message.ts";
import { COMPRESSED_FLAG, ENVELOPE_HEADER_BYTES } from "./lean/envelope.ts";
import { JSON_OPTIONS } from "./method-routes.ts";

const HTTP_ERROR_MIN = 400;
/** The library's words for bytes that are not what they should be, whatever its code for them. */
const UNREADABLE = /^(?:parse binary: |decompression failed)/;
/** And for a compressed message in a request that names no compression. */
const NO_COMPRESSION = "received compressed envelope";

/**
 * Errors that Connect's own code makes (a message that is too large, bytes that do
 * not decode, an unknown compression) leave it encoded, without a reason. They are
 * looked for in answers that say "error" but have no details, and said again by
 * our table. An answer without error passes after one look at a status or flag.
 */
export class LibraryErrors {
  readonly #errors: ErrorMap;
  /** What a message may be, by which an error without a number is explained. */
  readonly #requestBytesMax: number;

  constructor(errors: ErrorMap, requestBytesMax: number) {
    this.#errors = errors;
    this.#requestBytesMax = requestBytesMax;
  }

  /** Completes the error in `piece`, if there is one; may change status and headers of `answer`. */
  complete(call: Call, answer: UniversalServerResponse, piece: Uint8Array): Uint8Array {
    if (call.protocol === "grpc") return piece;
    if (call.protocol === "grpc-web") return this.#completeWebTrailer(call, piece);
    const contentType = answer.header?.get("content-type") ?? "";
    if (contentType.startsWith("application/connect+")) return this.#completeEndStream(call, piece);
    return answer.status === 200 ? piece : this.#completeUnary(call, answer, piece);
  }

  /** The same for a gRPC trailer. @returns false when there is no error in it */
  completeTrailer(call: Call, trailer: Headers): boolean {
    const status = trailer.get("grpc-status");
    if (status === null || status === "0") return false;
    const found = findTrailerError(trailer);
    if (found === undefined || call.hasOwnError || found.details.length > 0) plainMessage(trailer);
    else setStatus(trailer, this.#errors.encode(this.#explain(call, found)));
    return true;
  }

  /** Gives an outcome to a call that was refused by its status alone: no error is encoded in it. */
  completeStatus(call: Call, status: number): void {
    if (status >= HTTP_ERROR_MIN && call.outcome === undefined) call.failed(statusError(status));
  }

  #completeUnary(call: Call, answer: UniversalServerResponse, piece: Uint8Array): Uint8Array {
    if (answer.header?.has("content-encoding") === true) return piece;
    const found = parseUnaryError(piece);
    if (found === undefined || call.hasOwnError || found.details.length > 0) return piece;
    const error = this.#errors.encode(this.#explain(call, found));
    const bytes = errorToJsonBytes(error, JSON_OPTIONS);
    answer.status = codeToHttpStatus(error.code);
    answer.header?.set("content-length", `${bytes.byteLength}`);
    return bytes;
  }

  #completeEndStream(call: Call, piece: Uint8Array): Uint8Array {
    const flags = piece[0] ?? 0;
    if ((flags & endStreamFlag) === 0 || (flags & COMPRESSED_FLAG) !== 0) return piece;
    const serialization = createEndStreamSerialization(JSON_OPTIONS);
    const end = serialization.parse(piece.subarray(ENVELOPE_HEADER_BYTES));
    if (end.error === undefined || call.hasOwnError || end.error.details.length > 0) return piece;
    const error = this.#errors.encode(this.#explain(call, end.error));
    return encodeEnvelope(flags, serialization.serialize({ metadata: end.metadata, error }));
  }

  #completeWebTrailer(call: Call, piece: Uint8Array): Uint8Array {
    const flags = piece[0] ?? 0;
    if ((flags & trailerFlag) === 0 || (flags & COMPRESSED_FLAG) !== 0) return piece;
    const trailer = trailerParse(piece.subarray(ENVELOPE_HEADER_BYTES));
    if (!this.completeTrailer(call, trailer)) return piece;
    return encodeEnvelope(flags, trailerSerialize(trailer));
  }

  #explain(call: Call, found: ConnectError): ProglogError {
    const error = this.#toProglogError(call, found);
    call.failed(error);
    return error;
  }

  #toProglogError(call: Call, found: ConnectError): ProglogError {
    const { code, rawMessage } = found;
    if (call.reason !== undefined) return call.reason;
    if (code === Code.ResourceExhausted) return tooLargeError(this.#requestBytesMax);
    if (code === Code.Unimplemented) return new ProglogError("UNIMPLEMENTED", rawMessage);
    if (code === Code.InvalidArgument || UNREADABLE.test(rawMessage)) {
      return unreadableError(rawMessage);
    }
    if (rawMessage.startsWith(NO_COMPRESSION)) return compressedError(this.#errors, call);
    return this.#errors.toProglogError(found, call.method);
  }
}

/** @param requestBytesMax what a message may have */
export function tooLargeError(requestBytesMax: number): ProglogError {
  return new ProglogError(
    "REQUEST_TOO_LARGE",
    `Cannot read the request: a message is larger than ${requestBytesMax} bytes, the most it may have`,
    { metadata: { requestBytesMax: `${requestBytesMax}` } },
  );
}

/** A message is compressed in a request that names no compression. */
export function compressedError(errors: ErrorMap, call: Call): ProglogError {
  const message = "Cannot read the request: a message is compressed, and no header says how it is";
  return errors.clientInternal(message, call.method);
}

/** What `status` says of a request for a method that is here. */
function statusError(status: number): ProglogError {
  if (status === 415) {
    return fieldError("content-type", "the method does not take this media type");
  }
  return new ProglogError(
    "UNIMPLEMENTED",
    `The method cannot be called so: refused with HTTP status ${status}`,
    { metadata: { httpStatus: `${status}` } },
  );
}

function parseUnaryError(bytes: Uint8Array): ConnectError | undefined {
  const none = new ConnectError("");
  try {
    return errorFromJsonBytes(bytes, undefined, none);
  } catch {
    return undefined;
  }
}

/** protobuf-es says this of JSON fields that a message does not have. */
const UNKNOWN_KEY = /key "([^"]*)" is unknown/;

/** @param message in the library's words */
export function unreadableError(message: string): ProglogError {
  const unknown = UNKNOWN_KEY.exec(message)?.[1];
  if (unknown !== undefined) return unknownFieldError(unknown);
  return new ProglogError("MESSAGE_INVALID", `Cannot read the request: ${message}`);
}

/** @param field name in JSON, number in binary: nothing more is known of it */
export function unknownFieldError(field: string): ProglogError {
  return new ProglogError(
    "FIELD_UNKNOWN",
    `Cannot take the request: this server does not know its field "${field}", which could be a condition`,
    { metadata: { field } },
  );
}
