import { assert } from "../base/assert.ts";
import { ProglogError } from "../base/errors.ts";
import { type Call, openCall, type Pending } from "./call.ts";
import {
  type AppliedEntry,
  ENTRY_COMMAND,
  type SingleVoterOptions,
  type VoterProposeOptions,
} from "./voter.ts";
import { diskFull, entryMissing, entryUnknown, givenUp, withOutcome } from "./voter-errors.ts";

/**
 * The one voter of a group: what it has journalled is committed. Journals,
 * applies, acknowledges, in this order. Raft takes its place later, behind
 * `topics/replicator.ts`, which this fits.
 *
 * Entries of one group have dense indexes. The journal refuses entries only
 * from some entry on to the last one that was handed in (when its disk is full), so a refused
 * entry's index is given again, and none is proposed until all of those are back.
 */
export class SingleVoter<O> {
  readonly #options: SingleVoterOptions<O>;
  /** Proposed and not yet applied, by rising index. */
  readonly #pending: Pending<O>[] = [];
  readonly #calls = new Set<Call<O>>();
  #lastIndex: number;
  #appliedIndex: number;
  #appliedTerm: number;
  #isRecovering = true;
  /** True after the host threw: what lies behind that entry must not be applied. */
  #isHalted = false;
  #isDraining = false;
  /** Of applied entries that the host has not written yet, and nobody watches yet. */
  #unwrittenBytes = 0;
  #isWriteWatched = false;
  /** What this holds of its lane. */
  #inFlightBytes = 0;
  #drained: (() => void)[] = [];
  #stopped: ProglogError | undefined;

