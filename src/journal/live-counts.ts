import { assert } from "../base/assert.ts";

/** A number that no file has. */
const NO_FILE = 0;

/** How many live entries each file holds: a file without any can go. */
export class LiveCounts {
  readonly #counts = new Map<number, { count: number }>();
  /** The file that was asked for last, since it is nearly always the same one. */
  #file = NO_FILE;
  #found = { count: 0 };

  of(file: number): number {
    return this.#counts.get(file)?.count ?? 0;
  }

  add(file: number, change: number): void {
    if (file !== this.#file) {
      this.#file = file;
      this.#found = this.#counts.get(file) ?? { count: 0 };
      this.#counts.set(file, this.#found);
    }
    this.#found.count += change;
    assert(this.#found.count >= 0, "A file holds less than no entries");
  }

  /** The file is gone. */
  forget(file: number): void {
    this.#counts.delete(file);
    this.#file = NO_FILE;
  }
}
