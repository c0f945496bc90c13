import { varintSize, writeU32 } from "../../base/bytes.ts";
import { socketBytes } from "../../platform/socket-bytes.ts";
import { sizeOfLength, writeSmall } from "../hot/wire-writer.ts";

/** Bytes from here on go out as they are; fewer are copied, so that fewer pieces are written. */
export const SPLICED_BYTES_MIN = 16 * 1024;

/** Bytes of a varint field, which is not written for 0. */
export function numberBytes(value: number): number {
  if (value === 0) return 0;
  return 1 + (value < 2 ** 32 ? sizeOfLength(value) : varintSize(value));
}

/** Bytes of a field with a length, and a number below 16. */
export function fieldBytes(length: number): number {
  return 1 + sizeOfLength(length) + length;
}

/** Writes into one piece of memory, and around what goes out as it is. */
export class PieceWriter {
  readonly room: Uint8Array;
  at = 0;
  readonly #pieces: Uint8Array[] = [];
  #start = 0;

  /** @param byteLength exactly what will be written, without what is spliced in */
  constructor(byteLength: number) {
    this.room = socketBytes(byteLength);
  }

  tag(tag: number, length: number): void {
    this.room[this.at] = tag;
    this.at = writeSmall(this.room, this.at + 1, length);
  }

  fixed32(value: number): void {
    writeU32(this.room, this.at, value);
    this.at += 4;
  }

  put(bytes: Uint8Array): void {
    this.room.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Copies `bytes` when they are few; else they become a piece. */
  putOrSplice(bytes: Uint8Array): void {
    if (bytes.length < SPLICED_BYTES_MIN) {
      this.put(bytes);
      return;
    }
    this.#cut();
    this.#pieces.push(bytes);
  }

  finish(): Uint8Array[] {
    this.#cut();
    return this.#pieces;
  }

  #cut(): void {
    if (this.at > this.#start) this.#pieces.push(this.room.subarray(this.#start, this.at));
    this.#start = this.at;
  }
}
