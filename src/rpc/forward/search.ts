import { type Abortable, onAbort } from "../../base/abortable.ts";
import type { Clock } from "../../base/clock.ts";
import { ProglogError } from "../../base/errors.ts";
import type { ClusterView } from "../../cluster/cluster-view.ts";
import type { Call } from "../call.ts";
import { type Margin, marginOf } from "../margin.ts";
import { noQuorum } from "./hop-failure.ts";

/** How long a call without a deadline waits for a leader, in all. */
const WAIT_MS_MAX = 5_000;

/** So long before its deadline a call is told that there is no leader. */
const MARGIN: Margin = { msMax: 100, part: 0.25 };

/** Until what failed is tried again, although nothing has changed. */
const PAUSE_MS_MIN = 25;
const PAUSE_MS_MAX = 400;

export interface SearchOptions {
  readonly call: Call;
  readonly topic: string;
  readonly clock: Clock;
  /** Ends the search, with its reason. */
  readonly draining: AbortSignal;
}

/** The time that one call spends in looking for who serves it. */
export class Search {
  readonly #options: SearchOptions;
  #waitedMs = 0;
  #pauseMs = PAUSE_MS_MIN;

  constructor(options: SearchOptions) {
    this.#options = options;
  }

  /**
   * Waits until something has changed in the cluster.
   * @throws NO_QUORUM when there is no time left; the call's reason; DRAINING
   */
  async change(view: ClusterView): Promise<void> {
    await this.#wait(Number.POSITIVE_INFINITY, undefined, (caller) => view.changed({ caller }));
  }

  /** The same after a failure: what failed may work again although nothing is seen to change. */
  async pause(view: ClusterView, cause: unknown): Promise<void> {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX);
    await this.#wait(pauseMs, cause, (caller) => view.changed({ caller }));
  }

  /**
   * Waits until the catalogue here has what was acknowledged.
   * @returns false when that failed, and may be tried again
   * @throws as {@link change}
   */
  async confirm(view: ClusterView): Promise<boolean> {
    return await this.#wait(Number.POSITIVE_INFINITY, undefined, (caller) =>
      view.confirmCatalogue({ caller }),
    );
  }

  async #wait(
    pauseMs: number,
    cause: unknown,
    begin: (caller: Abortable) => Promise<void>,
  ): Promise<boolean> {
    const { clock, topic } = this.#options;
    const restMs = this.#restMs();
    if (restMs <= 0) throw noQuorum(topic, this.#waitedMs, cause);
    const startMs = clock.monotonicMs();
    const wait = new Wait(this.#options, Math.min(restMs, pauseMs));
    await wait.run(begin);
    this.#waitedMs += clock.monotonicMs() - startMs;
    this.#throwIfStopped();
    if (!wait.isDone && this.#restMs() <= 0) {
      throw noQuorum(topic, this.#waitedMs, wait.failure ?? cause);
    }
    return wait.isDone;
  }

  #throwIfStopped(): void {
    const { call, draining } = this.#options;
    const reason = call.reason ?? (draining.aborted ? draining.reason : undefined);
    // A deadline is not why, when there was nobody to call.
    if (!(reason instanceof ProglogError) || reason.reason === "DEADLINE_EXCEEDED") return;
    throw new ProglogError(reason.reason, reason.message, {
      metadata: { ...reason.metadata, outcome: "none" },
      cause: reason,
    });
  }

  #restMs(): number {
    const { call, clock } = this.#options;
    if (call.deadlineMs === undefined) return WAIT_MS_MAX - this.#waitedMs;
    const leftMs = call.dueMs - clock.monotonicMs();
    return leftMs - marginOf(call.deadlineMs, MARGIN);
  }
}

/** One wait: given up when its time is over, or the call is, or the server stops. */
class Wait implements Abortable {
  reason: ProglogError | undefined;
  /** True when what was awaited has come. */
  isDone = false;
  /** Why it will not come. */
  failure: unknown;
  readonly #options: SearchOptions;
  readonly #timeMs: number;
  readonly #listeners = new Set<() => void>();

  constructor(options: SearchOptions, timeMs: number) {
    this.#options = options;
    this.#timeMs = timeMs;
  }

  whenAborted(listener: () => void): () => void {
    if (this.reason !== undefined) listener();
    else this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Never rejects. */
  async run(begin: (caller: Abortable) => Promise<void>): Promise<void> {
    const { call, clock, draining } = this.#options;
    const ended = new Promise<void>((resolve) => this.#listeners.add(resolve));
    let cancel = clock.schedule(this.#timeMs, () => this.#abort());
    const leave = [call.whenAborted(() => this.#abort()), onAbort(draining, () => this.#abort())];
    const begun = begin(this).then(
      () => {
        this.isDone = true;
      },
      (thrown: unknown) => {
        this.failure = thrown;
      },
    );
    await Promise.race([begun, ended]);
    if (!this.isDone && this.reason === undefined) {
      // What fails at once is not tried again at once.
      cancel();
      cancel = clock.schedule(PAUSE_MS_MIN, () => this.#abort());
      await ended;
    }
    cancel();
    this.#abort(); // nothing is awaited any more
    for (const end of leave) end();
  }

  #abort(): void {
    this.reason ??= new ProglogError("CANCELED", "Nobody waits any more");
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
