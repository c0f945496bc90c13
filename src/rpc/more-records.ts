import type { Clock } from "../base/clock.ts";
import type { Topic } from "../topics/topics.ts";
import { onAbort, Wakeup } from "./wakeup.ts";

export interface WaitOptions {
  readonly clock: Clock;
  /** Of the call. */
  readonly signal: AbortSignal;
  /** Ends waiting, with its reason. */
  readonly draining: AbortSignal;
}

/** Waits for records of a topic, for a time, or for the end of the call: without polling. */
export class MoreRecords {
  readonly #topic: Topic;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #wakeup = new Wakeup();
  readonly #unsubscribe: (() => void)[];
  /** A wait of the topic outlives heartbeats: it is begun once for each time that records come. */
  #isAsked = false;
  #failure: { readonly thrown: unknown } | undefined;

  constructor(topic: Topic, { clock, signal, draining }: WaitOptions) {
    this.#topic = topic;
    this.#clock = clock;
    this.#unsubscribe = [
      onAbort(signal, () => this.#stop.abort(signal.reason)),
      onAbort(draining, () => this.#stop.abort(draining.reason)),
    ];
  }

  throwIfStopped(): void {
    this.#stop.signal.throwIfAborted();
  }

  /** Resolves when there may be something beyond `offset`, or at `dueMs` of the clock. */
  async wait(offset: number, dueMs: number): Promise<void> {
    if (!this.#isAsked) this.#ask(offset);
    const cancel = this.#clock.schedule(dueMs - this.#clock.monotonicMs(), this.#wakeup.wake);
    await this.#wakeup.wait();
    cancel();
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#stop.abort();
  }

  #ask(offset: number): void {
    this.#isAsked = true;
    this.#topic.waitBeyond(offset, { signal: this.#stop.signal }).then(
      () => {
        this.#isAsked = false;
        this.#wakeup.wake();
      },
      (thrown: unknown) => {
        this.#failure = { thrown };
        this.#wakeup.wake();
      },
    );
  }
}
