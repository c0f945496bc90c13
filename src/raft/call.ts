import type { Turn } from "./admission.ts";
import type { VoterProposeOptions } from "./voter.ts";

export interface CallParts<O, C> {
  readonly command: C;
  readonly options: VoterProposeOptions;
  readonly resolve: (outcome: O) => void;
  readonly reject: (error: unknown) => void;
}

/** One who waits for the outcome of a command. It is settled once; what comes later is ignored. */
export class Call<O, C> {
  readonly command: C;
  readonly bytes: number;
  readonly makesRoom: boolean;
  readonly #resolve: (outcome: O) => void;
  readonly #reject: (error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;
  #isSettled = false;
  /** Set while its turn has not come. */
  turn: Turn | undefined;
  /** True from when its entry is in the journal's hands. */
  isProposed = false;

  constructor({ command, options, resolve, reject }: CallParts<O, C>) {
    this.command = command;
    this.bytes = options.bytes;
    this.makesRoom = options.makesRoom === true;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = options.signal;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Calls `giveUp` when the signal aborts before the call is settled. */
  watch(giveUp: (call: Call<O, C>, signal: AbortSignal) => void): void {
    const signal = this.#signal;
    if (signal === undefined || this.#isSettled) return;
    this.#onAbort = () => giveUp(this, signal);
    signal.addEventListener("abort", this.#onAbort);
  }

  resolve(outcome: O): void {
    if (this.#settle()) this.#resolve(outcome);
  }

  reject(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
    return true;
  }
}

/** An entry that is proposed and not yet applied. */
export interface Pending<O, C> {
  readonly index: number;
  readonly payload: Uint8Array;
  /** Whose commands it holds, in order. */
  readonly calls: readonly Call<O, C>[];
  isJournalled: boolean;
}
