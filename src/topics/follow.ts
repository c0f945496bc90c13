interface Waiter {
  readonly offset: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Readers of one topic that wait for records beyond an offset.
 *
 * Nothing polls: {@link Followers.advance} wakes those whose records have come.
 * It may be called for every applied entry, but wakes once per run of entries
 * that are applied together, so a thousand tails cost one pass for a flush of a
 * thousand batches.
 */
export class Followers {
  readonly #waiters = new Set<Waiter>();
  #nextOffset: number;
  #wakesSoon = false;
  #closed: Error | undefined;

  constructor(nextOffset: number) {
    this.#nextOffset = nextOffset;
  }

  get count(): number {
    return this.#waiters.size;
  }

  /** Says that all below `nextOffset` can be read. */
  advance(nextOffset: number): void {
    this.#nextOffset = nextOffset;
    if (this.#wakesSoon || this.#waiters.size === 0) return;
    this.#wakesSoon = true;
    queueMicrotask(() => {
      this.#wakesSoon = false;
      this.#wake();
    });
  }

  /**
   * Resolves when {@link advance} has gone beyond `offset`; at once when it has already.
   * Rejects with the error of {@link close}, or the signal's reason.
   */
  waitBeyond(offset: number, signal: AbortSignal): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#nextOffset > offset) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        offset,
        resolve: () => {
          signal.removeEventListener("abort", giveUp);
          resolve();
        },
        reject: (error) => {
          signal.removeEventListener("abort", giveUp);
          reject(error);
        },
      };
      const giveUp = () => {
        this.#waiters.delete(waiter);
        waiter.reject(signal.reason);
      };
      signal.addEventListener("abort", giveUp);
      this.#waiters.add(waiter);
    });
  }

  /** Rejects all who wait, now and later, with `error`. */
  close(error: Error): void {
    this.#closed ??= error;
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (waiter.offset >= this.#nextOffset) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }
}
