import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";

/** Everything that happens in a run, as a checksum: two runs of one seed have the same. */
export class Trace {
  readonly #hash = createHash("sha256");
  readonly #file: number | undefined;
  #lines = 0;

  /** @param path a file to write all lines to */
  constructor(path?: string) {
    this.#file = path === undefined ? undefined : openSync(path, "w");
  }

  get lineCount(): number {
    return this.#lines;
  }

  add(line: string): void {
    this.#lines += 1;
    this.#hash.update(line);
    this.#hash.update("\n");
    if (this.#file !== undefined) writeSync(this.#file, `${line}\n`);
  }

  /** Ends it. */
  digest(): string {
    if (this.#file !== undefined) closeSync(this.#file);
    return this.#hash.digest("hex");
  }
}
