import type { ProglogError } from "../base/errors.ts";

/** A change of membership that was proposed here, until something is applied at its index. */
export class PendingConfChange {
  readonly index: number;
  readonly term: number;
  readonly done: Promise<void>;
  readonly #resolve: () => void;
  readonly #reject: (error: ProglogError) => void;

  constructor(index: number, term: number) {
    this.index = index;
    this.term = term;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  applied(): void {
    this.#resolve();
  }

  failed(error: ProglogError): void {
    this.#reject(error);
  }
}
