import type { AdmissionLane } from "./admission.ts";

/**
 * What one group holds of its lane.
 *
 * Bytes leave the lane when they are written, not when they are applied: so what waits in
 * memory for slow or full files is bounded too, for all groups together.
 */
export class InFlight {
  readonly #lane: AdmissionLane;
  readonly #written: () => Promise<void>;
  #bytes = 0;
  /** Of applied entries that the host has not written yet, and nobody watches yet. */
  #unwrittenBytes = 0;
  #isWriteWatched = false;
  #isStopped = false;

  /** @param written resolves when all that was applied so far has left memory */
  constructor(lane: AdmissionLane, written: () => Promise<void>) {
    this.#lane = lane;
    this.#written = written;
  }

  /** The lane counts `bytes` more. */
  took(bytes: number): void {
    this.#bytes += bytes;
  }

  /** What was taken leaves the lane. */
  leave(bytes: number): void {
    if (this.#isStopped) return;
    this.#bytes -= bytes;
    this.#lane.leave(bytes);
  }

  /** What was taken has been applied: it leaves when it is written. */
  applied(bytes: number): void {
    this.#unwrittenBytes += bytes;
    if (this.#isWriteWatched || this.#unwrittenBytes === 0) return;
    const watched = this.#unwrittenBytes;
    this.#unwrittenBytes = 0;
    this.#isWriteWatched = true;
    this.#written().then(
      () => {
        this.#isWriteWatched = false;
        this.leave(watched);
        this.applied(0);
      },
      () => {}, // The host has told its owner, who stops this.
    );
  }

  /** All of it leaves. */
  stop(): void {
    this.#isStopped = true;
    this.#lane.leave(this.#bytes);
  }
}
