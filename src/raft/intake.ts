import type { Abortable } from "../base/abortable.ts";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { ProglogError } from "../base/errors.ts";
import type { AdmissionLane } from "./admission.ts";
import { Call } from "./call.ts";
import { bytesOf, Gathered } from "./gathered.ts";
import { InFlight } from "./in-flight.ts";
import type { RaftJournal } from "./raft-journal.ts";
import type { VoterHost, VoterProposeOptions } from "./voter.ts";
import { withOutcome } from "./voter-errors.ts";

/** Those whose commands share an entry, in order. */
export type Calls<O, C> = readonly Call<O, C>[];

export interface IntakeParts<O, C> {
  readonly journal: Pick<RaftJournal, "beforeFlush">;
  readonly host: Pick<VoterHost<O, C>, "encode" | "canShare" | "written">;
  readonly lane: AdmissionLane;
  /** For the leader's clock in the entries. */
  readonly clock: Clock;
  /** Why nothing can be proposed now. */
  readonly refusal: (makesRoom: boolean) => ProglogError | undefined;
  readonly tick: () => number;
  /** What to say to who waits since that tick, when no majority has been heard of for long; undefined otherwise. */
  readonly silence: (sinceTick: number) => ProglogError | undefined;
  /** Entries of shared commands that may be on their way at a time. */
  readonly entriesMax: () => number;
  /**
   * Makes an entry. From then on {@link Intake.settled} or {@link Intake.refuse} is called for its calls.
   * @returns why that cannot be; then nothing has happened
   */
  readonly propose: (
    payload: Uint8Array,
    calls: Calls<O, C>,
    makesRoom: boolean,
  ) => ProglogError | undefined;
}

/**
 * Takes commands until they are entries. Those that may share one are gathered while the journal is busy,
 * and become one entry just before its next flush: so each costs a fraction of an entry, and none waits
 * for longer than it would have to.
 */
export class Intake<O, C> {
  readonly #parts: IntakeParts<O, C>;
  readonly #inFlight: InFlight;
  /** Those whose turn has not come. */
  readonly #waiting = new Set<Call<O, C>>();
  readonly #gathered = new Gathered<O, C>();
  /** True while the journal will ask for what is gathered. */
  #isAwaited = false;
  /** By entry. */
  readonly #proposed = new Set<Calls<O, C>>();
  #drained: (() => void)[] = [];
  #stopped: ProglogError | undefined;

  constructor(parts: IntakeParts<O, C>) {
    this.#parts = parts;
    this.#inFlight = new InFlight(parts.lane, () => parts.host.written());
  }

