import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { KIB, type Offset } from "../base/units.ts";
import type { Failure } from "./failure.ts";
import { type PendingBatch, PendingQueue } from "./pending.ts";
import type { Segment } from "./segment.ts";
import { diskFull, isNoSpace } from "./storage-errors.ts";

/** One gathered write: large enough that its cost is the bytes, small enough to wait for. */
const GROUP_LIMITS = { bytesMax: 4 * 1024 * 1024, partsMax: 1000 };

/** So much is written at once, although more could be waited for: the write then costs little beside the bytes. */
const EAGER_BYTES = 256 * KIB;

/** Pauses between attempts while the disk is full: doubled from the first to the last. */
const RETRY_DELAY_MS_MIN = 100;
const RETRY_DELAY_MS_MAX = 1000;

export interface WriterOptions {
  readonly pendingBytesMax: number;
  /** See `LogOptions.writeDelayMs`. */
  readonly writeDelayMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly failure: Failure;
  /** Called before each write to a segment: makes its files when they are missing. */
  readonly prepare: (segment: Segment) => Promise<void>;
}

interface Waiter {
  /** What must be written before it is resolved; undefined: there must be room. */
  readonly end: Offset | undefined;
  readonly resolve: () => void;
  readonly reject: (error: ProglogError) => void;
}

/**
 * Writes appended batches to their segments, in order, one write at a time. What is
 * appended meanwhile, and within the delay, is gathered and goes out together.
 *
 * A write that finds no space is tried again at the same position, until there is some.
 * Any other error is a {@link Failure}.
 */
export class Writer {
  readonly pending = new PendingQueue();
  readonly #options: WriterOptions;
  #waiters: Waiter[] = [];
  #running: Promise<void> | undefined;
  /** Ends the delay before the next write. */
  #cancelDelay: (() => void) | undefined;
  /** Offset after what was pushed last. */
  #pushedEnd = 0;
  #retrying = 0;
  #isClosing = false;
  /** Why nothing is written any more, after closing with something left. */
  #ended: ProglogError | undefined;
  readonly #sleepers = new Set<() => void>();
  /** What is not to be written, and who waits for that. */
  #drops: { readonly offset: Offset; readonly resolve: () => void }[] = [];

