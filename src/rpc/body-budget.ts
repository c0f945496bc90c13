import { ProglogError } from "../base/errors.ts";
import type { HttpConnection } from "../platform/http-options.ts";

/** Bytes of requests that were received and are not yet dealt with. */
export class BodyBudget {
  readonly #bytesMax: number;
  /** Whose they are, in the words of the error. */
  readonly #whose: string;
  #bytes = 0;

  constructor(bytesMax: number, whose: string) {
    this.#bytesMax = bytesMax;
    this.#whose = whose;
  }

  /** @returns RATE_LIMITED when there are more than may be; they count all the same */
  add(byteCount: number): ProglogError | undefined {
    this.#bytes += byteCount;
    if (this.#bytes <= this.#bytesMax) return undefined;
    return new ProglogError(
      "RATE_LIMITED",
      `Cannot take the request: ${this.#bytes} bytes of requests ${this.#whose} are in flight, at most ${this.#bytesMax} may be`,
      { metadata: { bodyBytes: `${this.#bytes}`, bodyBytesMax: `${this.#bytesMax}` } },
    );
  }

  release(byteCount: number): void {
    this.#bytes -= byteCount;
  }
}

export interface BodyLimits {
  readonly bodyBytesMax: number;
  readonly connectionBodyBytesMax: number;
}

/** The budgets of a server: one of all calls, and one of each connection. */
export class BodyBudgets {
  readonly #limits: BodyLimits;
  readonly #all: BodyBudget;
  readonly #connections = new WeakMap<HttpConnection, readonly BodyBudget[]>();

  constructor(limits: BodyLimits) {
    this.#limits = limits;
    this.#all = new BodyBudget(limits.bodyBytesMax, "to this server");
  }

  /** Where a call on `connection` counts. */
  of(connection: HttpConnection): readonly BodyBudget[] {
    let budgets = this.#connections.get(connection);
    if (budgets === undefined) {
      const own = new BodyBudget(this.#limits.connectionBodyBytesMax, "on this connection");
      budgets = [own, this.#all];
      this.#connections.set(connection, budgets);
    }
    return budgets;
  }
}