  constructor(options: SingleVoterOptions<O>) {
    assert(
      options.lastIndex >= options.appliedIndex,
      `Replica ${options.replicaId} has applied ${options.appliedIndex} of ${options.lastIndex}`,
    );
    this.#options = options;
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
    if (this.#appliedIndex < this.#lastIndex) {
      for await (const entry of journal.entries(replicaId, this.#appliedIndex + 1)) {
        if (entry.index !== this.#appliedIndex + 1)
          throw entryMissing(replicaId, this.#appliedIndex + 1, entry.index);
        if (entry.kind !== ENTRY_COMMAND) throw entryUnknown(replicaId, entry.index, entry.kind);
        // Also ends when the host is closed meanwhile, which it says by rejecting.
        while (!host.canApply() && this.#stopped === undefined) await this.#whenCanApply();
        if (this.#stopped !== undefined) return;
        this.#apply(entry);
      }
    }
    if (this.#appliedIndex !== this.#lastIndex)
      throw entryMissing(replicaId, this.#appliedIndex + 1, this.#lastIndex);
    this.#isRecovering = false;
  }

  /** See `Replicator.propose`. */
  propose(encode: () => Uint8Array, options: VoterProposeOptions): Promise<O> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(givenUp(signal, "none"));
    const refusal = this.#refusal(options);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const parts = { bytes: options.bytes, resolve, reject };
      const call = openCall<O>(parts, signal, (given, by) => this.#giveUp(given, by));
      this.#calls.add(call);
      const start = () => this.#start(call, encode, options);
      if (options.makesRoom === true) {
        this.#options.lane.enter(call.bytes);
        start();
        return;
      }
      try {
        call.turn = this.#options.lane.request(call.bytes, start);
      } catch (error) {
        this.#reject(call, error);
      }
    });
  }

  /** Refuses new proposals (DRAINING); resolves when those taken are settled. */
  drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#calls.size === 0 && this.#pending.length === 0) return Promise.resolve();
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
    for (const call of [...this.#calls]) {
      if (call.turn !== undefined && !call.isProposed) this.#options.lane.withdraw(call.turn);
      call.reject(call.isProposed ? withOutcome(reason, "unknown") : reason);
    }
    this.#pending.length = 0;
    this.#calls.clear();
    this.#options.lane.leave(this.#inFlightBytes);
    this.#settleDrain();
  }

  #giveUp(call: Call<O>, signal: AbortSignal): void {
    if (call.turn !== undefined && !call.isProposed) this.#options.lane.withdraw(call.turn);
    this.#reject(call, givenUp(signal, call.isProposed ? "unknown" : "none"));
  }

  #start(call: Call<O>, encode: () => Uint8Array, options: VoterProposeOptions): void {
    const refusal = this.#stopped ?? this.#diskRefusal(options);
    if (refusal !== undefined) {
      this.#options.lane.leave(call.bytes);
      this.#reject(call, refusal);
      return;
    }
    this.#inFlightBytes += call.bytes;
    const { journal, replicaId, term } = this.#options;
    // When its disk fills up the journal refuses what is not urgent, and would leave a gap before
    // what is. While it is full, what is still pending is being written and will not be refused.
    const isUrgent = options.makesRoom === true && (journal.isDiskFull || !this.#isJournalling);
    const payload = encode();
    this.#lastIndex += 1;
    const entry: Pending<O> = { index: this.#lastIndex, payload, call, isJournalled: false };
    call.isProposed = true;
    this.#pending.push(entry);
    journal.append(
      [{ replicaId, index: entry.index, term, kind: ENTRY_COMMAND, payload: [payload] }],
      (error) => this.#journalled(entry, error),
      { isUrgent },
    );
  }

  #journalled(entry: Pending<O>, error: ProglogError | undefined): void {
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
  #refuse(entry: Pending<O>, error: ProglogError): void {
    const place = this.#pending.indexOf(entry);
    if (place < 0) return;
    this.#pending.splice(place, 1);
    this.#lastIndex = Math.min(this.#lastIndex, entry.index - 1);
    this.#leave(entry.call.bytes);
    this.#reject(entry.call, error);
  }

  #applyCommitted(): void {
    if (this.#isHalted) return;
    for (let entry = this.#pending[0]; entry?.isJournalled === true; entry = this.#pending[0]) {
      this.#pending.shift();
      const { index, payload, call } = entry;
      let outcome: O;
      try {
        outcome = this.#apply({ index, term: this.#options.term, payload });
      } catch (error) {
        this.#isHalted = true;
        this.#options.onFailure(error);
        return;
      }
      this.#unwrittenBytes += call.bytes;
      if (this.#calls.delete(call)) call.resolve(outcome);
    }
    this.#watchWrites();
    this.#options.onApplied?.();
    this.#settleDrain();
  }

  /**
   * Bytes leave the lane when they are written, not when they are applied: so what waits in
   * memory for slow or full files is bounded too, for all groups together.
   */
  #watchWrites(): void {
    if (this.#isWriteWatched || this.#unwrittenBytes === 0) return;
    const bytes = this.#unwrittenBytes;
    this.#unwrittenBytes = 0;
    this.#isWriteWatched = true;
    this.#options.host.written().then(
      () => {
        this.#isWriteWatched = false;
        this.#leave(bytes);
        this.#watchWrites();
      },
      () => {}, // The host has told its owner, who stops this.
    );
  }

  #leave(bytes: number): void {
    if (this.#stopped !== undefined) return;
    this.#inFlightBytes -= bytes;
    this.#options.lane.leave(bytes);
  }

  async #whenCanApply(): Promise<void> {
    try {
      await this.#options.host.whenCanApply();
    } catch (error) {
      if (this.#stopped === undefined) throw error;
    }
  }

  #apply(entry: AppliedEntry): O {
    assert(entry.index === this.#appliedIndex + 1, `Cannot apply ${entry.index} out of order`);
    const outcome = this.#options.host.apply(entry);
    this.#appliedIndex = entry.index;
    this.#appliedTerm = entry.term;
    return outcome;
  }

  #refusal(options: VoterProposeOptions): ProglogError | undefined {
    if (this.#stopped !== undefined) return this.#stopped;
    if (this.#isDraining)
      return new ProglogError("DRAINING", "Cannot append: the server is stopping");
    return this.#diskRefusal(options);
  }

  #diskRefusal(options: VoterProposeOptions): ProglogError | undefined {
    const { journal, host } = this.#options;
    if (this.#isRecovering) return diskFull("what was journalled before is not yet applied");
    const last = this.#pending.at(-1);
    if (last !== undefined && last.index > this.#lastIndex) return diskFull("the journal is full");
    if (options.makesRoom === true) return undefined;
    if (journal.isDiskFull) return diskFull("the journal has no room");
    return host.isDiskFull ? diskFull("the topic's log has no room") : undefined;
  }

  /** Some entry is in the journal's hands. */
  get #isJournalling(): boolean {
    return this.#pending.at(-1)?.isJournalled === false;
  }

  #reject(call: Call<O>, error: unknown): void {
    if (this.#calls.delete(call)) call.reject(error);
    this.#settleDrain();
  }

  #settleDrain(): void {
    if (!this.#isDraining && this.#stopped === undefined) return;
    if (this.#calls.size > 0 || this.#pending.length > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}
