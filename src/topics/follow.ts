import type { ProglogError } from "../base/errors.ts";
import type { Follower } from "./topics.ts";

interface Waiter {
  readonly offset: number;
  readonly follower: Follower;
}

const NOTHING_TO_GIVE_UP = () => {};

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
  #closed: ProglogError | undefined;

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

  /** See `Topic.follow`. Fails, now or later, with the error of {@link close}. */
  follow(offset: number, follower: Follower): () => void {
    if (this.#closed !== undefined) {
      follower.fail(this.#closed);
      return NOTHING_TO_GIVE_UP;
    }
    if (this.#nextOffset > offset) {
      follower.wake();
      return NOTHING_TO_GIVE_UP;
    }
    const waiter = { offset, follower };
    this.#waiters.add(waiter);
    return () => {
      this.#waiters.delete(waiter);
    };
  }

  /** Fails all who wait, now and later, with `error`. */
  close(error: ProglogError): void {
    this.#closed ??= error;
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter);
      waiter.follower.fail(error);
    }
  }

  /** Who follows again when it is woken comes to the end of the set, and is looked at in this pass. */
  #wake(): void {
    for (const waiter of this.#waiters) {
      if (waiter.offset >= this.#nextOffset) continue;
      this.#waiters.delete(waiter);
      waiter.follower.wake();
    }
  }
}
