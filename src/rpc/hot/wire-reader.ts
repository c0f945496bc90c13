import { EMPTY_BYTES } from "../../base/bytes.ts";
import { malformed } from "./decode-request.ts";

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;

/** Bytes of a varint that protobuf-es reads, at most; of those of 32 bits it takes five. */
const VARINT_BYTES_MAX = 10;
const TAG_BYTES_MAX = 5;

/** Two to the power of 53, in units of 2^32. */
const HIGH_OF_SAFE_MAX = 2 ** 21;

/**
 * Reads a protobuf message field by field and makes nothing for it. Takes and
 * refuses what `BinaryReader` of protobuf-es does, in its words, so that a call is
 * answered the same on either way in: bounds are those of the whole message, not of
 * a field inside it, lengths drop what is above 32 bits, and so on.
 * @throws MESSAGE_INVALID
 */
export class WireReader {
  bytes: Uint8Array = EMPTY_BYTES;
  /** The place where the next reading begins. */
  at = 0;
  /** Of the last {@link readTag}. */
  number = 0;
  wireType = 0;

  open(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.at = 0;
  }

  readTag(): void {
    const start = this.at;
    const tag = this.readUint32();
    const size = this.at - start;
    if (size > TAG_BYTES_MAX || (size === TAG_BYTES_MAX && (this.bytes[this.at - 1] ?? 0) > 15)) {
      throw malformed("illegal tag: varint overflows uint32");
    }
    this.number = tag >>> 3;
    this.wireType = tag & 7;
    if (this.number === 0 || this.wireType > FIXED32) {
      throw malformed(`illegal tag: field no ${this.number} wire type ${this.wireType}`);
    }
  }

  readUint32(): number {
    const { bytes } = this;
    let value = 0;
    for (let size = 0; size < VARINT_BYTES_MAX; size += 1) {
      const byte = bytes[this.at];
      if (byte === undefined) throw malformed("premature EOF");
      this.at += 1;
      if (size < TAG_BYTES_MAX) value |= (byte & 127) << (7 * size);
      if (byte < 128) return value >>> 0;
    }
    throw malformed("invalid varint");
  }

  /** A number when it is a safe integer. */
  readUint64(): number | bigint {
    const { bytes } = this;
    let low = 0;
    let high = 0;
    for (let size = 0; size < VARINT_BYTES_MAX; size += 1) {
      const byte = bytes[this.at];
      if (byte === undefined) throw malformed("premature EOF");
      this.at += 1;
      if (size < TAG_BYTES_MAX) low |= (byte & 127) << (7 * size);
      if (size === TAG_BYTES_MAX - 1) high = (byte & 127) >> 4;
      if (size >= TAG_BYTES_MAX) high |= (byte & 127) << (7 * size - 32);
      if (byte < 128) return toNumber(low >>> 0, high >>> 0);
    }
    throw malformed("invalid varint");
  }

  readSafeInteger(): number {
    const value = this.readUint64();
    if (typeof value !== "number") throw malformed("a number is above 2^53-1");
    return value;
  }

  /** Goes to the content of a field with a length. @returns the place where it ends */
  enterSized(): number {
    const length = this.readUint32();
    const end = this.at + length;
    if (end > this.bytes.length) throw malformed("premature EOF");
    return end;
  }

  /** Goes past the field whose tag was read. @param depth of groups that there may be inside it */
  skip(depth: number): void {
    const { wireType } = this;
    if (wireType === VARINT) while ((this.bytes[this.at++] ?? 0) > 127);
    else if (wireType === FIXED64) this.at += 8;
    else if (wireType === FIXED32) this.at += 4;
    else if (wireType === LENGTH_DELIMITED) this.at = this.enterSized();
    else if (wireType === START_GROUP) this.#skipGroup(depth);
    else throw malformed(`cant skip wire type ${wireType}`);
    if (this.at > this.bytes.length) throw malformed("premature EOF");
  }

  #skipGroup(depth: number): void {
    if (depth <= 0) throw malformed("maximum recursion depth reached");
    const { number } = this;
    for (;;) {
      this.readTag();
      if (this.wireType === END_GROUP) break;
      this.skip(depth - 1);
    }
    if (this.number !== number) throw malformed("invalid end group tag");
  }
}

function toNumber(low: number, high: number): number | bigint {
  if (high < HIGH_OF_SAFE_MAX) return high * 2 ** 32 + low;
  return (BigInt(high) << 32n) | BigInt(low);
}
