import { ProglogError, platformCode } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";

/** Knows whether the node can go on, and tells everybody once it cannot. */
export class NodeFailure {
  readonly #logger: Logger;
  readonly #onFailure: (error: unknown) => void;
  #listeners: ((reason: ProglogError) => void)[] = [];
  #reason: ProglogError | undefined;
  #error: unknown;

  constructor(logger: Logger, onFailure: (error: unknown) => void) {
    this.#logger = logger;
    this.#onFailure = onFailure;
  }

  /** What callers are told; undefined while the node is well. */
  get reason(): ProglogError | undefined {
    return this.#reason;
  }

  /** What happened, for whoever runs the server. */
  get error(): unknown {
    return this.#error;
  }

  /** Gets to know of the failure before the owner does. */
  listen(listener: (reason: ProglogError) => void): void {
    this.#listeners.push(listener);
  }

  /** Only the first one counts: others follow from it. */
  report(error: unknown): void {
    if (this.#reason !== undefined) return;
    const reason = reasonOf(error);
    this.#reason = reason;
    this.#error = error;
    this.#logger.error("The node cannot go on", { reason: reason.reason }, error);
    for (const listener of this.#listeners) listener(reason);
    this.#listeners = [];
    this.#onFailure(error);
  }
}

/** What may be shown to clients: not the error's own text, unless it is one of ours. */
function reasonOf(error: unknown): ProglogError {
  if (error instanceof ProglogError) return error;
  if (platformCode(error) !== undefined) {
    return new ProglogError("DISK_FAILED", "The server's disk failed: it ends", { cause: error });
  }
  return new ProglogError("INTERNAL", "The server met a defect: it ends", { cause: error });
}
