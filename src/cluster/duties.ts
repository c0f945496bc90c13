import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";

/** Between two rounds when nothing changes. */
const ROUND_MS = 500;
/** After a change: others may follow at once. */
const SOON_MS = 10;

/** Something that this node does again and again for the cluster. It may fail, and is done again. */
export interface Duty {
  readonly name: string;
  /** Cheap when there is nothing to do. @param signal aborted when the node stops */
  run(signal: AbortSignal): Promise<void>;
}

export interface DutiesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly duties: readonly Duty[];
}

/**
 * Does a node's duties every so often, and soon after something has changed: side by side, so that one that
 * waits for others does not hold up the rest, and none twice at a time.
 */
export class Duties {
  readonly #options: DutiesOptions;
  readonly #abort = new AbortController();
  readonly #running = new Map<Duty, Promise<void>>();
  #cancel: (() => void) | undefined;
  #isPoked = false;

  constructor(options: DutiesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule(SOON_MS);
  }

  /** Something has changed. Cheap. */
  poke(): void {
    // Before the start there is nothing to hurry.
    if (this.#isPoked || this.#cancel === undefined) return;
    this.#isPoked = true;
    this.#schedule(SOON_MS);
  }

  /** Begins nothing new; resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#cancel?.();
    await Promise.all(this.#running.values());
  }

  #schedule(delayMs: number): void {
    this.#cancel?.();
    if (this.#abort.signal.aborted) return;
    this.#cancel = this.#options.clock.schedule(delayMs, () => {
      this.#isPoked = false;
      for (const duty of this.#options.duties) {
        if (!this.#running.has(duty)) this.#running.set(duty, this.#run(duty));
      }
      this.#schedule(ROUND_MS);
    });
  }

  async #run(duty: Duty): Promise<void> {
    try {
      await duty.run(this.#abort.signal);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#options.logger.debug("A duty was not done", { duty: duty.name, why: `${error}` });
    } finally {
      this.#running.delete(duty);
    }
  }
}
