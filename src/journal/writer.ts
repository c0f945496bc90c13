import type { Clock } from "../base/clock.ts";
import { platformCode } from "../base/errors.ts";
import { diskFailed, diskFull, isNoSpace } from "../storage/storage-errors.ts";
import { Batch, BatchQueue, isEmpty, type Waiting } from "./batch.ts";
import type { FileSet } from "./file-set.ts";
import {
  applyFlush,
  buildFlush,
  type Flush,
  type FlushChain,
  flushBytesMax,
  type PendingMark,
} from "./flush-builder.ts";
import { appendFailed } from "./journal-errors.ts";
import { noteQueued } from "./queued.ts";
import { Refusals, refusedOf } from "./refusals.ts";
import type { ReplicaSet } from "./replica-set.ts";

/**
 * Most callbacks that the disk waits for. They may bring what the next flush is made of, so it is
 * worth while to wait for some; but their work and the disk's should overlap when there are many.
 */
const CALLBACKS_BEFORE_FLUSH = 32;

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 1000;

export interface WriterOptions {
  readonly clock: Clock;
  readonly files: FileSet;
  readonly replicas: ReplicaSet;
  readonly sync: "always" | "none";
  readonly flushBytesMax: number;
  readonly chain: FlushChain;
  readonly onFailure: (error: Error) => void;
}

