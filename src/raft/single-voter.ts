import type { Abortable } from "../base/abortable.ts";
import { assert } from "../base/assert.ts";
import { ProglogError } from "../base/errors.ts";
import { Call, type Pending } from "./call.ts";
import { bytesOf, Gathered } from "./gathered.ts";
import { InFlight } from "./in-flight.ts";
import { unappliedEntries } from "./unapplied.ts";
import {
  type AppliedEntry,
  ENTRY_COMMAND,
  type SingleVoterOptions,
  type VoterProposeOptions,
} from "./voter.ts";
import { diskFull, withOutcome } from "./voter-errors.ts";

/**
 * The one voter of a group: what it has journalled is committed. Journals,
 * applies, acknowledges, in this order. Raft takes its place later, behind
 * `topics/replicator.ts`, which this fits.
 *
 * Commands that may share an entry are gathered while the journal is busy, and become one
 * entry just before its next flush: so each costs a fraction of an entry, and none waits for
 * longer than it would have to.
 *
 * Entries of one group have dense indexes. The journal refuses entries only
 * from some entry on to the last one that was handed in (when its disk is full), so a refused
 * entry's index is given again, and none is proposed until all of those are back.
 */
export class SingleVoter<O, C> {
  readonly #options: SingleVoterOptions<O, C>;
  readonly #inFlight: InFlight;
  /** Those whose turn has not come. */
  readonly #waiting = new Set<Call<O, C>>();
  readonly #gathered = new Gathered<O, C>();
  /** True while the journal will ask for what is gathered. */
  #isAwaited = false;
  /** Proposed and not yet applied, by rising index. */
  readonly #pending: Pending<O, C>[] = [];
  #lastIndex: number;
  #appliedIndex: number;
  #appliedTerm: number;
  #isRecovering = true;
  /** True after the host threw: what lies behind that entry must not be applied. */
  #isHalted = false;
  #isDraining = false;
  #drained: (() => void)[] = [];
  #stopped: ProglogError | undefined;

  constructor(options: SingleVoterOptions<O, C>) {
    assert(
      options.lastIndex >= options.appliedIndex,
      `Replica ${options.replicaId} has applied ${options.appliedIndex} of ${options.lastIndex}`,
    );
    this.#options = options;
    this.#inFlight = new InFlight(options.lane, () => options.host.written());
    this.#lastIndex = options.lastIndex;
    this.#appliedIndex = options.appliedIndex;
    this.#appliedTerm = options.appliedTerm;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get appliedTerm(): number {
    return this.#appliedTerm;
  }

  /** True until {@link recover} is through: the state is older than what was acknowledged. */
  get isRecovering(): boolean {
    return this.#isRecovering;
  }

  /**
   * Applies an entry that a pass over the journal came by, before {@link recover}.
   * @returns false when it cannot now: recover will do it, or say what is wrong
   */
  replay(entry: AppliedEntry & { readonly kind: number }): boolean {
    const isNext = entry.index === this.#appliedIndex + 1 && entry.kind === ENTRY_COMMAND;
    if (!isNext || this.#stopped !== undefined || !this.#options.host.canApply()) return false;
    this.#apply(entry);
    return true;
  }

  /**
   * Applies what the journal has beyond the applied index; to be called once, before
   * proposals are taken. It waits while the host has no room.
   *
   * @throws JOURNAL_CORRUPT when an entry is missing or of an unknown kind
   */
  async recover(): Promise<void> {
    const { journal, host, replicaId } = this.#options;
    const isStopped = () => this.#stopped !== undefined;
    const { appliedIndex } = this;
    const lastIndex = this.#lastIndex;
    const from = { journal, host, replicaId, appliedIndex, lastIndex, isStopped };
    for await (const entry of unappliedEntries(from)) this.#apply(entry);
    if (isStopped()) return;
    this.#isRecovering = false;
  }

  /** See `Replicator.propose`. */
  propose(command: C, options: VoterProposeOptions): Promise<O> {
    const reason = options.caller?.reason;
    if (reason !== undefined) return Promise.reject(withOutcome(reason, "none"));
    const refusal = this.#refusal(options.makesRoom === true);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const call = new Call<O, C>({ command, options, resolve, reject });
      this.#request(call);
      call.watch(this.#giveUp);
    });
  }

