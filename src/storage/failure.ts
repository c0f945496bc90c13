import type { ProglogError } from "../base/errors.ts";
import { diskFailed } from "./storage-errors.ts";

/** Remembers the first write or sync that failed for good; nothing is written after it. */
export class Failure {
  readonly #onFailure: ((cause: unknown) => void) | undefined;
  readonly #listeners: ((error: ProglogError) => void)[] = [];
  #error: ProglogError | undefined;

  constructor(onFailure: ((cause: unknown) => void) | undefined) {
    this.#onFailure = onFailure;
  }

  get error(): ProglogError | undefined {
    return this.#error;
  }

  /** @throws DISK_FAILED after a failure */
  refuse(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  /** Gets to know of a failure before the owner does. */
  listen(listener: (error: ProglogError) => void): void {
    this.#listeners.push(listener);
  }

  /** Tells the owner, but only of the first one. @returns what callers are to be told */
  report(what: string, cause: unknown): ProglogError {
    if (this.#error !== undefined) return this.#error;
    const error = diskFailed(what, cause);
    this.#error = error;
    for (const listener of this.#listeners) listener(error);
    this.#onFailure?.(cause);
    return error;
  }

  /** Runs `work`; a rejection is a failure. */
  async guard<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.refuse();
    try {
      return await work();
    } catch (cause) {
      throw this.report(what, cause);
    }
  }
}
