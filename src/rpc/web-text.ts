import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { ProglogError } from "../base/errors.ts";
import type { HttpHeaders } from "../platform/http-options.ts";
import type { Call } from "./call.ts";
import type { ErrorMap } from "./error-map.ts";

// gRPC-Web as text: the frames of gRPC-Web in base64, for scripts that read no bytes
// before the answer has ended. Each piece is base64 by itself, with its padding, so that
// both sides can read it when it comes; a body as a whole is therefore no valid base64.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md, "Text-encoded streams"

const CONTENT_TYPE = "content-type";
/** Media type of the frames as they are, and of their text. */
const WEB_BINARY = "application/grpc-web+proto";
const WEB_TEXT = "application/grpc-web-text+proto";

const WEB_MEDIA_TYPE = /^application\/grpc-web(-text)?(?:\+proto)?\s*(?:;|$)/i;
const ACCEPTS_TEXT = /\bapplication\/grpc-web-text\b/i;
const ACCEPTS_BINARY = /\bapplication\/grpc-web(?!-text)\b/i;

/**
 * Whether an answer is to be text. In gRPC-Web `Accept` decides, when it names one of the
 * two forms; else an answer has the form of its request.
 */
export function wantsWebText(headers: HttpHeaders): boolean {
  const { accept = "" } = headers;
  if (ACCEPTS_TEXT.test(accept)) return WEB_MEDIA_TYPE.test(headers[CONTENT_TYPE] ?? "");
  return isWebText(headers) && !ACCEPTS_BINARY.test(accept);
}

function isWebText(headers: HttpHeaders): boolean {
  return WEB_MEDIA_TYPE.exec(headers[CONTENT_TYPE] ?? "")?.[1] !== undefined;
}

/**
 * The body of a request as bytes: as it is, unless it is text; then `header` says
 * afterwards that it is binary.
 *
 * @param body counts what comes as received by `call`
 */
export function decodeWebText(
  call: Call,
  header: Headers,
  body: AsyncIterableIterator<Uint8Array>,
  errors: ErrorMap,
): AsyncIterableIterator<Uint8Array> {
  if (!isWebText(call.headers)) return body;
  header.set(CONTENT_TYPE, WEB_BINARY);
  return new WebTextBody(body, call, errors);
}

/**
 * How the pieces of `answer` are to be written, undefined when as they are; sets its media type.
 * A refusal by the HTTP status alone has none.
 */
export function encodeWebText(
  call: Call,
  answer: UniversalServerResponse,
): ((piece: Uint8Array) => Uint8Array) | undefined {
  if (answer.header?.has(CONTENT_TYPE) !== true || !wantsWebText(call.headers)) return undefined;
  answer.header.set(CONTENT_TYPE, WEB_TEXT);
  return toBase64;
}

/** The bytes of a body that is text. Fails with MESSAGE_INVALID where it is no base64. */
class WebTextBody implements AsyncIterableIterator<Uint8Array> {
  readonly #source: AsyncIterableIterator<Uint8Array>;
  readonly #call: Call;
  readonly #errors: ErrorMap;
  readonly #decoder = new Base64Decoder();

  constructor(source: AsyncIterableIterator<Uint8Array>, call: Call, errors: ErrorMap) {
    this.#source = source;
    this.#call = call;
    this.#errors = errors;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const piece = await this.#source.next();
    if (piece.done === true) {
      if (this.#decoder.isInGroup) throw this.#invalid("it ends inside a group of four");
      return { done: true, value: undefined };
    }
    const bytes = this.#decoder.decode(piece.value);
    if (bytes === undefined) throw this.#invalid("it is not base64");
    // From here on it is held decoded.
    this.#call.releaseBody(piece.value.byteLength - bytes.byteLength);
    return { done: false, value: bytes };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    await this.#source.return?.();
    return { done: true, value: undefined };
  }

  #invalid(why: string): unknown {
    const error = new ProglogError("MESSAGE_INVALID", `Cannot read the request's text: ${why}`);
    this.#call.failed(error);
    return this.#errors.encode(error);
  }
}

const ALPHABET = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
);
const PADDING = 0x3d; // "="
const NO_SEXTET = 0xff;
const SEXTETS = new Uint8Array(256).fill(NO_SEXTET);
for (const [sextet, character] of ALPHABET.entries()) SEXTETS[character] = sextet;

/** Decodes pieces of base64, cut anywhere; padding may end any group of four characters. */
class Base64Decoder {
  #bits = 0;
  /** Characters of the group under way, and how many of them are padding. */
  #count = 0;
  #padding = 0;

  get isInGroup(): boolean {
    return this.#count > 0;
  }

  /** @returns the bytes of the groups that `text` completes; undefined when it is not base64 */
  decode(text: Uint8Array): Uint8Array | undefined {
    const bytes = new Uint8Array(3 * Math.floor((this.#count + text.length) / 4));
    let length = 0;
    for (const character of text) {
      const sextet = SEXTETS[character] ?? NO_SEXTET;
      if (character === PADDING && this.#count >= 2) this.#padding += 1;
      else if (sextet === NO_SEXTET || this.#padding > 0) return undefined;
      this.#bits = (this.#bits << 6) | (sextet & 0x3f);
      this.#count += 1;
      if (this.#count < 4) continue;
      bytes[length] = this.#bits >>> 16;
      bytes[length + 1] = this.#bits >>> 8;
      bytes[length + 2] = this.#bits;
      length += 3 - this.#padding;
      this.#bits = 0;
      this.#count = 0;
      this.#padding = 0;
    }
    return bytes.subarray(0, length);
  }
}

/** `bytes` as base64, padded, in ASCII. */
function toBase64(bytes: Uint8Array): Uint8Array {
  const text = new Uint8Array(4 * Math.ceil(bytes.length / 3));
  let at = 0;
  for (let from = 0; from < bytes.length; from += 3) {
    const bits =
      ((bytes[from] ?? 0) << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0);
    text[at] = ALPHABET[bits >>> 18] ?? PADDING;
    text[at + 1] = ALPHABET[(bits >>> 12) & 0x3f] ?? PADDING;
    text[at + 2] = ALPHABET[(bits >>> 6) & 0x3f] ?? PADDING;
    text[at + 3] = ALPHABET[bits & 0x3f] ?? PADDING;
    at += 4;
  }
  const paddingCount = (3 - (bytes.length % 3)) % 3;
  text.fill(PADDING, text.length - paddingCount);
  return text;
}
