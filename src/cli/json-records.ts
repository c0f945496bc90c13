import type { HeaderParts, RecordMeta } from "../client/record-parts.ts";
import { didYouMean } from "../server/suggest.ts";

/** A line of `--input json` that is no record. The message does not say which line. */
export class JsonRecordError extends Error {
  override readonly name = "JsonRecordError";
}

export interface JsonRecord extends RecordMeta {
  readonly value: Uint8Array;
}

const RECORD_KEYS = ["key", "keyBase64", "value", "valueBase64", "headers", "clientTimeUnixUs"];
/** What `consume --format json` also prints, and the server gives anew. */
const IGNORED_KEYS = ["offset", "time"];
const HEADER_KEYS = ["name", "value", "valueBase64"];

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

const EMPTY = new Uint8Array(0);

/**
 * Reads one line:
 *
 *     {"key":"k","value":"v","headers":[{"name":"n","value":"v"}]}
 *
 * `keyBase64` and `valueBase64` stand for bytes that are no UTF-8.
 *
 * @throws {JsonRecordError}
 */
export function parseJsonRecord(line: Uint8Array): JsonRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
  } catch {
    throw new JsonRecordError("it is not valid JSON");
  }
  const fields = toObject(parsed, "a record");
  checkKeys(fields, [...RECORD_KEYS, ...IGNORED_KEYS]);
  const clientTimeUs = readClientTime(fields["clientTimeUnixUs"]);
  return {
    key: readBytes(fields, "key"),
    value: readBytes(fields, "value"),
    headers: readHeaders(fields["headers"]),
    ...(clientTimeUs === undefined ? {} : { clientTimeUs }),
  };
}

function readHeaders(value: unknown): readonly HeaderParts[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new JsonRecordError('"headers" is not a list');
  return value.map((item) => {
    const fields = toObject(item, "a header");
    checkKeys(fields, HEADER_KEYS);
    const { name } = fields;
    if (typeof name !== "string") throw new JsonRecordError('"name" of a header is not text');
    return { name: wellFormed(name, "name"), value: readBytes(fields, "value") };
  });
}

function readBytes(fields: Readonly<Record<string, unknown>>, name: string): Uint8Array {
  const text = fields[name];
  const base64 = fields[`${name}Base64`];
  if (text !== undefined && base64 !== undefined) {
    throw new JsonRecordError(`it has both "${name}" and "${name}Base64"`);
  }
  if (typeof text === "string") return Buffer.from(wellFormed(text, name));
  if (text !== undefined) throw new JsonRecordError(`"${name}" is not text`);
  if (base64 === undefined) return EMPTY;
  if (typeof base64 !== "string" || !isBase64(base64)) {
    throw new JsonRecordError(`"${name}Base64" is not base64`);
  }
  return Buffer.from(base64, "base64");
}

/** Half a surrogate pair has no UTF-8: it would become U+FFFD silently. */
function wellFormed(text: string, name: string): string {
  if (!/\p{Surrogate}/u.test(text)) return text;
  throw new JsonRecordError(`"${name}" has half a surrogate pair, which is no character`);
}

/** Standard alphabet, padding optional: `Buffer` would skip everything else silently. */
function isBase64(text: string): boolean {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.replace(/=+$/, "").length % 4 !== 1;
}

function readClientTime(value: unknown): bigint | undefined {
  if (value === undefined) return undefined;
  const isWhole = Number.isSafeInteger(value) || /^-?\d{1,19}$/.test(String(value));
  const number = isWhole ? BigInt(value as string | number) : INT64_MAX + 1n;
  if (number < INT64_MIN || number > INT64_MAX) {
    throw new JsonRecordError('"clientTimeUnixUs" is not a whole number of 64 bits');
  }
  return number;
}

function toObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new JsonRecordError(`${what} is not an object`);
}

/** A slip such as `vaule` would otherwise append empty records. */
function checkKeys(fields: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const unknown = Object.keys(fields).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new JsonRecordError(`"${unknown}" is not a known key${didYouMean(unknown, known)}`);
  }
}
