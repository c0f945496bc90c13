import type { Clock } from "../base/clock.ts";

/** Least time between two looks: so much later than it should a deadline may come. */
const RESOLUTION_MS = 2;

/** How often is looked, at least: the last call leaves the timer for so long. */
const LOOK_MS_MAX = 500;

/** Something that must end at some time. */
export interface Deadlined {
  /** When, on the clock's monotonic time. May be put off, not brought forward. */
  readonly dueMs: number;
  /** It is time. */
  expire(): void;
}

/**
 * Deadlines that nearly all who have one end long before, as those of calls: they share one
 * timer, since one for each would cost more than a short call's message. Never early, and
 * late by at most {@link RESOLUTION_MS} and what the clock's timers are late.
 */
export class DeadlineWatch {
  readonly #clock: Clock;
  readonly #watched = new Set<Deadlined>();
  /** When the next look is. */
  #lookMs = Number.POSITIVE_INFINITY;
  #cancel = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Until {@link leave}. */
  watch(call: Deadlined): void {
    this.#watched.add(call);
    if (call.dueMs < this.#lookMs) this.#schedule(call.dueMs - this.#clock.monotonicMs());
  }

  leave(call: Deadlined): void {
    this.#watched.delete(call);
  }

  #schedule(delayMs: number): void {
    this.#cancel();
    const waitMs = Math.min(delayMs, LOOK_MS_MAX);
    this.#lookMs = this.#clock.monotonicMs() + waitMs;
    this.#cancel = this.#clock.schedule(waitMs, () => this.#look());
  }

  #look(): void {
    this.#lookMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    let firstMs = Number.POSITIVE_INFINITY;
    for (const call of this.#watched) {
      if (call.dueMs > nowMs) {
        firstMs = Math.min(firstMs, call.dueMs);
      } else {
        this.#watched.delete(call);
        call.expire();
      }
    }
    if (firstMs < this.#lookMs) this.#schedule(Math.max(firstMs - nowMs, RESOLUTION_MS));
  }
}
