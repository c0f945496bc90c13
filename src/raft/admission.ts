import { ProglogError } from "../base/errors.ts";

export interface AdmissionLimits {
  /** Bytes in flight in all lanes together. */
  readonly bytesMax: number;
  /** Bytes in flight in one lane. */
  readonly laneBytesMax: number;
  /** Bytes that wait for their turn in all lanes together. */
  readonly waitingBytesMax: number;
  /** Calls that wait for their turn in all lanes together. */
  readonly waitingCountMax: number;
}

/** One that waits. */
export interface Turn {
  readonly bytes: number;
  readonly start: () => void;
  isWithdrawn: boolean;
}

interface LaneState {
  inFlightBytes: number;
  readonly waiting: Turn[];
}

/**
 * Bounds the memory that proposals hold until they are applied.
 *
 * Each group has a lane. Within a lane turns come in order of asking; between
 * lanes that wait for the common limit they go round. What is larger than a limit
 * gets its turn alone. Beyond the limits one waits, and beyond the limits of
 * waiting one is refused, so that overload is seen by clients instead of by the
 * process's memory.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  /** Lanes with someone waiting, the one whose turn is next first. */
  readonly #waitingLanes = new Set<LaneState>();
  #inFlightBytes = 0;
  #waitingBytes = 0;
  #waitingCount = 0;
  /** True while the lane that is next waits for the common limit: nobody may overtake it. */
  #isBlocked = false;
  #isHeld = false;
  #isAdmitting = false;
  #admitsAgain = false;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** While true nobody is let in: all wait, as far as may wait. */
  set isHeld(isHeld: boolean) {
    if (this.#isHeld === isHeld) return;
    this.#isHeld = isHeld;
    if (!isHeld) this.#admit();
  }

  lane(): AdmissionLane {
    return new AdmissionLane(this, { inFlightBytes: 0, waiting: [] });
  }

  /** See {@link AdmissionLane.request}. */
  request(lane: LaneState, bytes: number, start: () => void): Turn | undefined {
    const isFree = !this.#isBlocked && !this.#isHeld && lane.waiting.length === 0;
    if (isFree && this.#fits(lane, bytes)) {
      this.#enter(lane, bytes);
      start();
      return undefined;
    }
    const { waitingBytesMax, waitingCountMax } = this.#limits;
    if (
      this.#waitingCount >= waitingCountMax ||
      (this.#waitingCount > 0 && this.#waitingBytes + bytes > waitingBytesMax)
    ) {
      throw new ProglogError(
        "RATE_LIMITED",
        `Cannot take ${bytes} bytes: ${this.#waitingCount} calls with ${this.#waitingBytes} bytes wait already`,
        {
          metadata: {
            waitingCount: `${this.#waitingCount}`,
            waitingBytes: `${this.#waitingBytes}`,
          },
        },
      );
    }
    const turn: Turn = { bytes, start, isWithdrawn: false };
    if (!this.#fitsAll(bytes)) this.#isBlocked = true;
    lane.waiting.push(turn);
    this.#waitingLanes.add(lane);
    this.#waitingBytes += bytes;
    this.#waitingCount += 1;
    return turn;
  }

  /** Counts without waiting, also beyond the limits. */
  enter(lane: LaneState, bytes: number): void {
    this.#enter(lane, bytes);
  }

  leave(lane: LaneState, bytes: number): void {
    lane.inFlightBytes -= bytes;
    this.#inFlightBytes -= bytes;
    this.#admit();
  }

  withdraw(lane: LaneState, turn: Turn): void {
    if (turn.isWithdrawn) return;
    const place = lane.waiting.indexOf(turn);
    if (place < 0) return;
    lane.waiting.splice(place, 1);
    turn.isWithdrawn = true;
    this.#forget(lane, turn);
    this.#admit();
  }

  #fits(lane: LaneState, bytes: number): boolean {
    return (
      (lane.inFlightBytes === 0 || lane.inFlightBytes + bytes <= this.#limits.laneBytesMax) &&
      this.#fitsAll(bytes)
    );
  }

  #fitsAll(bytes: number): boolean {
    return this.#inFlightBytes === 0 || this.#inFlightBytes + bytes <= this.#limits.bytesMax;
  }

  #enter(lane: LaneState, bytes: number): void {
    lane.inFlightBytes += bytes;
    this.#inFlightBytes += bytes;
  }

  #forget(lane: LaneState, turn: Turn): void {
    this.#waitingBytes -= turn.bytes;
    this.#waitingCount -= 1;
    if (lane.waiting.length === 0) this.#waitingLanes.delete(lane);
  }

  /** Gives out turns. One that is started may leave at once: that is seen by another pass, not by recursion. */
  #admit(): void {
    this.#admitsAgain = true;
    if (this.#isAdmitting) return;
    this.#isAdmitting = true;
    try {
      while (this.#admitsAgain) {
        this.#admitsAgain = false;
        this.#admitRound();
      }
    } finally {
      this.#isAdmitting = false;
    }
  }

  /** One turn a lane and round, until a lane is stopped by the common limit. */
  #admitRound(): void {
    if (this.#isHeld) return;
    this.#isBlocked = false;
    for (const lane of this.#waitingLanes) {
      const turn = lane.waiting[0];
      if (turn === undefined) continue;
      if (!this.#fitsAll(turn.bytes)) {
        this.#isBlocked = true;
        return;
      }
      if (!this.#fits(lane, turn.bytes)) continue;
      lane.waiting.shift();
      this.#forget(lane, turn);
      this.#enter(lane, turn.bytes);
      if (lane.waiting.length > 0) {
        // Behind the others: the loop over the set comes by again.
        this.#waitingLanes.delete(lane);
        this.#waitingLanes.add(lane);
      }
      turn.start();
    }
  }
}

/** One group's place in an {@link Admission}. */
export class AdmissionLane {
  readonly #admission: Admission;
  readonly #state: LaneState;

  constructor(admission: Admission, state: LaneState) {
    this.#admission = admission;
    this.#state = state;
  }

  get inFlightBytes(): number {
    return this.#state.inFlightBytes;
  }

  get waitingCount(): number {
    return this.#state.waiting.length;
  }

  /**
   * Calls `start` when there is room for `bytes`: at once and before this returns
   * (then there is no turn to withdraw), or later, in order. Who was started must
   * {@link leave} once.
   *
   * @throws RATE_LIMITED when too many wait
   */
  request(bytes: number, start: () => void): Turn | undefined {
    return this.#admission.request(this.#state, bytes, start);
  }

  /** Takes room without asking. */
  enter(bytes: number): void {
    this.#admission.enter(this.#state, bytes);
  }

  leave(bytes: number): void {
    this.#admission.leave(this.#state, bytes);
  }

  /** Gives up a place in the queue; `start` will not be called. */
  withdraw(turn: Turn): void {
    this.#admission.withdraw(this.#state, turn);
  }
}
