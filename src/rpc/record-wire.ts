import { varintSize, writeVarint } from "../base/bytes.ts";
import { ProglogError } from "../base/errors.ts";

/**
 * `proglog.v1.Record` as bytes. Binary calls pass records from the client to the
 * disk and back without decoding them; what is checked here is what every decoder,
 * in any language, must be able to read later.
 *
 *     Record  1 key bytes, 2 value bytes, 3 headers (1 name string, 2 value bytes),
 *             4 client_time_unix_us varint; other numbers: kept as they are
 *
 * Every record of every batch comes through here, so nothing is made for a field:
 * what is found beside the place where a field ends stands in {@link found}.
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

/** What the last reading found: the value of a tag or length; where a field's content begins. */
const found = { value: 0, start: 0 };

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
  const fault = findRecordFault(bytes, 0, bytes.length);
  if (fault !== undefined) throw recordInvalid(recordNumber, fault);
}

/** The error of {@link validateRecord} for a fault that {@link findRecordFault} has found. */
export function recordInvalid(recordNumber: number, fault: string): ProglogError {
  return new ProglogError(
    "RECORD_INVALID",
    `Cannot append record ${recordNumber}: ${fault}, must be a valid proglog.v1.Record`,
    { metadata: { recordNumber: `${recordNumber}`, fault } },
  );
}

/** What is wrong with the record in [start, end), a noun phrase; undefined when it is valid. */
export function findRecordFault(bytes: Uint8Array, start: number, end: number): string | undefined {
  // Nearly all there is: a value of less than 128 bytes, and nothing else.
  if (bytes[start] === VALUE_TAG && bytes[start + 1] === end - start - 2 && end - start < 130) {
    return undefined;
  }
  return findFault(bytes, start, end, "record");
}

/** The `value` of a valid record: the last one, as every decoder takes it. */
export function valueOfRecord(bytes: Uint8Array): Uint8Array {
  let start = 0;
  let end = 0;
  eachField(bytes, (tag, from, to) => {
    if (tag !== VALUE_TAG) return;
    start = from;
    end = to;
  });
  return bytes.subarray(start, end);
}

/** How many headers a valid record has. */
export function headerCountOf(bytes: Uint8Array): number {
  let count = 0;
  eachField(bytes, (tag) => {
    if (tag === HEADER_TAG) count += 1;
  });
  return count;
}

/** A record that has nothing but a value. */
export function recordOfValue(value: Uint8Array): Uint8Array {
  if (value.length === 0) return value;
  const bytes = new Uint8Array(1 + varintSize(value.length) + value.length);
  bytes[0] = VALUE_TAG;
  bytes.set(value, writeVarint(bytes, 1, value.length));
  return bytes;
}

const VALUE_TAG = (2 << 3) | LENGTH_DELIMITED;
const HEADER_TAG = (3 << 3) | LENGTH_DELIMITED;

function eachField(
  bytes: Uint8Array,
  visit: (tag: number, start: number, end: number) => void,
): void {
  for (let at = 0; at < bytes.length; ) {
    const content = readSmall(bytes, at, bytes.length);
    const tag = found.value;
    at = content < 0 ? -1 : skipField(bytes, content, bytes.length, tag & 7);
    if (at < 0) return; // not a valid record: what reads it says so
    visit(tag, found.start, at);
  }
}

/** What is wrong with the message in [start, end), a noun phrase; undefined when it is valid. */
function findFault(
  bytes: Uint8Array,
  start: number,
  end: number,
  kind: "record" | "header",
): string | undefined {
  for (let at = start; at < end; ) {
    const content = readSmall(bytes, at, end);
    if (content < 0 || content - at > TAG_BYTES_MAX) return "it has a broken field tag";
    const number = Math.floor(found.value / 8);
    const wireType = found.value % 8;
    if (number < 1 || number > FIELD_NUMBER_MAX) return "it has an impossible field number";
    if ((wireTypeOf(kind, number) ?? wireType) !== wireType) {
      return `field ${number} of a ${kind} has the wrong type`;
    }
    at = skipField(bytes, content, end, wireType);
    if (at < 0) return `field ${number} of a ${kind} is broken or cut off`;
    const fault = findFaultInside(bytes, at, kind, number);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Wire types of the known fields; undefined for those that this server does not know. */
function wireTypeOf(kind: "record" | "header", number: number): number | undefined {
  if (kind === "header") return number <= 2 ? LENGTH_DELIMITED : undefined;
  if (number === 4) return VARINT;
  return number < 4 ? LENGTH_DELIMITED : undefined;
}

/** The same for the content of the field that was found last and ends at `end`. */
function findFaultInside(
  bytes: Uint8Array,
  end: number,
  kind: "record" | "header",
  number: number,
): string | undefined {
  if (kind === "record" && number === 3) return findFault(bytes, found.start, end, "header");
  if (kind === "header" && number === 1) return findNameFault(bytes, found.start, end);
  return undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function findNameFault(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (startsWithReserved(bytes, start, end)) {
    return `a header name begins with "${RESERVED_HEADER_PREFIX}"`;
  }
  let at = start;
  while (at < end && (bytes[at] ?? 0) < 128) at += 1;
  if (at === end) return undefined; // ASCII, as nearly all are
  try {
    decoder.decode(bytes.subarray(start, end));
    return undefined;
  } catch {
    return "a header name is not valid UTF-8";
  }
}

function startsWithReserved(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < RESERVED_HEADER_PREFIX.length) return false;
  for (let at = 0; at < RESERVED_HEADER_PREFIX.length; at += 1) {
    if (bytes[start + at] !== RESERVED_HEADER_PREFIX.charCodeAt(at)) return false;
  }
  return true;
}

/** Sets `found.start`. @returns the place after the field whose tag ended at `at`; -1 when it is broken */
function skipField(bytes: Uint8Array, at: number, end: number, wireType: number): number {
  let start = at;
  let next = -1; // of groups, and of what no one has defined
  if (wireType === LENGTH_DELIMITED) {
    start = readSmall(bytes, at, end);
    if (start >= 0 && found.value <= end - start) next = start + found.value;
  } else if (wireType === VARINT) next = skipVarint(bytes, at, end);
  else if (wireType === FIXED64) next = at + 8;
  else if (wireType === FIXED32) next = at + 4;
  found.start = start;
  return next > end ? -1 : next;
}

/** @returns the place after the varint at `at`, or -1 when it is not one of 64 bits. */
function skipVarint(bytes: Uint8Array, at: number, end: number): number {
  for (let next = at; next < end && next < at + VARINT_BYTES_MAX; next += 1) {
    const byte = bytes[next] ?? 0;
    if (byte < 128) return next === at + VARINT_BYTES_MAX - 1 && byte > 1 ? -1 : next + 1;
  }
  return -1;
}

/**
 * Reads a tag or length into `found.value`; one of 2^32 or more is as good as any that is too large.
 * @returns the place after it, or -1
 */
function readSmall(bytes: Uint8Array, at: number, end: number): number {
  const next = skipVarint(bytes, at, end);
  let value = 0;
  for (let place = next - 1; place >= at; place -= 1) {
    value = value * 128 + ((bytes[place] ?? 0) & 127);
  }
  found.value = value;
  return next;
}
