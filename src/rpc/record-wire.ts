import { varintSize, writeVarint } from "../base/bytes.ts";
import { ProglogError } from "../base/errors.ts";
import type { StoredRecord } from "../topics/topics.ts";

/**
 * `proglog.v1.Record` and `ConsumedRecord` as bytes. Hot calls pass records from
 * the client to the disk and back without decoding them; what is checked here is
 * what every decoder, in any language, must be able to read later.
 *
 *     Record          1 key bytes, 2 value bytes, 3 headers (1 name string, 2 value bytes),
 *                     4 client_time_unix_us varint; other numbers: kept as they are
 *     ConsumedRecord  1 offset varint, 2 append_time_unix_us varint, 3 record
 */

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** A varint of 64 bits: 9 bytes of 7 bits, and one bit in the tenth. */
const VARINT_BYTES_MAX = 10;
/** A tag is a varint of 32 bits. */
const TAG_BYTES_MAX = 5;
const FIELD_NUMBER_MAX = 2 ** 29 - 1;

/** Header names that begin so are the server's. */
const RESERVED_HEADER_PREFIX = "proglog-";

/**
 * Checks that `bytes` is a whole, well-formed `proglog.v1.Record`.
 *
 * Stricter than most decoders where these differ: fields of a known number must
 * have their wire type, nested lengths must end where their parent says, groups
 * are refused, also inside fields that this server does not know.
 *
 * @param recordNumber its place in the batch, from 0, for the error
 * @throws RECORD_INVALID
 */
export function validateRecord(bytes: Uint8Array, recordNumber: number): void {
  const fault = findFault(bytes, 0, bytes.length, "record");
  if (fault === undefined) return;
  throw new ProglogError(
    "RECORD_INVALID",
    `Cannot append record ${recordNumber}: ${fault}, must be a valid proglog.v1.Record`,
    { metadata: { recordNumber: `${recordNumber}`, fault } },
  );
}

/** The `value` of a valid record: the last one, as every decoder takes it. */
export function valueOfRecord(bytes: Uint8Array): Uint8Array {
  let value = bytes.subarray(0, 0);
  eachField(bytes, (tag, { start, next }) => {
    if (tag === VALUE_TAG) value = bytes.subarray(start, next);
  });
  return value;
}

/** How many headers a valid record has. */
export function headerCountOf(bytes: Uint8Array): number {
  let count = 0;
  eachField(bytes, (tag) => {
    if (tag === HEADER_TAG) count += 1;
  });
  return count;
}

const VALUE_TAG = (2 << 3) | LENGTH_DELIMITED;
const HEADER_TAG = (3 << 3) | LENGTH_DELIMITED;

function eachField(bytes: Uint8Array, visit: (tag: number, field: Field) => void): void {
  for (let at = 0; at < bytes.length; ) {
    const tag = readSmall(bytes, at, bytes.length);
    const field = skipField(bytes, tag.next, bytes.length, tag.value & 7);
    if (field.next < 0) return; // not a valid record: what reads it says so
    visit(tag.value, field);
    at = field.next;
  }
}

/** A record that has nothing but a value. */
export function recordOfValue(value: Uint8Array): Uint8Array {
  if (value.length === 0) return value;
  const bytes = new Uint8Array(1 + varintSize(value.length) + value.length);
  bytes[0] = VALUE_TAG;
  bytes.set(value, writeVarint(bytes, 1, value.length));
  return bytes;
}

/** Bytes that a record takes in an answer: as `repeated ConsumedRecord`, tag and length included. */
export function consumedSize(record: StoredRecord): number {
  const size = consumedBodySize(record);
  return 1 + varintSize(size) + size;
}

function consumedBodySize({ offset, appendTimeUs, body }: StoredRecord): number {
  const recordBytes = 1 + varintSize(body.length) + body.length;
  return varintFieldSize(offset) + varintFieldSize(appendTimeUs) + recordBytes;
}

/** A varint field with a number below 16; 0 is the default and takes nothing. */
function varintFieldSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value);
}

/** Wraps stored records as `ConsumedRecord` messages: one allocation, one copy of each body. */
export function assembleConsumed(records: readonly StoredRecord[]): Uint8Array[] {
  let size = 0;
  for (const record of records) size += consumedBodySize(record);
  const bytes = new Uint8Array(size);
  let at = 0;
  return records.map((record) => {
    const start = at;
    at = writeConsumed(bytes, start, record);
    return bytes.subarray(start, at);
  });
}

function writeConsumed(target: Uint8Array, start: number, record: StoredRecord): number {
  let at = writeVarintField(target, start, 1, record.offset);
  at = writeVarintField(target, at, 2, record.appendTimeUs);
  target[at] = (3 << 3) | LENGTH_DELIMITED;
  at = writeVarint(target, at + 1, record.body.length);
  target.set(record.body, at);
  return at + record.body.length;
}

