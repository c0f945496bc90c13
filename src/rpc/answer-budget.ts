import type { Clock } from "../base/clock.ts";

export interface AnswerBudgetOptions {
  /** Bytes of messages that were read for streams and are not yet taken by their clients. */
  readonly bytesMax: number;
  /** After so long without taking a message a stream may be ended, when others need its bytes. */
  readonly stuckMs: number;
  readonly clock: Clock;
}

/**
 * What all streams together hold of messages that their clients have not taken.
 * When it is used up, a stream waits before it reads its next message. So that
 * clients which never read cannot stop those that do, the stream that has waited
 * longest for its client is ended when it has waited for `stuckMs`.
 */
export class AnswerBudget {
  readonly #options: AnswerBudgetOptions;
  /** Those whose message waits for the client, the longest first. */
  readonly #stuck = new Map<AnswerShare, number>();
  readonly #queue: AnswerShare[] = [];
  /** Who holds what several streams send at once: it is counted once. */
  readonly #shared = new Map<object, { readonly bytes: number; holders: number }>();
  #bytes = 0;
  #cancelTimer = () => {};

  constructor(options: AnswerBudgetOptions) {
    this.#options = options;
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param evict ends the stream, at once or later; it then gives its share back by `close` */
  open(evict: () => void): AnswerShare {
    return new AnswerShare(this, evict);
  }

  /** Called by shares only, as are those that follow. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (bytes < 0) this.#advance();
  }

  /** Counts `bytes` when there is room for them now. With `queues` nobody who waits is overtaken. */
  tryAdd(bytes: number, queues: boolean): boolean {
    if (queues && this.#queue.length > 0) return false;
    if (this.#bytes > 0 && this.#bytes + bytes > this.#options.bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  /** The same for what others may hold already. */
  tryShare(shared: object, bytes: number): boolean {
    const known = this.#shared.get(shared);
    if (known !== undefined) known.holders += 1;
    else if (!this.tryAdd(bytes, false)) return false;
    else this.#shared.set(shared, { bytes, holders: 1 });
    return true;
  }

  unshare(shared: object): void {
    const known = this.#shared.get(shared);
    if (known === undefined) return;
    known.holders -= 1;
    if (known.holders === 0) {
      this.#shared.delete(shared);
      this.add(-known.bytes);
    } else if (this.#queue.length > 0) this.#advance(); // one who was ended made no room: the next
  }

  enqueue(share: AnswerShare): void {
    this.#queue.push(share);
    this.#advance();
  }

  dequeue(share: AnswerShare): void {
    const at = this.#queue.indexOf(share);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  setStuck(share: AnswerShare, isStuck: boolean): void {
    this.#stuck.delete(share);
    if (isStuck) this.#stuck.set(share, this.#options.clock.monotonicMs());
    if (isStuck && this.#queue.length > 0) this.#advance();
  }

  /** Lets in whom there is room for; else makes room, or comes back when that may be done. */
  #advance(): void {
    const { bytesMax, stuckMs, clock } = this.#options;
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#bytes > 0 && this.#bytes + next.wantedBytes > bytesMax) break;
      this.#queue.shift();
      this.#bytes += next.wantedBytes;
      next.admit();
    }
    if (this.#queue.length === 0) return;
    for (const [share, sinceMs] of this.#stuck) {
      const restMs = sinceMs + stuckMs - clock.monotonicMs();
      if (restMs > 0) {
        this.#cancelTimer = clock.schedule(restMs, () => this.#advance());
        return;
      }
      this.#stuck.delete(share);
      // Its bytes come back when it is closed, which calls this again.
      if (share.evict()) return;
    }
  }
}

/** One stream's part of an {@link AnswerBudget}: one message at a time. */
export class AnswerShare {
  readonly #budget: AnswerBudget;
  readonly #evict: () => void;
  #bytes = 0;
  #shared: object | undefined;
  #wantedBytes = 0;
  #isClosed = false;
  #pendingBytes = 0;
  #isWaiting = false;
  #isStuck = false;
  #admit: () => void = () => {};

  constructor(budget: AnswerBudget, evict: () => void) {
    this.#budget = budget;
    this.#evict = evict;
  }

  get wantedBytes(): number {
    return this.#wantedBytes;
  }

  /** Resolves when a message of `bytes` may be read, or the stream is closed. */
  async take(bytes: number): Promise<void> {
    this.giveBack();
    if (this.#isClosed) return;
    this.#wantedBytes = bytes;
    await new Promise<void>((resolve) => {
      this.#admit = resolve;
      this.#budget.enqueue(this);
    });
  }

  /** As {@link take}, when that is possible at once. @returns false when it is not */
  tryTake(bytes: number): boolean {
    this.giveBack();
    if (this.#isClosed) return true;
    if (!this.#budget.tryAdd(bytes, true)) return false;
    this.#bytes = bytes;
    return true;
  }

  /**
   * Holds a message that needs not be read any more, so that it does not wait behind those
   * who read: tails are served from memory when others fill it from disk.
   * @param shared what others may send too, and is in memory once
   * @returns false when there is no room: then {@link take}
   */
  tryHold(bytes: number, shared?: object): boolean {
    this.giveBack();
    if (this.#isClosed) return true;
    if (shared !== undefined) {
      if (!this.#budget.tryShare(shared, bytes)) return false;
      this.#shared = shared;
      return true;
    }
    if (!this.#budget.tryAdd(bytes, false)) return false;
    this.#bytes = bytes;
    return true;
  }

  /** The message that was read takes `bytes` in truth. */
  hold(bytes: number): void {
    if (!this.#isClosed) this.#set(bytes);
  }

  /** Copies of so many bytes wait for the client beside the message that is held; 0: it has all. */
  pend(bytes: number): void {
    if (this.#isClosed) return;
    const change = bytes - this.#pendingBytes;
    this.#pendingBytes = bytes;
    this.#mark();
    if (change !== 0) this.#budget.add(change);
  }

  /** The message is written, and its client is awaited from now on. */
  wait(): void {
    if (this.#isClosed) return;
    this.#isWaiting = this.#bytes > 0 || this.#shared !== undefined;
    this.#mark();
  }

  /** The message was taken, or there is none. */
  giveBack(): void {
    this.#isWaiting = false;
    this.#mark();
    const shared = this.#shared;
    this.#shared = undefined;
    if (shared !== undefined) this.#budget.unshare(shared);
    this.#set(0);
  }

  /** The call is over. */
  close(): void {
    this.pend(0);
    this.#isClosed = true;
    this.#budget.dequeue(this);
    this.giveBack();
    this.#admit();
  }

  /** Of the budget: it has counted the wanted bytes. */
  admit(): void {
    this.#bytes = this.#wantedBytes;
    this.#admit();
  }

  /** @returns false when the stream is closed already */
  evict(): boolean {
    if (this.#isClosed) return false;
    this.#evict();
    return true;
  }

  /** Stuck from the first byte that waits until none does. */
  #mark(): void {
    const isStuck = this.#isWaiting || this.#pendingBytes > 0;
    if (isStuck === this.#isStuck) return;
    this.#isStuck = isStuck;
    this.#budget.setStuck(this, isStuck);
  }

  #set(bytes: number): void {
    const change = bytes - this.#bytes;
    this.#bytes = bytes;
    if (change !== 0) this.#budget.add(change);
  }
}
