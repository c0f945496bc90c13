import { onAbort } from "../base/abortable.ts";

/**
 * One who waits, woken by any of several events. Unlike `Promise.race` it leaves
 * nothing behind on an event that has not come yet, however often it waits.
 */
export class Wakeup {
  #isSet = false;
  #resolve: () => void = () => {};

  /** Ends the present wait, or else the next one at once. */
  readonly wake = (): void => {
    this.#isSet = true;
    this.#resolve();
  };

  /** Resolves after a {@link wake} that came since the last wait ended. */
  async wait(): Promise<void> {
    if (!this.#isSet) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    }
    this.#isSet = false;
  }
}

/** The items of `source` until `signal` is aborted; then it throws the signal's reason. */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const items = source[Symbol.asyncIterator]();
  const stop = Promise.withResolvers<never>();
  stop.promise.catch(() => {}); // also when nobody waits just then
  const unsubscribe = onAbort(signal, () => stop.reject(signal.reason));
  try {
    for (;;) {
      const item = await Promise.race([items.next(), stop.promise]);
      if (item.done === true) return;
      yield item.value;
    }
  } finally {
    unsubscribe();
  }
}
