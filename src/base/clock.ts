/** Time as the node sees it. Tests step it by hand, so that a run is a function of its seed. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. For intervals. */
  monotonicMs(): number;
  /** Microseconds since 1970-01-01 UTC, an integer; may jump. For timestamps. */
  wallUs(): number;
  /** Calls `callback` once, `delayMs` from now. @returns a function that cancels it. */
  schedule(delayMs: number, callback: () => void): () => void;
}
