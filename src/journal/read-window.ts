import type { Position } from "../base/units.ts";

const WINDOW_BYTES = 1024 * 1024;

/** Reads of a file that go forward mostly: one large read serves many small ones. */
export class ReadWindow {
  readonly #read: (target: Uint8Array, at: Position) => Promise<number>;
  #bytes = new Uint8Array(0);
  #start = 0;
  #end = 0;

  constructor(read: (target: Uint8Array, at: Position) => Promise<number>) {
    this.#read = read;
  }

  /**
   * @returns a view of `count` bytes from `at` on, fewer at the end of the file; it is good until the
   *   next call
   */
  async get(at: number, count: number): Promise<Uint8Array> {
    if (at < this.#start || at + count > this.#end) await this.#fill(at, count);
    const from = at - this.#start;
    return this.#bytes.subarray(from, Math.min(from + count, this.#end - this.#start));
  }

  async #fill(at: number, count: number): Promise<void> {
    const size = Math.max(WINDOW_BYTES, count);
    if (this.#bytes.length < size) this.#bytes = new Uint8Array(size);
    const got = await this.#read(this.#bytes.subarray(0, size), at as Position);
    this.#start = at;
    this.#end = at + got;
  }
}
