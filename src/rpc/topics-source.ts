import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { Topics } from "../topics/topics.ts";
import type { Call } from "./call.ts";

/** Topics for handlers, which may be called before recovery has brought them. */
export class TopicsSource {
  readonly #coming: Promise<void>;
  readonly #clock: Clock;
  readonly #waitMs: number;
  #topics: Topics | undefined;

  /** @param waitMs how long a call waits for them; a deadline may end it before */
  constructor(topics: Topics | Promise<Topics>, clock: Clock, waitMs: number) {
    this.#clock = clock;
    this.#waitMs = waitMs;
    if (topics instanceof Promise) {
      // When it fails the server does not start, and says why by itself.
      this.#coming = topics.then(
        (found) => {
          this.#topics = found;
        },
        () => {},
      );
    } else {
      this.#topics = topics;
      this.#coming = Promise.resolve();
    }
  }

  /** The topics when they are here already, for those who would rather not wait for a promise. */
  get ready(): Topics | undefined {
    return this.#topics;
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
