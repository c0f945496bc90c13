import type { Abortable } from "../../src/base/abortable.ts";
import { ProglogError } from "../../src/base/errors.ts";

/** What handlers see of a call that may be aborted. */
export class FakeCall implements Abortable {
  reason: ProglogError | undefined;
  readonly #listeners = new Set<() => void>();

  get listenerCount(): number {
    return this.#listeners.size;
  }

  whenAborted(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  abort(reason = new ProglogError("CANCELED", "Gave up")): void {
    this.reason ??= reason;
    for (const listener of [...this.#listeners]) listener();
  }
}
