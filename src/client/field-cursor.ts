import { MalformedBytesError } from "../base/bytes.ts";

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_SIZED = 2;
const WIRE_FIXED32 = 5;

/** Bytes of the longest varint, one of 64 bits. */
const VARINT_BYTES_MAX = 10;

/**
 * Walks the fields of a protobuf message without making anything of them. One
 * cursor serves many messages.
 */
export class FieldCursor {
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #limit = 0;
  /** Field number and wire type, as they stand on the wire. */
  tag = 0;
  /** Where the field's content lies; of a sized field without its length. */
  start = 0;
  end = 0;

  reset(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#bytes = bytes;
    this.#at = start;
    this.#limit = end;
  }

  /** Goes to the next field; false at the end. @throws {MalformedBytesError} */
  next(): boolean {
    if (this.#at >= this.#limit) return false;
    this.tag = this.#varint();
    this.start = this.#at;
    switch (this.tag & 7) {
      case WIRE_VARINT:
        this.#skipVarint();
        break;
      case WIRE_SIZED: {
        const size = this.#varint();
        this.start = this.#at;
        this.#at += size;
        break;
      }
      case WIRE_FIXED64:
        this.#at += 8;
        break;
      case WIRE_FIXED32:
        this.#at += 4;
        break;
      default:
        throw new MalformedBytesError(`A field has the unknown wire type ${this.tag & 7}`);
    }
    if (this.#at > this.#limit) throw new MalformedBytesError("A field ends beyond its message");
    this.end = this.#at;
    return true;
  }

  /** The field as an integer of 0 or more. @throws {MalformedBytesError} above 2^53-1. */
  safeInteger(): number {
    let value = 0;
    let scale = 1;
    for (let at = this.start; at < this.end; at += 1) {
      value += ((this.#bytes[at] ?? 0) & 127) * scale;
      scale *= 128;
    }
    if (!Number.isSafeInteger(value)) throw new MalformedBytesError("A number is above 2^53-1");
    return value;
  }

  /** The field as a signed integer of 64 bits. */
  int64(): bigint {
    let value = 0n;
    for (let at = this.start; at < this.end; at += 1) {
      value |= BigInt((this.#bytes[at] ?? 0) & 127) << BigInt(7 * (at - this.start));
    }
    return BigInt.asIntN(64, value);
  }

  /** A tag or a length: small. */
  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES_MAX && this.#at < this.#limit; count += 1) {
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new MalformedBytesError("A number has no end");
  }

  #skipVarint(): void {
    for (let count = 0; count < VARINT_BYTES_MAX && this.#at < this.#limit; count += 1) {
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      if (byte < 128) return;
    }
    throw new MalformedBytesError("A number has no end");
  }
}
