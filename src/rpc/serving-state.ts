import { ProglogError } from "../base/errors.ts";

/**
 * Whether this server takes calls: what it still waits for after the start, and
 * whether it is draining. The one who starts the server drives it; health, /readyz
 * and the streams follow it.
 */
export class ServingState {
  readonly #waits = new Set<string>();
  readonly #drain = new AbortController();
  readonly #listeners = new Set<() => void>();

  /** What is awaited before calls are taken, such as "recovery", in order of coming; often empty. */
  get waitingFor(): readonly string[] {
    return [...this.#waits];
  }

  get isServing(): boolean {
    return this.#waits.size === 0 && !this.isDraining;
  }

  get isDraining(): boolean {
    return this.#drain.signal.aborted;
  }

  /** Aborted from the first moment of a drain; the reason is the ProglogError to end calls with. */
  get draining(): AbortSignal {
    return this.#drain.signal;
  }

  /** Not serving until the returned function is called. */
  waitFor(what: string): () => void {
    this.#waits.add(what);
    this.#tell();
    return () => {
      if (this.#waits.delete(what)) this.#tell();
    };
  }

  /** Ends streams with DRAINING, refuses new calls, lets the others finish. For good. */
  drain(): void {
    if (this.isDraining) return;
    this.#drain.abort(new ProglogError("DRAINING", "This server is stopping"));
    this.#tell();
  }

  /** Calls `listener` after every change. @returns a function that ends it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
