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
  /** Those that have neither fired nor been cancelled. */
  readonly #timers = new Set<Timer>();
  /** A binary heap of them, and of cancelled ones that have not come up yet. */
  readonly #heap: Timer[] = [];
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
    push(this.#heap, timer);
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
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      const isDue = first.atMs <= endMs;
      if (isDue && this.#timers.has(first)) return first;
      if (!isDue) return undefined;
      pop(this.#heap);
    }
    return undefined;
  }
}

/**
 * One life of a machine on a shared clock: it ends with the machine, after which nothing fires. The machine's
 * own wall clock may be wrong.
 */
export class SimLifeClock implements Clock {
  readonly #base: SimClock;
  readonly #wall: { offsetUs: number };
  readonly #cancels = new Set<() => void>();
  #isOver = false;

  /** @param wall what the machine's wall clock is ahead; may be changed while it runs */
  constructor(base: SimClock, wall: { offsetUs: number }) {
    this.#base = base;
    this.#wall = wall;
  }

  monotonicMs(): number {
    return this.#base.monotonicMs();
  }

  wallUs(): number {
    return this.#base.wallUs() + this.#wall.offsetUs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    if (this.#isOver) return () => {};
    const cancel = () => {
      cancelBase();
      this.#cancels.delete(cancel);
    };
    const cancelBase = this.#base.schedule(delayMs, () => {
      this.#cancels.delete(cancel);
      callback();
    });
    this.#cancels.add(cancel);
    return cancel;
  }

  /** The machine stops: nothing fires any more. */
  end(): void {
    this.#isOver = true;
    for (const cancel of [...this.#cancels]) cancel();
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

function push(heap: Timer[], timer: Timer): void {
  let at = heap.length;
  while (at > 0) {
    const parentAt = (at - 1) >> 1;
    const parent = heap[parentAt];
    if (parent === undefined || isBefore(parent, timer)) break;
    heap[at] = parent;
    at = parentAt;
  }
  heap[at] = timer;
}

function pop(heap: Timer[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    const leftAt = 2 * at + 1;
    const left = heap[leftAt];
    const right = heap[leftAt + 1];
    if (left === undefined) break;
    const isRight = right !== undefined && isBefore(right, left);
    const child = isRight ? right : left;
    if (isBefore(last, child)) break;
    heap[at] = child;
    at = isRight ? leftAt + 1 : leftAt;
  }
  heap[at] = last;
}