  constructor(options: WriterOptions) {
    this.#options = options;
    options.failure.listen((error) => this.#rejectAll(error));
  }

  get isDiskFull(): boolean {
    return this.#retrying > 0;
  }

  hasRoom(): boolean {
    return this.pending.bytes < this.#options.pendingBytesMax;
  }

  push(batch: PendingBatch): void {
    this.pending.push(batch);
    this.#pushedEnd = batch.firstOffset + batch.batch.count;
    this.#schedule();
  }

  /** Resolves when `hasRoom()`. @throws DISK_FAILED, or DISK_FULL when closed before */
  whenRoom(): Promise<void> {
    return this.#wait(undefined);
  }

  /** Resolves when everything below `end` is in the files. @throws as {@link whenRoom} */
  writtenUpTo(end: Offset): Promise<void> {
    return this.#wait(end);
  }

  /** Leaves unwritten what was pushed from `offset` on. Resolves when nothing of it is being written. */
  dropFrom(offset: Offset): Promise<void> {
    return new Promise((resolve) => {
      this.#drops.push({ offset, resolve });
      const hasEnded = (this.#options.failure.error ?? this.#ended) !== undefined;
      const isWriting = this.#running !== undefined && !hasEnded;
      if (!isWriting) this.#drop();
      else for (const wake of this.#sleepers) wake();
    });
  }

  /** Runs `work` until there is space for it. Any other rejection is a failure. */
  async withSpace<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { failure, logger } = this.#options;
    let delayMs = RETRY_DELAY_MS_MIN;
    for (let attempt = 1; ; attempt += 1) {
      failure.refuse();
      try {
        const result = await work();
        if (attempt > 1) logger.info("The disk has space again", { attempt });
        return result;
      } catch (error) {
        if (!isNoSpace(error)) throw failure.report(what, error);
        if (this.#isClosing) throw diskFull(what, error);
        if (attempt === 1) logger.warn("The disk is full: waiting for space", { what }, error);
      }
      this.#retrying += 1;
      await this.#pause(delayMs);
      this.#retrying -= 1;
      delayMs = Math.min(RETRY_DELAY_MS_MAX, delayMs * 2);
    }
  }

  /**
   * Ends the writing: of what is pending, or at once with `discard`. While the disk is
   * full each write is tried once more.
   *
   * @throws DISK_FULL when something could not be written
   */
  async close(discard: boolean): Promise<void> {
    this.#isClosing = true;
    this.#schedule();
    if (discard) this.#end(new ProglogError("DRAINING", "Cannot write: the log was closed"));
    for (const wake of this.#sleepers) wake();
    await this.#running;
    const leftBytes = this.pending.bytes;
    if (leftBytes === 0 || discard || this.#options.failure.error !== undefined) return;
    const error = diskFull(`write the last ${leftBytes} bytes before closing`);
    this.#end(error);
    throw error;
  }

  /** Sees to it that what is pending is written: now, or after the delay. */
  #schedule(): void {
    if (this.#running !== undefined || this.pending.firstOffset === undefined) return;
    if (this.#isDue()) this.#start();
    else
      this.#cancelDelay ??= this.#options.clock.schedule(this.#options.writeDelayMs, () =>
        this.#start(),
      );
  }

  #isDue(): boolean {
    const { bytes } = this.pending;
    return (
      bytes > 0 && (this.#options.writeDelayMs === 0 || bytes >= EAGER_BYTES || this.#isClosing)
    );
  }

  #start(): void {
    this.#cancelDelay?.();
    this.#cancelDelay = undefined;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // Takes along what is appended in the same turn.
    await undefined;
    try {
      const end = this.#pushedEnd;
      while ((this.pending.firstOffset ?? end) < end || this.#isDue()) {
        const group = this.pending.group(GROUP_LIMITS);
        const segment = group[0]?.segment;
        if (segment === undefined) break;
        const isWritten = await this.withSpace(`write to "${segment.store.path}"`, async () => {
          // Some of it may not be wanted any more.
          if (this.#drops.length > 0) return false;
          await this.#options.prepare(segment);
          await segment.write(group);
          return true;
        });
        if (this.#ended !== undefined) return this.#drop();
        if (isWritten) this.pending.shift(group.length);
        this.#drop();
        this.#resolveSome();
      }
      this.#running = undefined;
      this.#drop();
      this.#schedule();
    } catch (error) {
      this.#drop();
      // Stays set: nothing is written after this. Those who wait are told.
      this.#rejectAll(error as ProglogError);
    }
  }

  #drop(): void {
    for (const { offset, resolve } of this.#drops) {
      this.pending.dropFrom(offset);
      this.#pushedEnd = Math.min(this.#pushedEnd, offset);
      resolve();
    }
    this.#drops = [];
  }

  #wait(end: Offset | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const error = this.#options.failure.error ?? this.#ended;
      if (error !== undefined) reject(error);
      else if (this.#isReached(end)) resolve();
      else this.#waiters.push({ end, resolve, reject });
    });
  }

  #isReached(end: Offset | undefined): boolean {
    if (end === undefined) return this.hasRoom();
    const { firstOffset } = this.pending;
    return firstOffset === undefined || firstOffset >= end;
  }

  #resolveSome(): void {
    const reached = this.#waiters.filter(({ end }) => this.#isReached(end));
    if (reached.length === 0) return;
    this.#waiters = this.#waiters.filter(({ end }) => !this.#isReached(end));
    for (const { resolve } of reached) resolve();
  }

  #end(error: ProglogError): void {
    this.#ended = error;
    this.pending.clear();
    this.#rejectAll(error);
  }

  #rejectAll(error: ProglogError): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#isClosing) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        this.#sleepers.delete(wake);
        resolve();
      };
      const cancel = this.#options.clock.schedule(delayMs, wake);
      this.#sleepers.add(wake);
    });
  }
}