function writeVarintField(target: Uint8Array, at: number, number: number, value: number): number {
  if (value === 0) return at;
  target[at] = (number << 3) | VARINT;
  return writeVarint(target, at + 1, value);
}

/** What is wrong with the message in [at, end), a noun phrase; undefined when it is valid. */
function findFault(
  bytes: Uint8Array,
  start: number,
  end: number,
  kind: "record" | "header",
): string | undefined {
  for (let at = start; at < end; ) {
    const tag = readSmall(bytes, at, end);
    if (tag.next < 0 || tag.next - at > TAG_BYTES_MAX) return "it has a broken field tag";
    const number = Math.floor(tag.value / 8);
    const wireType = tag.value % 8;
    if (number < 1 || number > FIELD_NUMBER_MAX) return "it has an impossible field number";
    if ((wireTypeOf(kind, number) ?? wireType) !== wireType) {
      return `field ${number} of a ${kind} has the wrong type`;
    }
    const field = skipField(bytes, tag.next, end, wireType);
    if (field.next < 0) return `field ${number} of a ${kind} is broken or cut off`;
    const fault = findFaultInside(bytes, field, kind, number);
    if (fault !== undefined) return fault;
    at = field.next;
  }
  return undefined;
}

/** Wire types of the known fields; undefined for those that this server does not know. */
function wireTypeOf(kind: "record" | "header", number: number): number | undefined {
  if (kind === "header") return number <= 2 ? LENGTH_DELIMITED : undefined;
  if (number === 4) return VARINT;
  return number < 4 ? LENGTH_DELIMITED : undefined;
}

function findFaultInside(
  bytes: Uint8Array,
  field: Field,
  kind: "record" | "header",
  number: number,
): string | undefined {
  if (kind === "record" && number === 3) return findFault(bytes, field.start, field.next, "header");
  if (kind === "header" && number === 1) return findNameFault(bytes, field);
  return undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function findNameFault(bytes: Uint8Array, field: Field): string | undefined {
  if (startsWithReserved(bytes, field)) {
    return `a header name begins with "${RESERVED_HEADER_PREFIX}"`;
  }
  let at = field.start;
  while (at < field.next && (bytes[at] ?? 0) < 128) at += 1;
  if (at === field.next) return undefined; // ASCII, as nearly all are
  try {
    decoder.decode(bytes.subarray(field.start, field.next));
    return undefined;
  } catch {
    return "a header name is not valid UTF-8";
  }
}

function startsWithReserved(bytes: Uint8Array, { start, next }: Field): boolean {
  if (next - start < RESERVED_HEADER_PREFIX.length) return false;
  for (let at = 0; at < RESERVED_HEADER_PREFIX.length; at += 1) {
    if (bytes[start + at] !== RESERVED_HEADER_PREFIX.charCodeAt(at)) return false;
  }
  return true;
}

/** Where the content of a field begins and where the next field does; `next` is -1 when it is broken. */
interface Field {
  start: number;
  next: number;
}

const BROKEN: Field = { start: -1, next: -1 };

function skipField(bytes: Uint8Array, at: number, end: number, wireType: number): Field {
  if (wireType === VARINT) return { start: at, next: skipVarint(bytes, at, end) };
  if (wireType === FIXED64) return fixed(at, 8, end);
  if (wireType === FIXED32) return fixed(at, 4, end);
  if (wireType !== LENGTH_DELIMITED) return BROKEN; // groups, and what no one has defined
  const length = readSmall(bytes, at, end);
  if (length.next < 0 || length.value > end - length.next) return BROKEN;
  return { start: length.next, next: length.next + length.value };
}

function fixed(at: number, size: number, end: number): Field {
  return at + size > end ? BROKEN : { start: at, next: at + size };
}

/** @returns the place after the varint at `at`, or -1 when it is not one of 64 bits. */
function skipVarint(bytes: Uint8Array, at: number, end: number): number {
  for (let next = at; next < end && next < at + VARINT_BYTES_MAX; next += 1) {
    const byte = bytes[next] ?? 0;
    if (byte < 128) return next === at + VARINT_BYTES_MAX - 1 && byte > 1 ? -1 : next + 1;
  }
  return -1;
}

/** Reads a tag or length; a value of 2^32 or more is as good as any that is too large. */
function readSmall(bytes: Uint8Array, at: number, end: number): { value: number; next: number } {
  const next = skipVarint(bytes, at, end);
  let value = 0;
  for (let place = next - 1; place >= at; place -= 1)
    value = value * 128 + ((bytes[place] ?? 0) & 127);
  return { value, next };
}
