import type { Abortable } from "../base/abortable.ts";
import type { Turn } from "./admission.ts";
import type { VoterProposeOptions } from "./voter.ts";

export interface CallParts<O, C> {
  readonly command: C;
  readonly options: VoterProposeOptions;
  readonly resolve: (outcome: O) => void;
  readonly reject: (error: unknown) => void;
  readonly tick: number;
}

/** One who waits for the outcome of a command. It is settled once; what comes later is ignored. */
export class Call<O, C> {
  readonly command: C;
  readonly bytes: number;
  readonly makesRoom: boolean;
  /** When it was taken. */
  readonly tick: number;
  readonly #resolve: (outcome: O) => void;
  readonly #reject: (error: unknown) => void;
  readonly #caller: Abortable | undefined;
  #unwatch: (() => void) | undefined;
  #isSettled = false;
  /** Set while its turn has not come. */
  turn: Turn | undefined;
  /** True from when its entry is in the journal's hands. */
  isProposed = false;

  constructor({ command, options, resolve, reject, tick }: CallParts<O, C>) {
    this.command = command;
    this.tick = tick;
    this.bytes = options.bytes;
    this.makesRoom = options.makesRoom === true;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#caller = options.caller;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Calls `giveUp` when the caller gives up before the call is settled. */
  watch(giveUp: (call: Call<O, C>, caller: Abortable) => void): void {
    const caller = this.#caller;
    if (caller === undefined || this.#isSettled) return;
    this.#unwatch = caller.whenAborted(() => giveUp(this, caller));
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
    this.#unwatch?.();
    return true;
  }
}
