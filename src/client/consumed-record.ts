import { FieldCursor } from "./field-cursor.ts";
import { type HeaderParts, TAG } from "./record-parts.ts";

/** ConsumedRecord's fields. */
const OFFSET_TAG = 0x08;
const APPEND_TIME_TAG = 0x10;
const RECORD_TAG = 0x1a;

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * One record as it came, its parts as places in `bytes`. One object is filled
 * again and again: take from it what is to be kept.
 */
export class ConsumedRecord {
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  /** Microseconds since 1970. */
  appendTimeUs = 0;
  keyStart = 0;
  keyEnd = 0;
  valueStart = 0;
  valueEnd = 0;
  #recordStart = 0;
  #recordEnd = 0;
  readonly #cursor = new FieldCursor();

  /**
   * Fills this from the ConsumedRecord message in `bytes[start, end)`.
   * @throws {MalformedBytesError} when it is none.
   */
  decode(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.offset = 0;
    this.appendTimeUs = 0;
    this.#recordStart = 0;
    this.#recordEnd = 0;
    const cursor = this.#cursor;
    cursor.reset(bytes, start, end);
    while (cursor.next()) {
      if (cursor.tag === OFFSET_TAG) this.offset = cursor.safeInteger();
      else if (cursor.tag === APPEND_TIME_TAG) this.appendTimeUs = cursor.safeInteger();
      else if (cursor.tag === RECORD_TAG) {
        this.#recordStart = cursor.start;
        this.#recordEnd = cursor.end;
      }
    }
    this.#findKeyAndValue();
  }

  get key(): Uint8Array {
    return this.bytes.subarray(this.keyStart, this.keyEnd);
  }

  get value(): Uint8Array {
    return this.bytes.subarray(this.valueStart, this.valueEnd);
  }

  /** Decoded anew each time. */
  headers(): HeaderParts[] {
    const headers: HeaderParts[] = [];
    const cursor = this.#recordCursor();
    while (cursor.next()) {
      if (cursor.tag === TAG.header) headers.push(decodeHeader(this.bytes, cursor));
    }
    return headers;
  }

  /** The producer's own time, microseconds since 1970; undefined when it gave none. */
  clientTimeUs(): bigint | undefined {
    let found: bigint | undefined;
    const cursor = this.#recordCursor();
    while (cursor.next()) if (cursor.tag === TAG.clientTime) found = cursor.int64();
    return found;
  }

  #findKeyAndValue(): void {
    this.keyStart = 0;
    this.keyEnd = 0;
    this.valueStart = 0;
    this.valueEnd = 0;
    const cursor = this.#recordCursor();
    while (cursor.next()) {
      if (cursor.tag === TAG.value) {
        this.valueStart = cursor.start;
        this.valueEnd = cursor.end;
      } else if (cursor.tag === TAG.key) {
        this.keyStart = cursor.start;
        this.keyEnd = cursor.end;
      }
    }
  }

  #recordCursor(): FieldCursor {
    this.#cursor.reset(this.bytes, this.#recordStart, this.#recordEnd);
    return this.#cursor;
  }
}

function decodeHeader(bytes: Uint8Array, field: FieldCursor): HeaderParts {
  const cursor = new FieldCursor();
  cursor.reset(bytes, field.start, field.end);
  let name = "";
  let value = new Uint8Array(0);
  while (cursor.next()) {
    if (cursor.tag === TAG.headerName) name = UTF8.decode(bytes.subarray(cursor.start, cursor.end));
    else if (cursor.tag === TAG.headerValue) value = bytes.slice(cursor.start, cursor.end);
  }
  return { name, value };
}
