import { type Abortable, onAbort } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import type { ProglogError } from "../base/errors.ts";
import type { Follower, RecordRun, Topic } from "../topics/topics.ts";
import type { AnswerShare } from "./answer-budget.ts";
import { STREAM_RESERVE_BYTES } from "./limits.ts";
import { type AnswerLimits, emptyPortion, type Portion, portionOf } from "./read-topic.ts";
import { Wakeup } from "./wakeup.ts";

export interface TailOptions {
  readonly offset: number;
  /** Of one portion. With `endOffset` the tail ends before that offset. */
  readonly limits: AnswerLimits;
  /** The first portion comes after so long at the latest, with or without records; 0: at once. */
  readonly firstMs: number;
  /** Longest silence between the others. */
  readonly silenceMs: number;
  /** Where what is read and not yet taken is counted; undefined: nowhere. */
  readonly share?: AnswerShare | undefined;
  /** What is made of records in memory is made once for all who read them, and counts once. */
  readonly sharesTail: boolean;
  readonly clock: Clock;
  readonly call: Abortable;
  /** Ends the tail, with its reason. */
  readonly draining: AbortSignal;
}

/**
 * Reads a topic from an offset on, and then what is still to come. Records in memory
 * are given at once, without a promise; it waits without polling, and without a timer
 * for each message. Reads on only when it is asked, by which the last portion counts
 * as taken.
 */
export class TopicTail implements Follower {
  readonly #topic: Topic;
  readonly #options: TailOptions;
  readonly #wakeup = new Wakeup();
  readonly #unsubscribe: readonly (() => void)[];
  #offset: number;
  #dueMs: number;
  #isGiven = false;
  /** Bytes of the portion that was given, when it came from disk. */
  #diskBytes: number | undefined;
  /** What {@link readAhead} began: records from the offset on. */
  #ahead: Promise<RecordRun> | undefined;
  #failure: unknown;
  #cancelTimer: (() => void) | undefined;
  /** A wait outlives heartbeats: it is begun once for each time that records come. */
  #isFollowing = false;
  #giveUp = () => {};

