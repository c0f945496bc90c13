/** Storage work of one Ready, from when it is begun to when the core is told. */
export interface StorageJob {
  /** The core's name for it; 0: nobody waits for it. */
  readonly job: number;
  /** Tick of the node at which it was begun. */
  readonly beganTick: number;
  isDone: boolean;
}

/** Tells the core what is durable, in the order of its jobs, whatever order they end in. */
export class StorageJobs {
  readonly #onDone: (job: StorageJob) => void;
  #jobs: StorageJob[] = [];

  /** @param onDone called once for each job, in order */
  constructor(onDone: (job: StorageJob) => void) {
    this.#onDone = onDone;
  }

  get isIdle(): boolean {
    return this.#jobs.length === 0;
  }

  /** Of the oldest one that is under way. */
  get oldestTick(): number | undefined {
    return this.#jobs[0]?.beganTick;
  }

  begin(job: StorageJob): StorageJob {
    this.#jobs.push(job);
    return job;
  }

  done(job: StorageJob): void {
    job.isDone = true;
    for (let first = this.#jobs[0]; first?.isDone === true; first = this.#jobs[0]) {
      this.#jobs.shift();
      this.#onDone(first);
    }
  }

  clear(): void {
    this.#jobs = [];
  }
}
