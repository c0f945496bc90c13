import type { ProglogError } from "../../src/base/errors.ts";
import type { Abortable } from "../../src/rpc/topic-tail.ts";

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

  abort(reason: ProglogError): void {
    this.reason ??= reason;
    for (const listener of [...this.#listeners]) listener();
  }
}
