import { ProglogError } from "../base/errors.ts";
import type { HttpConnection } from "../platform/http-options.ts";

/** Bytes of requests that were received and are not yet dealt with. */
export interface BodyBudget {
  /** @returns RATE_LIMITED when there are more than may be; they count all the same */
  add(byteCount: number): ProglogError | undefined;
  release(byteCount: number): void;
}

export interface BodyLimits {
  readonly bodyBytesMax: number;
  readonly connectionBodyPart: number;
}

/** The budgets of a server: one of all calls, and one of each connection. */
export class BodyBudgets {
  readonly #limits: BodyLimits;
  readonly #all: SharedBudget;
  readonly #connections = new WeakMap<HttpConnection, readonly BodyBudget[]>();

  constructor(limits: BodyLimits) {
    this.#limits = limits;
    this.#all = new SharedBudget(limits.bodyBytesMax);
  }

  /** Where a call on `connection` counts. */
  of(connection: HttpConnection): readonly BodyBudget[] {
    let budgets = this.#connections.get(connection);
    if (budgets === undefined) {
      const own = new ConnectionBudget(this.#all, this.#limits.connectionBodyPart);
      budgets = [this.#all, own];
      this.#connections.set(connection, budgets);
    }
    return budgets;
  }
}

class SharedBudget implements BodyBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get freeBytes(): number {
    return Math.max(0, this.#bytesMax - this.#bytes);
  }

  add(byteCount: number): ProglogError | undefined {
    this.#bytes += byteCount;
    const isOver = this.#bytes > this.#bytesMax;
    return isOver ? tooMany(this.#bytes, "to this server", this.#bytesMax) : undefined;
  }

  release(byteCount: number): void {
    this.#bytes -= byteCount;
  }
}

/**
 * A part of what is free. At one half, one connection alone can take a third of all
 * there is, two that take what they can leave a half, and a hundred leave a fiftieth:
 * enough for small requests of everyone else.
 */
class ConnectionBudget implements BodyBudget {
  readonly #all: SharedBudget;
  readonly #part: number;
  #bytes = 0;

  constructor(all: SharedBudget, part: number) {
    this.#all = all;
    this.#part = part;
  }

  add(byteCount: number): ProglogError | undefined {
    this.#bytes += byteCount;
    const bytesMax = Math.floor(this.#part * this.#all.freeBytes);
    if (this.#bytes <= bytesMax) return undefined;
    return tooMany(this.#bytes, "on this connection", bytesMax);
  }

  release(byteCount: number): void {
    this.#bytes -= byteCount;
  }
}

function tooMany(bytes: number, whose: string, bytesMax: number): ProglogError {
  return new ProglogError(
    "RATE_LIMITED",
    `Cannot take the request: ${bytes} bytes of requests ${whose} are in flight, at most ${bytesMax} may be`,
    { metadata: { bodyBytes: `${bytes}`, bodyBytesMax: `${bytesMax}` } },
  );
}
