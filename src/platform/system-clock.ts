import type { Clock } from "../base/clock.ts";

/** Longest delay of a timer; longer ones fire at once on every runtime. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/** How far the fine clock may stray from the system's before it follows; less than 1 ms is its step. */
const STRAY_US_MAX = 1_500;

/** The machine's time. */
export class SystemClock implements Clock {
  #wallStartUs = Date.now() * 1000;
  #monotonicStartMs = performance.now();

  monotonicMs(): number {
    return performance.now();
  }

  wallUs(): number {
    // The system's clock is given in milliseconds only. Between its steps the monotonic
    // clock counts on; when they disagree, someone has set the clock.
    const systemUs = Date.now() * 1000;
    const nowMs = performance.now();
    const fineUs = this.#wallStartUs + Math.round((nowMs - this.#monotonicStartMs) * 1000);
    if (Math.abs(fineUs - systemUs) <= STRAY_US_MAX) return fineUs;
    this.#wallStartUs = systemUs;
    this.#monotonicStartMs = nowMs;
    return systemUs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const step = Math.min(Math.max(delayMs, 0), DELAY_MS_MAX);
    let cancelRest: (() => void) | undefined;
    const timer = setTimeout(() => {
      if (delayMs <= DELAY_MS_MAX) callback();
      else cancelRest = this.schedule(delayMs - DELAY_MS_MAX, callback);
    }, step);
    return () => {
      clearTimeout(timer);
      cancelRest?.();
    };
  }
}
