import { assert } from "./assert.ts";

/** The one empty array; do not write to it (there is nothing to write to). */
export const EMPTY_BYTES = new Uint8Array(0);

/** Joins `parts` into one new array. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  const result = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

export function bytesEqual(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let at = 0; at < left.length; at += 1) if (left[at] !== right[at]) return false;
  return true;
}

/** A view of the same memory; cheap, but not free, so hot loops keep theirs. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Reads an unsigned 64-bit little-endian integer as a number.
 *
 * Above 2^53 the result is rounded: check it with `Number.isSafeInteger` (a
 * rounded value never passes, since it is 2^53 or more).
 */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

/** Writes a safe integer, 0 or more, as an unsigned 64-bit little-endian integer. */
export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/**
 * Reads an unsigned 32-bit little-endian integer. Without a DataView: making one costs more than
 * an integer, and its calls are not always compiled away on Bun.
 */
export function readU32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
  return (low | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
}

/** Writes one; of a larger integer the low 32 bits. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Most bytes of a varint that holds a safe integer: 53 bits, 7 a byte. */
export const VARINT_BYTES_MAX = 8;

/** Bytes that `value`, a safe integer of 0 or more, takes as a varint (protobuf's encoding). */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

/** Writes `value`, a safe integer of 0 or more, as a varint. @returns the place after it. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 128) {
    target[next] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
    next += 1;
  }
  target[next] = rest;
  return next + 1;
}

/** What {@link readVarint} found: `next` is the place after it, or -1 when there is no valid varint. */
export interface Varint {
  value: number;
  next: number;
}

/**
 * Reads a varint of at most {@link VARINT_BYTES_MAX} bytes into `result`, which
 * the caller keeps and reuses, so that hot loops allocate nothing.
 */
export function readVarint(source: Uint8Array, at: number, result: Varint): void {
  let value = 0;
  let scale = 1;
  for (let next = at; next < at + VARINT_BYTES_MAX; next += 1) {
    const byte = source[next];
    if (byte === undefined) break;
    value += (byte & 127) * scale;
    if (byte < 128) {
      result.value = value;
      result.next = Number.isSafeInteger(value) ? next + 1 : -1;
      return;
    }
    scale *= 128;
  }
  result.value = 0;
  result.next = -1;
}

/** Grows as it is written. For small things: checkpoints, commands, headers. Not for hot loops. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #size = 0;

  u8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#size] = value;
    this.#size += 1;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    viewOf(this.#bytes).setUint32(this.#size, value, true);
    this.#size += 4;
    return this;
  }

  u64(value: number): this {
    this.#reserve(8);
    writeU64(viewOf(this.#bytes), this.#size, value);
    this.#size += 8;
    return this;
  }

  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, `Cannot write ${value} as a varint`);
    this.#reserve(VARINT_BYTES_MAX);
    this.#size = writeVarint(this.#bytes, this.#size, value);
    return this;
  }

  /** Bytes as they are, without a length. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.length;
    return this;
  }

  /** Length as a varint, then the bytes. */
  sized(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** As {@link sized}, in UTF-8. */
  text(value: string): this {
    return this.sized(new TextEncoder().encode(value));
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  #reserve(count: number): void {
    if (this.#size + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#size + count));
    grown.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = grown;
  }
}

/** Thrown by {@link ByteReader} when bytes end too early or say something impossible. */
export class MalformedBytesError extends Error {
  override readonly name = "MalformedBytesError";
}

/** Reads what {@link ByteWriter} wrote. Throws {@link MalformedBytesError}, never reads beyond the end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): number {
    const value = readU64(this.#view, this.#take(8));
    if (!Number.isSafeInteger(value)) throw new MalformedBytesError("A number is above 2^53-1");
    return value;
  }

  varint(): number {
    const found: Varint = { value: 0, next: -1 };
    readVarint(this.#bytes, this.#at, found);
    if (found.next < 0) throw new MalformedBytesError(`No valid varint at byte ${this.#at}`);
    this.#at = found.next;
    return found.value;
  }

  /** A view, not a copy. */
  raw(count: number): Uint8Array {
    const start = this.#take(count);
    return this.#bytes.subarray(start, start + count);
  }

  /** A varint length, then the bytes. */
  sized(): Uint8Array {
    return this.raw(this.varint());
  }

  text(): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.sized());
    } catch (cause) {
      if (cause instanceof MalformedBytesError) throw cause;
      throw new MalformedBytesError("A text is not valid UTF-8", { cause });
    }
  }

  #take(count: number): number {
    const start = this.#at;
    if (count < 0 || start + count > this.#bytes.length) {
      throw new MalformedBytesError(`Bytes end at ${this.#bytes.length}, needed ${start + count}`);
    }
    this.#at += count;
    return start;
  }
}
