import { EMPTY_BYTES } from "../base/bytes.ts";

/** Room that is made at first: most of what comes in pieces is small. */
const ROOM_BYTES_MIN = 512;

/**
 * Bytes that come in pieces, copied together as they come. A piece kept as it came
 * costs some hundred bytes on top of its own, and may hold all that was read along
 * with it: who sends a byte at a time would be counted for a hundredth of its cost.
 */
export class GatheredBytes {
  #room: Uint8Array = EMPTY_BYTES;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A view of what has come so far. */
  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.#length);
  }

  /** @param bytesMax what it may come to: no room is made for more, unless `piece` needs it */
  add(piece: Uint8Array, bytesMax: number): void {
    const length = this.#length + piece.length;
    if (length > this.#room.length) {
      const wanted = Math.min(Math.max(2 * length, ROOM_BYTES_MIN), bytesMax);
      const room = new Uint8Array(Math.max(length, wanted));
      room.set(this.bytes);
      this.#room = room;
    }
    this.#room.set(piece, this.#length);
    this.#length = length;
  }

  /** What has come, which is the caller's from now on; begins anew. */
  take(): Uint8Array {
    const { bytes } = this;
    this.#room = EMPTY_BYTES;
    this.#length = 0;
    return bytes;
  }
}
