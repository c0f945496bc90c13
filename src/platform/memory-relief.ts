import type { Clock } from "../base/clock.ts";
import { MIB } from "../base/units.ts";

/** Between two looks at the process's memory. */
const INTERVAL_MS = 250;

/** A collection is asked for when the process has grown by so much since the last one. */
const GROWTH_BYTES_MAX = 48 * MIB;

/** What of the runtime is used; another one in tests. */
export interface MemorySource {
  /** Memory of the process that is in use, in bytes. */
  rssBytes(): number;
  /** Frees what is garbage. Undefined where the runtime does that in time by itself. */
  readonly collect: (() => void) | undefined;
}

/**
 * Keeps the memory of a process small that moves much through it.
 *
 * Batches live in array buffers, of which Bun's collector sees little: with 8 calls
 * of 1 MiB in flight the process grew to 4 times what it needed before it collected
 * (Bun 1.4.5; bench/data-size.ts). A collection of a server's heap takes some
 * milliseconds, and is asked for only after much was allocated. What stays after it
 * is needed: the next one comes when so much more was added.
 */
export class MemoryRelief {
  readonly #clock: Clock;
  readonly #source: MemorySource;
  #baseBytes = 0;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, source: MemorySource = runtimeMemory()) {
    this.#clock = clock;
    this.#source = source;
  }

  start(): void {
    if (this.#source.collect === undefined || this.#cancel !== undefined) return;
    this.#baseBytes = this.#source.rssBytes();
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
    if (bytes - this.#baseBytes < GROWTH_BYTES_MAX) {
      this.#baseBytes = Math.min(this.#baseBytes, bytes);
      return;
    }
    this.#source.collect?.();
    this.#baseBytes = this.#source.rssBytes();
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
    collect: bun === undefined ? undefined : () => bun.gc(true),
  };
}
