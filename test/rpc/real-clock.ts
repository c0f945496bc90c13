import type { Clock } from "../../src/base/clock.ts";

/** The machine's time: sockets cannot be stepped. */
export class RealClock implements Clock {
  monotonicMs(): number {
    return performance.now();
  }

  wallUs(): number {
    return Date.now() * 1000;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  }
}
