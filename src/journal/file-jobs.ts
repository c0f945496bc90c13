import type { Clock } from "../base/clock.ts";
import { isNoSpace } from "../storage/storage-errors.ts";

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 1000;

export type FileJob = () => Promise<void>;

export interface FileJobsOptions {
  readonly clock: Clock;
  /** A job that had found no room has found some. */
  readonly onRoom: () => void;
  /** A job that nobody waits for has failed for another reason. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Work on the journal's files, one job at a time, in order. A job that finds no
 * room is tried again after a while; any other error ends them all, since the next
 * job could make worse what the failed one left.
 */
export class FileJobs {
  readonly #options: FileJobsOptions;
  /** End of the queue. Never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  /** What found no room last; undefined while there is room. */
  #starved: FileJob | undefined;
  #cancelRetry = () => {};
  #retryMs = RETRY_MS_MIN;
  #isStopped = false;

  constructor(options: FileJobsOptions) {
    this.#options = options;
  }

  /** True while something found no room and waits to be tried again. */
  get isStarved(): boolean {
    return this.#starved !== undefined;
  }

  /** True when no job will run any more. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /**
   * Runs `job` when those before it are done. Rejects with what it rejects with.
   * @returns false when it found no room, or was not run at all
   */
  async run(job: FileJob): Promise<boolean> {
    return await this.#enqueue(job, () => true);
  }

  /** As {@link run}, for what needs room: false at once while something else waits for it. */
  async attempt(job: FileJob): Promise<boolean> {
    return await this.#enqueue(job, () => !this.isStarved);
  }

  /** As {@link run}, in the background. */
  start(job: FileJob): void {
    this.run(job).catch(this.#options.onFailure);
  }

  /** Tries again now what found no room, because there may be some. */
  readonly retry = (): void => {
    const job = this.#starved;
    if (job === undefined || this.#isStopped) return;
    this.#cancelRetry();
    this.#starved = undefined;
    this.attempt(job).then((hasRoom) => {
      if (hasRoom) this.#options.onRoom();
    }, this.#options.onFailure);
  };

  /** Resolves when no job runs or waits for its turn. */
  async settled(): Promise<void> {
    for (let last: unknown; last !== this.#last; ) {
      last = this.#last;
      await this.#last;
    }
  }

  /** Lets no other job begin, and resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelRetry();
    await this.settled();
  }

  async #enqueue(job: FileJob, isWanted: () => boolean): Promise<boolean> {
    const turn = this.#last.then(async () => isWanted() && (await this.#runOnce(job)));
    this.#last = turn.catch(() => {});
    return await turn;
  }

  async #runOnce(job: FileJob): Promise<boolean> {
    if (this.#isStopped) return false;
    try {
      await job();
      this.#retryMs = RETRY_MS_MIN;
      return true;
    } catch (error) {
      if (!isNoSpace(error)) {
        this.#isStopped = true;
        throw error;
      }
      this.#starved = job;
      this.#cancelRetry();
      this.#cancelRetry = this.#options.clock.schedule(this.#retryMs, this.retry);
      this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
      return false;
    }
  }
}