  constructor(topic: Topic, options: TailOptions) {
    this.#topic = topic;
    this.#options = options;
    this.#offset = options.offset;
    this.#dueMs = options.clock.monotonicMs() + options.firstMs;
    const { call, draining } = options;
    this.#unsubscribe = [
      call.whenAborted(() => this.#stop(call.reason)),
      onAbort(draining, () => this.#stop(draining.reason)),
    ];
  }

  /** Where the next portion begins. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * The next records, or none when there was silence for too long; undefined at the end.
   * @throws OFFSET_OUT_OF_RANGE, STORE_CORRUPT, TOPIC_NOT_FOUND, DRAINING, why the call was aborted
   */
  next(): Portion | undefined | Promise<Portion | undefined> {
    const { clock, silenceMs, share } = this.#options;
    if (this.#isGiven) {
      share?.giveBack();
      this.#dueMs = clock.monotonicMs() + silenceMs;
      if (this.#isAtEnd()) return undefined;
    }
    this.#throwIfStopped();
    return this.#readTail() ?? this.#nextLater();
  }

  /**
   * Begins to read what {@link next} will give, while the last portion is on its way: for clients
   * that take what they get. Only from disk, and when there is room for both.
   */
  readAhead(): void {
    const { limits, share } = this.#options;
    const { nextOffset } = this.#topic.status();
    if (this.#diskBytes === undefined || this.#offset >= nextOffset || this.#isAtEnd()) return;
    const bytes = this.#diskBytes + limits.bytesMax;
    if (bytes > STREAM_RESERVE_BYTES) return;
    share?.hold(bytes);
    this.#ahead = this.#topic.readRun(this.#offset, limits);
    this.#ahead.catch(() => {}); // whoever asks for it hears of it
  }

  /** Leaves nothing behind. */
  close(): void {
    this.#dropAhead();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    if (this.#isFollowing) this.#giveUp();
    this.#cancelTimer?.();
    this.#options.share?.giveBack();
  }

  /** Called by the topic, as is {@link fail}. */
  wake(): void {
    this.#isFollowing = false;
    this.#wakeup.wake();
  }

  fail(error: ProglogError): void {
    this.#isFollowing = false;
    this.#stop(error);
  }

  async #nextLater(): Promise<Portion | undefined> {
    const { clock } = this.#options;
    for (;;) {
      const found = this.#readTail() ?? (await this.#read());
      if (found !== undefined) return found;
      const { nextOffset } = this.#topic.status();
      if (clock.monotonicMs() >= this.#dueMs) {
        return this.#give(emptyPortion(this.#offset, nextOffset));
      }
      if (this.#isAtEnd()) return undefined;
      if (this.#offset >= nextOffset) await this.#wait();
      this.#throwIfStopped();
    }
  }

  /** What is in memory, if there is room for it among what others hold. */
  #readTail(): Portion | undefined {
    const { limits, share, sharesTail } = this.#options;
    if (this.#ahead !== undefined) return undefined; // which comes first
    const run = this.#topic.readTail(this.#offset, limits);
    if (run === undefined) return undefined;
    this.#diskBytes = undefined;
    const portion = this.#toPortion(run);
    if (share?.tryHold(portion.byteLength, sharesTail ? run : undefined) === false)
      return undefined;
    return this.#accept(portion);
  }

  /** From disk; undefined when there are no records. */
  async #read(): Promise<Portion | undefined> {
    const { limits, share } = this.#options;
    if (this.#offset >= this.#topic.status().nextOffset || this.#isAtEnd()) return undefined;
    if (share?.tryTake(STREAM_RESERVE_BYTES) === false) {
      this.#dropAhead(); // which nobody counts while this waits
      await share.take(STREAM_RESERVE_BYTES);
    }
    this.#throwIfStopped();
    const reading = this.#ahead ?? this.#topic.readRun(this.#offset, limits);
    this.#ahead = undefined;
    const portion = this.#toPortion(await reading);
    share?.hold(portion.byteLength);
    this.#diskBytes = portion.byteLength;
    return this.#accept(portion);
  }

  #dropAhead(): void {
    this.#ahead?.then(
      (run) => run.giveBack?.(),
      () => {},
    );
    this.#ahead = undefined;
  }

  #toPortion(run: RecordRun): Portion {
    return portionOf(run, this.#options.limits, this.#topic.status().nextOffset);
  }

  /** Goes on over places where records were removed. */
  #accept(portion: Portion): Portion | undefined {
    this.#offset = portion.resumeOffset;
    return portion.recordCount === 0 ? undefined : this.#give(portion);
  }

  #give(portion: Portion): Portion {
    this.#isGiven = true;
    return portion;
  }

  #isAtEnd(): boolean {
    return this.#offset >= (this.#options.limits.endOffset ?? Number.POSITIVE_INFINITY);
  }

  /** Resolves when there may be records beyond the offset, at the time of the next portion, or at a stop. */
  async #wait(): Promise<void> {
    this.#armTimer();
    if (!this.#isFollowing) {
      this.#isFollowing = true; // it may wake at once
      this.#giveUp = this.#topic.follow(this.#offset, this);
    }
    await this.#wakeup.wait();
  }

  /** A timer that comes too early, since there were records meanwhile, is set again then. */
  #armTimer(): void {
    const { clock } = this.#options;
    this.#cancelTimer ??= clock.schedule(this.#dueMs - clock.monotonicMs(), () => {
      this.#cancelTimer = undefined;
      if (clock.monotonicMs() < this.#dueMs) this.#armTimer();
      else this.#wakeup.wake();
    });
  }

  #stop(reason: unknown): void {
    this.#failure ??= reason;
    this.#wakeup.wake();
  }

  #throwIfStopped(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
