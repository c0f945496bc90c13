import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { ClusterView } from "../cluster/cluster-view.ts";
import type { Topics } from "../topics/topics.ts";
import type { Call } from "./call.ts";

/** What handlers are about, and who leads it. */
export interface Sources {
  readonly topics: Topics | Promise<Topics>;
  /** Undefined: everything is here. */
  readonly cluster?: ClusterView | Promise<ClusterView> | undefined;
}

/** Topics for handlers, which may be called before recovery has brought them. */
export class TopicsSource {
  readonly #coming: Promise<void>;
  readonly #clock: Clock;
  readonly #waitMs: number;
  #topics: Topics | undefined;
  #cluster: ClusterView | undefined;

  /** @param waitMs how long a call waits for them; a deadline may end it before */
  constructor({ topics, cluster }: Sources, clock: Clock, waitMs: number) {
    this.#clock = clock;
    this.#waitMs = waitMs;
    if (topics instanceof Promise || cluster instanceof Promise) {
      // When one fails the server does not start, and says why by itself.
      this.#coming = Promise.all([topics, cluster]).then(
        (found) => this.#take(...found),
        () => {},
      );
    } else {
      this.#take(topics, cluster);
      this.#coming = Promise.resolve();
    }
  }

  /** Who leads what; undefined when there is no cluster, and as long as {@link ready} is. */
  get cluster(): ClusterView | undefined {
    return this.#cluster;
  }

  /** The topics when they are here already, for those who would rather not wait for a promise. */
  get ready(): Topics | undefined {
    return this.#topics;
  }

  #take(topics: Topics, cluster: ClusterView | undefined): void {
    this.#topics = topics;
    this.#cluster = cluster;
  }

  /** @throws STARTING when they did not come in time; the call's own reason when it ended before */
  async get(call: Call): Promise<Topics> {
    if (this.#topics !== undefined) return this.#topics;
    let cancel = () => {};
    let leave = () => {};
    await Promise.race([
      this.#coming,
      new Promise<void>((resolve) => {
        leave = () => resolve();
        cancel = this.#clock.schedule(this.#waitMs, leave);
        call.signal.addEventListener("abort", leave, { once: true });
      }),
    ]);
    cancel();
    call.signal.removeEventListener("abort", leave);
    call.signal.throwIfAborted();
    if (this.#topics !== undefined) return this.#topics;
    throw new ProglogError("STARTING", "Cannot serve yet: the server is starting");
  }
}
