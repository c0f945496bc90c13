import type { Clock } from "../base/clock.ts";
import { MIB } from "../base/units.ts";

/** Between two looks at the process's memory. */
const INTERVAL_MS = 100;

/** A collection is asked for when the process has grown by so much since the last one. */
const GROWTH_BYTES_MAX = 32 * MIB;

/** One is waited for when those that were asked for did not keep it from growing by so much. */
const WAITED_GROWTH_BYTES_MAX = 96 * MIB;

/** What of the runtime is used; another one in tests. */
export interface MemorySource {
  /** Memory of the process that is in use, in bytes. */
  rssBytes(): number;
  /**
   * Frees what is garbage: when it returns, or soon after. Undefined where the runtime does that
   * in time by itself.
   */
  readonly collect: ((waits: boolean) => void) | undefined;
}

/**
 * Keeps the memory of a process small that moves much through it.
 *
 * Batches live in array buffers, of which Bun's collector sees little: with 8 calls
 * of 1 MiB in flight the process grew to 4 times what it needed before it collected
 * (Bun 1.4.5; bench/data-size.ts). A collection is asked for only after much was
 * allocated. It runs beside the program: one that is waited for stops everybody for 30 ms
 * and more, and is for the case that garbage comes faster than it goes. What stays after
 * it is needed: the next one comes when so much more was added.
 */
export class MemoryRelief {
  readonly #clock: Clock;
  readonly #source: MemorySource;
  /** Memory when the last collection was asked for, and after the last one that was waited for; the least since. */
  #askedBytes = 0;
  #waitedBytes = 0;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, source: MemorySource = runtimeMemory()) {
    this.#clock = clock;
    this.#source = source;
  }

  start(): void {
    if (this.#source.collect === undefined || this.#cancel !== undefined) return;
    this.#askedBytes = this.#source.rssBytes();
    this.#waitedBytes = this.#askedBytes;
    this.#wait();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #wait(): void {
    this.#cancel = this.#clock.schedule(INTERVAL_MS, () => {
      this.#look();
      this.#wait();
    });
  }

  #look(): void {
    const bytes = this.#source.rssBytes();
    this.#askedBytes = Math.min(this.#askedBytes, bytes);
    this.#waitedBytes = Math.min(this.#waitedBytes, bytes);
    const waits = bytes - this.#waitedBytes >= WAITED_GROWTH_BYTES_MAX;
    if (!waits && bytes - this.#askedBytes < GROWTH_BYTES_MAX) return;
    this.#source.collect?.(waits);
    this.#askedBytes = this.#source.rssBytes();
    if (waits) this.#waitedBytes = this.#askedBytes;
  }
}

/** What is used of Bun's own API; its types would change the globals of the whole program. */
interface BunRuntime {
  gc(waits: boolean): void;
}

function runtimeMemory(): MemorySource {
  const { Bun: bun } = globalThis as { readonly Bun?: BunRuntime };
  return {
    rssBytes: () => process.memoryUsage.rss(),
    collect: bun === undefined ? undefined : (waits) => bun.gc(waits),
  };
}
