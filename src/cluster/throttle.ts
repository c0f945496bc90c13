import type { Clock } from "../base/clock.ts";
import type { Journal } from "../journal/journal.ts";
import type { Admission } from "../raft/admission.ts";

/** Within so many milliseconds what comes in is let in and held back in turn. */
const SLICE_MS = 40;

export interface ThrottleOptions {
  readonly journal: Pick<Journal, "usedBytes">;
  readonly admission: Admission;
  readonly clock: Clock;
  /** From here on some is held back, at twice as much all. */
  readonly journalBytesMax: number;
}

/**
 * Slows appends down while checkpoints cannot keep up with them: the longer the
 * journal, the larger the part of the time in which nothing new is let in. So the
 * journal ends somewhere, and callers see delays that grow, instead of a wall.
 */
export class Throttle {
  readonly #options: ThrottleOptions;
  /** Ends the present part of a slice; undefined while nothing is held back. */
  #cancel: (() => void) | undefined;
  #isHolding = false;
  #isClosed = false;

  constructor(options: ThrottleOptions) {
    this.#options = options;
  }

  /** 0: nothing is held back. 1: everything. */
  get pressure(): number {
    const { journal, journalBytesMax } = this.#options;
    return Math.min(1, Math.max(0, journal.usedBytes / journalBytesMax - 1));
  }

  /** Looks at the journal. Cheap: called after every run of applied entries. */
  poke(): void {
    if (this.#isClosed || this.#isHolding) return;
    const { pressure } = this;
    if (pressure === 1 || (pressure > 0 && this.#cancel === undefined)) this.#hold();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#setHolding(false);
  }

  #hold(): void {
    const { pressure } = this;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#setHolding(pressure > 0);
    if (pressure > 0) this.#after(Math.round(pressure * SLICE_MS), () => this.#letIn());
  }

  #letIn(): void {
    const { pressure } = this;
    // All is held only as long as Checkpoints, too, sees a journal that it must shorten.
    if (pressure === 1) {
      this.#hold();
      return;
    }
    this.#setHolding(false);
    this.#after(Math.max(1, Math.round((1 - pressure) * SLICE_MS)), () => this.#hold());
  }

  #after(delayMs: number, next: () => void): void {
    this.#cancel = this.#options.clock.schedule(delayMs, next);
  }

  #setHolding(isHolding: boolean): void {
    this.#isHolding = isHolding;
    this.#options.admission.isHeld = isHolding;
  }
}
