import type { Abortable } from "../../base/abortable.ts";
import type { Clock } from "../../base/clock.ts";

/** Shares a number of bytes a second among all who ask, in their order. */
export class ByteRate {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  /** When all that was taken so far has had its time. */
  #freeMs = 0;

  /** @param bytesPerSecond may be infinite */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerMs = bytesPerSecond / 1_000;
  }

  /** Resolves when `byteCount` more bytes may be sent, or the caller gives up. */
  async take(byteCount: number, caller: Abortable): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const startMs = Math.max(this.#freeMs, nowMs);
    this.#freeMs = startMs + byteCount / this.#bytesPerMs;
    if (startMs <= nowMs) return;
    await new Promise<void>((resolve) => {
      const settle = () => {
        cancel();
        leave();
        resolve();
      };
      let leave = () => {};
      const cancel = this.#clock.schedule(startMs - nowMs, settle);
      leave = caller.whenAborted(settle);
    });
  }
}
