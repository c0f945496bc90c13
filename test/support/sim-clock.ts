import type { Clock } from "../../src/base/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly sequence: number;
  readonly callback: () => void;
}

/** 2026-01-01 00:00:00 UTC. */
const WALL_START_US = 1_767_225_600_000_000;

/** A clock that stands still until it is told to go on. */
export class SimClock implements Clock {
  readonly #timers = new Set<Timer>();
  #nowMs = 0;
  #wallOffsetUs = WALL_START_US;
  #sequence = 0;

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallUs(): number {
    return this.#wallOffsetUs + Math.round(this.#nowMs * 1000);
  }

  schedule(delayMs: number, callback: () => void): () => void {
    this.#sequence += 1;
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence, callback };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Timers that have neither fired nor been cancelled. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /**
   * Lets `durationMs` pass: calls each timer that comes due at its time, in order
   * of time and then of scheduling, also those that are scheduled meanwhile.
   * Before the first, between them and at the end everything that waits for
   * promises only runs as far as it gets.
   */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await settle();
    for (let timer = this.#next(endMs); timer !== undefined; timer = this.#next(endMs)) {
      this.#nowMs = timer.atMs;
      this.#timers.delete(timer);
      timer.callback();
      await settle();
    }
    this.#nowMs = endMs;
  }

  /** Sets the wall clock alone, as an administrator or a time service does; it may go back. */
  jumpWall(byUs: number): void {
    this.#wallOffsetUs += byUs;
  }

  #next(endMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs > endMs) continue;
      if (first === undefined || isBefore(timer, first)) first = timer;
    }
    return first;
  }
}

/** Resolves when nothing is left that waits for promises only. */
export function settle(): Promise<void> {
  // A macrotask begins only when the queue of microtasks is empty, however long its chains were.
  return new Promise((resolve) => setImmediate(resolve));
}

function isBefore(left: Timer, right: Timer): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence);
}
