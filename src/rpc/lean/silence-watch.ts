import type { Clock } from "../../base/clock.ts";
import type { ProglogError } from "../../base/errors.ts";
import { silentError } from "../body-source.ts";

/** Something that is not to be silent for too long. */
export interface Silence {
  /** When something came last; the watch sets it. */
  lastMs: number;
  fail(error: ProglogError): void;
}

/** How often is looked, at least: the end of a body leaves the timer for so long. */
const LOOK_MS_MAX = 500;

/**
 * Ends what was silent for too long. All have the same patience, so one timer does
 * for all of them: a timer for each call would cost more than its message.
 */
export class SilenceWatch {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #watched = new Set<Silence>();
  #isScheduled = false;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** From now on something must come, until {@link leave}. */
  watch(silence: Silence): void {
    silence.lastMs = this.#clock.monotonicMs();
    this.#watched.add(silence);
    if (!this.#isScheduled) this.#schedule(this.#timeoutMs);
  }

  /** Something came. */
  touch(silence: Silence): void {
    silence.lastMs = this.#clock.monotonicMs();
  }

  leave(silence: Silence): void {
    this.#watched.delete(silence);
  }

  #schedule(delayMs: number): void {
    this.#isScheduled = true;
    this.#clock.schedule(Math.min(delayMs, LOOK_MS_MAX), () => this.#look());
  }

  #look(): void {
    this.#isScheduled = false;
    const nowMs = this.#clock.monotonicMs();
    let firstMs = nowMs;
    for (const silence of [...this.#watched]) {
      if (nowMs - silence.lastMs >= this.#timeoutMs) {
        this.#watched.delete(silence);
        silence.fail(silentError(this.#timeoutMs));
      } else {
        firstMs = Math.min(firstMs, silence.lastMs);
      }
    }
    if (this.#watched.size > 0) this.#schedule(firstMs + this.#timeoutMs - nowMs);
  }
}
