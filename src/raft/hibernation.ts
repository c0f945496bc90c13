import type { CoreStatus } from "./core.ts";
import { CoreRole } from "./core.ts";

const ASK_AGAIN_TICKS = 3;

/**
 * When a group may rest: no ticks, no heartbeats, no elections, until something is to be done.
 *
 *     leader    nothing to do for some time, everybody has everything
 *               -> its next round of heartbeats says so -> rests
 *     follower  such a heartbeat, and it has everything too -> rests
 *
 * Whoever is not of that opinion goes on as before. A follower that hears nothing then begins an
 * election, which wakes the others; one at rest begins it when its leader's node is unreachable.
 */
export class Hibernation {
  readonly #idleTicks: number;
  #ticks = 0;
  #isLeaving = false;

  constructor(idleTicks: number) {
    this.#idleTicks = idleTicks;
  }

  /** Heartbeats say now that their sender rests. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Something is to be done. */
  touch(): void {
    this.#ticks = 0;
    this.#isLeaving = false;
  }

  /** @returns true when it is time to ask whether everybody has everything */
  tick(): boolean {
    if (this.#isLeaving) return false;
    this.#ticks += 1;
    if (this.#ticks < this.#idleTicks) return false;
    // Asked again soon: replicas count as active only some ticks after each check of the quorum.
    this.#ticks -= ASK_AGAIN_TICKS;
    return true;
  }

  leave(): void {
    this.#isLeaving = true;
  }
}

/** True when a leader has nothing left to do for anybody. */
export function isAtRest(status: CoreStatus, lastIndex: number): boolean {
  const { hardState, appliedIndex, role, transferee, conf, progress } = status;
  if (role !== CoreRole.leader || transferee !== 0 || conf.votersOutgoing.length > 0) return false;
  if (hardState.commit !== lastIndex || appliedIndex !== lastIndex) return false;
  return progress.every(({ match, isActive }) => match === lastIndex && isActive);
}