/** Group commit: while one flush is on its way to the disk, what arrives is gathered for the next. */
export class Writer {
  readonly written = { bytes: 0, flushes: 0 };
  readonly #options: WriterOptions;
  readonly #queue: BatchQueue;
  /** By replica. Kept until they are durable. */
  readonly #marks = new Map<number, PendingMark>();
  readonly #refusals = new Refusals();
  /** Those who have more for the next flush; see {@link beforeFlush}. */
  #fills: (() => void)[] = [];
  #chain: FlushChain;
  /** Durable, but its callers do not know yet. */
  #untold: Batch | undefined;
  #inFlight: Flush | undefined;
  #running: Promise<void> | undefined;
  #isDiskFull = false;
  #isClosing = false;
  #failure: Error | undefined;
  /** Ends a wait for room. */
  #wake = () => {};

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#chain = options.chain;
    this.#queue = new BatchQueue(options.flushBytesMax);
  }

  get isDiskFull(): boolean {
    return this.#isDiskFull;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  add(item: Waiting): void {
    if (this.#failure !== undefined) {
      const error = appendFailed(this.#failure, "none");
      queueMicrotask(() => item.done(error));
      return;
    }
    if (this.refuses(item)) {
      this.#refusals.add(item);
      queueMicrotask(() => this.#refusals.tell(item, diskFull("append to the journal")));
      return;
    }
    if (isEmpty(item)) {
      this.#ride(item);
      return;
    }
    noteQueued(this.#options.replicas, item);
    this.#queue.add(item);
    // Who waits for room must see this one, if only to refuse it.
    this.#wake();
    this.#start();
  }

  /** True when {@link add} would take nothing of it, for whatever reason. */
  refuses(item: Waiting): boolean {
    if (this.#failure !== undefined || (this.#isDiskFull && !item.isUrgent)) return true;
    return this.#refusals.concern(item);
  }

  /** See `Journal.beforeFlush`. */
  beforeFlush(fill: () => void): void {
    if (this.#failure !== undefined) {
      queueMicrotask(fill);
      return;
    }
    this.#fills.push(fill);
    this.#wake();
    this.#start();
  }

  mark(replicaId: number, mark: PendingMark): void {
    this.#marks.set(replicaId, mark);
    // Without room it may be this mark that frees a file; else the next flush takes it along.
    if (!this.#options.files.isStarved || this.#failure !== undefined) return;
    this.#wake();
    this.#start();
  }

  pendingMark(replicaId: number): PendingMark | undefined {
    return this.#marks.get(replicaId);
  }

  /** Nothing more will be added for that replica. */
  forget(replicaId: number): void {
    this.#marks.delete(replicaId);
  }

  /** There is room again. */
  onRoom(): void {
    // After the refusals that are on their way: their indexes come first.
    queueMicrotask(() => {
      this.#isDiskFull = false;
    });
    this.#wake();
  }

  /** Resolves when nothing waits or is written, also after a failure. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** As {@link idle}, but what finds no room is told so instead of waiting for it. */
  async drain(): Promise<void> {
    this.#isClosing = true;
    this.#wake();
    await this.idle();
  }

  /** Stops because of `cause`: tells everybody who waits, then the owner. */
  fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const isOwn = cause instanceof Error && platformCode(cause) === undefined;
    this.#failure = isOwn ? cause : diskFailed("write the journal", cause);
    this.#wake();
    const lost = this.#inFlight?.batch;
    this.#inFlight = undefined;
    this.#tell();
    lost?.tell(appendFailed(cause, "unknown"));
    for (const item of this.#queue.filter(() => false)) item.done(appendFailed(cause, "none"));
    this.#options.onFailure(this.#failure);
    this.#fill();
  }

  #start(): void {
    this.#running ??= this.#run()
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#running = undefined;
        if (this.#hasWork()) this.#start();
      });
  }

  async #run(): Promise<void> {
    // Whatever is appended in the same turn of the event loop goes into the same flush.
    await undefined;
    while (this.#failure === undefined) {
      this.#fill();
      if (!this.#hasWork()) {
        if (this.#untold === undefined) return;
        this.#tell(CALLBACKS_BEFORE_FLUSH);
        await undefined;
        continue;
      }
      if (!this.#options.files.canWrite(this.#nextBytes(), this.#isNextUrgent())) {
        this.#tell();
        await this.#makeRoom();
        continue;
      }
      await this.#flush();
    }
  }

  /** What is appended here goes into the next flush, or is refused as all else is. */
  #fill(): void {
    while (this.#fills.length > 0) {
      const fills = this.#fills;
      this.#fills = [];
      for (const fill of fills) fill();
    }
  }

  #hasWork(): boolean {
    if (this.#failure !== undefined) return false;
    if (this.#queue.first !== undefined || this.#fills.length > 0) return true;
    return this.#marks.size > 0 && this.#options.files.isStarved;
  }

  #isNextUrgent(): boolean {
    return this.#queue.first?.isUrgent ?? true;
  }

  #nextBytes(): number {
    const { files, replicas } = this.#options;
    const input = { replicas, marks: this.#marks, file: files.current };
    return flushBytesMax(input, this.#queue.first);
  }

  async #makeRoom(): Promise<void> {
    const { files } = this.#options;
    const isUrgent = this.#isNextUrgent();
    if (await files.prepare(() => this.#nextBytes(), isUrgent)) return;
    if (!files.isStarved) return;
    if (!this.#isNextUrgent()) this.#refuse();
    else if (this.#isClosing) this.#giveUp();
    else await this.#roomAgain();
  }

  async #flush(): Promise<void> {
    const { files, replicas, sync } = this.#options;
    const batch = this.#queue.takeFirst() ?? new Batch(this.#queue.buffer());
    // A file's list is always synced: older files may go when it is there.
    const isSynced = sync === "always" || batch.isSynced || files.current.isUnused;
    const flush = buildFlush({
      batch,
      replicas,
      marks: this.#marks,
      file: files.current,
      chain: this.#chain,
    });
    this.#inFlight = flush;
    const writing = this.#write(flush, isSynced);
    // Callbacks of the flush before run while the disk works.
    this.#tell();
    await writing;
    // Unless something else has failed meanwhile, or the disk was full when the owner wanted to stop.
    if (this.#inFlight === flush) this.#finish(flush, isSynced);
  }

  #finish(flush: Flush, isSynced: boolean): void {
    const { number, headerCrc } = flush;
    const { replicas } = this.#options;
    const syncedThrough = isSynced ? number : this.#chain.syncedThrough;
    this.#chain = { number, headerCrc, syncedThrough };
    applyFlush(flush, replicas);
    for (const [replicaId, mark] of this.#marks) {
      // Durable; or a snapshot was installed above it while it waited.
      const { snapshotIndex = Number.POSITIVE_INFINITY } = replicas.get(replicaId)?.record ?? {};
      if (mark.index <= snapshotIndex) this.#marks.delete(replicaId);
    }
    this.#inFlight = undefined;
    this.written.bytes += flush.bytes;
    this.written.flushes += 1;
    this.#untold = flush.batch;
    this.#queue.recycle(flush.batch.frames);
    this.#options.files.lookAhead();
  }

  /** Tells the callers of the last flush that it is durable. */
  #tell(countMax?: number): void {
    const batch = this.#untold;
    if (batch?.tell(undefined, countMax) === true) this.#untold = undefined;
  }

  /** Writes a flush; while the disk is full, again and again at the same place. */
  async #write(flush: Flush, isSynced: boolean): Promise<void> {
    for (let delayMs = RETRY_MS_MIN; ; delayMs = Math.min(RETRY_MS_MAX, delayMs * 2)) {
      try {
        await flush.file.writeFlush(flush.parts, flush.bytes, isSynced);
        if (!this.#options.files.isStarved) this.#isDiskFull = false;
        return;
      } catch (error) {
        if (!isNoSpace(error)) throw error;
      }
      this.#refuse();
      if (!this.#isClosing) await this.#waitForRetry(delayMs);
      if (this.#failure !== undefined) return;
      if (this.#isClosing) {
        this.#giveUp();
        return;
      }
    }
  }

  #waitForRetry(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.schedule(delayMs, resolve);
    this.#wake = () => {
      if (!this.#isClosing && this.#failure === undefined) return;
      cancel();
      resolve();
    };
    return promise;
  }

  /** Sends away what may be refused: nothing of it is written. */
  #refuse(): void {
    this.#isDiskFull = true;
    this.#fill();
    const isRefused = refusedOf();
    const refused = this.#queue.filter((item) => !isRefused(item));
    const { replicas } = this.#options;
    for (const replica of replicas.values()) replica.queued = undefined;
    for (const item of this.#inFlight?.batch.items ?? []) noteQueued(replicas, item);
    for (const item of this.#queue.items()) noteQueued(replicas, item);
    for (const item of refused) this.#refusals.add(item);
    for (const item of refused) this.#refusals.tell(item, diskFull("append to the journal"));
  }

  /** The owner stops while there is no room: nothing more is written. */
  #giveUp(): void {
    const lost = this.#inFlight?.batch;
    this.#inFlight = undefined;
    this.#failure = diskFull("write the journal");
    this.#tell();
    lost?.tell(appendFailed(this.#failure, "unknown"));
    for (const item of this.#queue.filter(() => false)) item.done(diskFull("write the journal"));
    this.#fill();
  }

  #roomAgain(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** What has nothing to write is told when all before it are. */
  #ride(item: Waiting): void {
    const batch = this.#queue.last ?? this.#inFlight?.batch ?? this.#untold;
    if (batch === undefined) queueMicrotask(() => item.done());
    else batch.ride(item);
  }
}