  /** Nobody waits for anything. */
  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#gathered.isEmpty && this.#proposed.size === 0;
  }

  /** See `Replicator.propose`. */
  propose(command: C, options: VoterProposeOptions): Promise<O> {
    const reason = options.caller?.reason;
    if (reason !== undefined) return Promise.reject(withOutcome(reason, "none"));
    const refusal = this.#stopped ?? this.#parts.refusal(options.makesRoom === true);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const tick = this.#parts.tick();
      const call = new Call<O, C>({ command, options, resolve, reject, tick });
      this.#request(call);
      call.watch(this.#giveUp);
    });
  }

  /** An entry is applied. */
  settled(calls: Calls<O, C>, outcomes: readonly O[]): void {
    const { length } = calls;
    assert(outcomes.length === length, `${outcomes.length} outcomes for ${length} commands`);
    if (!this.#proposed.delete(calls)) return;
    this.#inFlight.applied(bytesOf(calls));
    for (let at = 0; at < length; at += 1) calls[at]?.resolve(outcomes[at] as O);
    this.#proposeSoon();
    this.#settleDrain();
  }

  /** Who leads may have changed: what is gathered does not wait for entries of which nobody may ever hear. */
  changed(): void {
    if (!this.#gathered.isEmpty && this.#parts.refusal(false) !== undefined)
      this.#proposeGathered();
  }

  /** Nobody will say soon what comes of the entries that are on their way: who waits need not wait any longer. */
  forsake(reason: ProglogError): void {
    for (const calls of this.#proposed) {
      for (const call of calls) call.reject(withOutcome(reason, "unknown"));
    }
  }

  /** What comes of an entry is not, or will not be, known here. */
  refuse(calls: Calls<O, C>, error: ProglogError): void {
    if (!this.#proposed.delete(calls)) return;
    this.#reject(calls, error);
    this.#proposeSoon();
  }

  /** Resolves when what was taken is settled. */
  drain(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained.push(resolve);
    });
  }

  /** All who wait get `reason`, with `outcome: unknown` when they are in an entry. */
  stop(reason: ProglogError): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    const waiting = [...this.#waiting, ...this.#gathered.take()];
    const proposed = [...this.#proposed].flat();
    this.#waiting.clear();
    this.#proposed.clear();
    for (const { turn } of waiting) if (turn !== undefined) this.#parts.lane.withdraw(turn);
    this.#inFlight.stop();
    for (const call of waiting) call.reject(reason);
    for (const call of proposed) call.reject(withOutcome(reason, "unknown"));
    this.#settleDrain();
  }

  readonly #giveUp = (call: Call<O, C>, { reason }: Abortable): void => {
    if (call.turn !== undefined) {
      this.#parts.lane.withdraw(call.turn);
      this.#waiting.delete(call);
    }
    // One that is gathered is left out when its entry is made.
    if (reason !== undefined) call.reject(this.#whyGivenUp(call, reason));
    this.#settleDrain();
  };

  /** A deadline is not why, when nobody was there to take entries. */
  #whyGivenUp({ isProposed, tick }: Call<O, C>, reason: ProglogError): ProglogError {
    const isLate = reason.reason === "DEADLINE_EXCEEDED";
    const silence = isLate ? this.#parts.silence(tick) : undefined;
    return withOutcome(silence ?? reason, isProposed ? "unknown" : "none");
  }

  #request(call: Call<O, C>): void {
    const { lane } = this.#parts;
    if (call.makesRoom) {
      lane.enter(call.bytes);
      this.#start(call);
      return;
    }
    try {
      call.turn = lane.request(call.bytes, () => this.#start(call));
      if (call.turn !== undefined) this.#waiting.add(call);
    } catch (error) {
      call.reject(error);
    }
  }

  /** Its turn has come: the lane counts its bytes. */
  #start(call: Call<O, C>): void {
    if (call.turn !== undefined) {
      call.turn = undefined;
      this.#waiting.delete(call);
    }
    if (this.#stopped !== undefined) {
      this.#parts.lane.leave(call.bytes);
      call.reject(this.#stopped);
      return;
    }
    this.#inFlight.took(call.bytes);
    const refusal = this.#parts.refusal(call.makesRoom);
    if (refusal !== undefined) this.#reject([call], refusal);
    else if (this.#parts.host.canShare(call.command)) this.#gather(call);
    else {
      this.#proposeGathered();
      this.#proposeEntry([call], call.makesRoom);
    }
  }

  #gather(call: Call<O, C>): void {
    if (!this.#gathered.hasRoomFor(call)) this.#proposeGathered();
    this.#gathered.add(call);
    this.#proposeSoon();
  }

  /**
   * What is gathered becomes an entry before the journal's next flush; or when one of those before is settled: an
   * entry costs every replica the same, whatever it holds, so a few larger ones are better than many on their way.
   */
  #proposeSoon(): void {
    if (this.#isAwaited || this.#gathered.isEmpty) return;
    if (this.#proposed.size >= this.#parts.entriesMax()) return;
    this.#isAwaited = true;
    this.#parts.journal.beforeFlush(() => {
      this.#isAwaited = false;
      if (this.#proposed.size < this.#parts.entriesMax()) this.#proposeGathered();
    });
  }

  #proposeGathered(): void {
    if (this.#gathered.isEmpty) return;
    const gathered = this.#gathered.take();
    const calls = gathered.filter(({ isSettled }) => !isSettled);
    if (calls.length < gathered.length) this.#inFlight.leave(bytesOf(gathered) - bytesOf(calls));
    const refusal = this.#parts.refusal(false);
    if (refusal !== undefined) this.#reject(calls, refusal);
    else if (calls.length > 0) this.#proposeEntry(calls, false);
    this.#settleDrain();
  }

  #proposeEntry(calls: Calls<O, C>, makesRoom: boolean): void {
    const { host, clock, propose } = this.#parts;
    const commands = calls.map(({ command }) => command);
    const payload = host.encode(commands, clock.wallUs());
    // Before it is proposed: it may be applied at once.
    this.#proposed.add(calls);
    for (const call of calls) call.isProposed = true;
    const refusal = propose(payload, calls, makesRoom);
    if (refusal !== undefined) this.refuse(calls, refusal);
  }

  #reject(calls: Calls<O, C>, error: ProglogError): void {
    this.#inFlight.leave(bytesOf(calls));
    for (const call of calls) call.reject(error);
    this.#settleDrain();
  }

  #settleDrain(): void {
    if (this.#drained.length === 0 || !this.isIdle) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}