  /** Refuses new proposals (DRAINING); resolves when those taken are settled. */
  drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained.push(resolve);
    });
  }

  /**
   * Ends at once: all who wait get `reason`, with `outcome: unknown` when their entry
   * is in the journal's hands; nothing is applied or acknowledged any more.
   */
  stop(reason: ProglogError): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    const waiting = [...this.#waiting, ...this.#gathered.take()];
    const proposed = this.#pending.flatMap(({ calls }) => calls);
    this.#waiting.clear();
    this.#pending.length = 0;
    for (const { turn } of waiting) if (turn !== undefined) this.#options.lane.withdraw(turn);
    this.#inFlight.stop();
    for (const call of waiting) call.reject(reason);
    for (const call of proposed) call.reject(withOutcome(reason, "unknown"));
    this.#settleDrain();
  }

  readonly #giveUp = (call: Call<O, C>, { reason }: Abortable): void => {
    if (call.turn !== undefined) {
      this.#options.lane.withdraw(call.turn);
      this.#waiting.delete(call);
    }
    // One that is gathered is left out when its entry is made.
    if (reason !== undefined)
      call.reject(withOutcome(reason, call.isProposed ? "unknown" : "none"));
    this.#settleDrain();
  };

  #request(call: Call<O, C>): void {
    const { lane } = this.#options;
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
      this.#options.lane.leave(call.bytes);
      call.reject(this.#stopped);
      return;
    }
    this.#inFlight.took(call.bytes);
    const refusal = this.#diskRefusal(call.makesRoom);
    if (refusal !== undefined) this.#refuseCalls([call], refusal);
    else if (this.#options.host.canShare(call.command)) this.#gather(call);
    else {
      this.#proposeGathered();
      this.#proposeEntry([call], call.makesRoom);
    }
  }

  #gather(call: Call<O, C>): void {
    if (!this.#gathered.hasRoomFor(call)) this.#proposeGathered();
    this.#gathered.add(call);
    if (this.#isAwaited) return;
    this.#isAwaited = true;
    this.#options.journal.beforeFlush(() => {
      this.#isAwaited = false;
      this.#proposeGathered();
    });
  }

  #proposeGathered(): void {
    if (this.#gathered.isEmpty) return;
    const gathered = this.#gathered.take();
    const calls = gathered.filter(({ isSettled }) => !isSettled);
    if (calls.length < gathered.length) this.#inFlight.leave(bytesOf(gathered) - bytesOf(calls));
    const refusal = this.#diskRefusal(false);
    if (refusal !== undefined) this.#refuseCalls(calls, refusal);
    else if (calls.length > 0) this.#proposeEntry(calls, false);
    this.#settleDrain();
  }

  #proposeEntry(calls: readonly Call<O, C>[], makesRoom: boolean): void {
    const { journal, host, clock, replicaId, term } = this.#options;
    // When its disk fills up the journal refuses what is not urgent, and would leave a gap before
    // what is. While it is full, what is still pending is being written and will not be refused.
    const isUrgent = makesRoom && (journal.isDiskFull || !this.#isJournalling);
    const commands = calls.map(({ command }) => command);
    const payload = host.encode(commands, clock.wallUs());
    this.#lastIndex += 1;
    const entry: Pending<O, C> = { index: this.#lastIndex, payload, calls, isJournalled: false };
    for (const call of calls) call.isProposed = true;
    this.#pending.push(entry);
    journal.append(
      [{ replicaId, index: entry.index, term, kind: ENTRY_COMMAND, payload: [payload] }],
      (error) => this.#journalled(entry, error),
      { isUrgent },
    );
  }

  #journalled(entry: Pending<O, C>, error: ProglogError | undefined): void {
    if (this.#stopped !== undefined) return;
    if (error !== undefined) {
      this.#refuse(entry, error);
      return;
    }
    assert(entry.index <= this.#lastIndex, `Entry ${entry.index} is journalled behind a gap`);
    entry.isJournalled = true;
    this.#applyCommitted();
  }

  /** The journal did not take the entry, nor will it take those behind. */
  #refuse(entry: Pending<O, C>, error: ProglogError): void {
    const place = this.#pending.indexOf(entry);
    if (place < 0) return;
    this.#pending.splice(place, 1);
    this.#lastIndex = Math.min(this.#lastIndex, entry.index - 1);
    this.#refuseCalls(entry.calls, error);
  }

  #refuseCalls(calls: readonly Call<O, C>[], error: ProglogError): void {
    this.#inFlight.leave(bytesOf(calls));
    for (const call of calls) call.reject(error);
    this.#settleDrain();
  }

  #applyCommitted(): void {
    if (this.#isHalted) return;
    for (let entry = this.#pending[0]; entry?.isJournalled === true; entry = this.#pending[0]) {
      const { index, payload, calls } = entry;
      let outcomes: readonly O[];
      try {
        outcomes = this.#apply({ index, term: this.#options.term, payload });
        assert(outcomes.length === calls.length, `Entry ${index} has ${outcomes.length} outcomes`);
      } catch (error) {
        this.#isHalted = true;
        this.#options.onFailure(error);
        return;
      }
      this.#pending.shift();
      this.#inFlight.applied(bytesOf(calls));
      for (let at = 0; at < calls.length; at += 1) calls[at]?.resolve(outcomes[at] as O);
    }
    this.#options.onApplied?.();
    this.#settleDrain();
  }

  #apply(entry: AppliedEntry): readonly O[] {
    assert(entry.index === this.#appliedIndex + 1, `Cannot apply ${entry.index} out of order`);
    const outcomes = this.#options.host.apply(entry);
    this.#appliedIndex = entry.index;
    this.#appliedTerm = entry.term;
    return outcomes;
  }

  #refusal(makesRoom: boolean): ProglogError | undefined {
    if (this.#stopped !== undefined) return this.#stopped;
    if (this.#isDraining)
      return new ProglogError("DRAINING", "Cannot append: the server is stopping");
    return this.#diskRefusal(makesRoom);
  }

  #diskRefusal(makesRoom: boolean): ProglogError | undefined {
    const { journal, host } = this.#options;
    if (this.#isRecovering) return diskFull("what was journalled before is not yet applied");
    const last = this.#pending.at(-1);
    if (last !== undefined && last.index > this.#lastIndex) return diskFull("the journal is full");
    if (makesRoom) return undefined;
    if (journal.isDiskFull) return diskFull("the journal has no room");
    return host.isDiskFull ? diskFull("the topic's log has no room") : undefined;
  }

  /** Some entry is in the journal's hands. */
  get #isJournalling(): boolean {
    return this.#pending.at(-1)?.isJournalled === false;
  }

  get #isIdle(): boolean {
    return this.#waiting.size === 0 && this.#gathered.isEmpty && this.#pending.length === 0;
  }

  #settleDrain(): void {
    if (!this.#isDraining && this.#stopped === undefined) return;
    if (!this.#isIdle) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}
