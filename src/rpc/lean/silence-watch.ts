import type { Clock } from "../../base/clock.ts";
import { type Deadlined, DeadlineWatch } from "../deadline-watch.ts";

/** Something that is not to be silent for too long. */
export interface Silence extends Deadlined {
  /** Until when something must come; the watch sets it. */
  dueMs: number;
}

/** Ends what was silent for too long: a deadline that each piece that comes puts off. */
export class SilenceWatch {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #deadlines: DeadlineWatch;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#deadlines = new DeadlineWatch(clock);
  }

  /** From now on something must come, until {@link leave}. */
  watch(silence: Silence): void {
    this.touch(silence);
    this.#deadlines.watch(silence);
  }

  /** Something came. */
  touch(silence: Silence): void {
    silence.dueMs = this.#clock.monotonicMs() + this.#timeoutMs;
  }

  leave(silence: Silence): void {
    this.#deadlines.leave(silence);
  }
}
