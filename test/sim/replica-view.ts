import type { CoreEntry, CoreHardState, CoreLog } from "../../src/raft/core.ts";
import type { Violations } from "./violation.ts";

/**
 * What one replica's log is, as its core has been told, over all lives of the replica: terms of entries, durable or
 * not, and what the replica has promised to others.
 */
export class ReplicaView {
  readonly replicaId: number;
  readonly #violations: Violations;
  /** Undefined until a message has told. */
  topicId: number | undefined;
  /** Entry before the first one that is known: the log was compacted to it. */
  #base = { index: 0, term: 0 };
  /** Terms of the entries after the base. */
  #terms: number[] = [];
  /** Last entry whose durability was told to a leader. */
  #promisedIndex = 0;
  /** Whom it voted for in which term, as told to candidates. */
  readonly #votes = new Map<number, number>();
  #promisedTerm = 0;
  hardState: CoreHardState = { term: 0, vote: 0, commit: 0 };
  appliedIndex = 0;
  isLeader = false;
  #isFirstLife = true;

  constructor(replicaId: number, violations: Violations) {
    this.replicaId = replicaId;
    this.#violations = violations;
  }

  get name(): string {
    return `replica ${this.replicaId} of topic ${this.topicId ?? "?"}`;
  }

  get firstIndex(): number {
    return this.#base.index + 1;
  }

  get lastIndex(): number {
    return this.#base.index + this.#terms.length;
  }

  /** Undefined for what is compacted or beyond the end. */
  termAt(index: number): number | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#terms[index - this.#base.index - 1];
  }

  /** It is opened from its disk: what it promised must be there. */
  opened(log: CoreLog, hardState: CoreHardState, appliedIndex: number): void {
    const firstIndex = log.firstIndex();
    const lastIndex = log.lastIndex();
    if (!this.#isFirstLife) this.#checkPromises(log, hardState);
    this.#isFirstLife = false;
    this.#base = { index: firstIndex - 1, term: log.termAt(firstIndex - 1) ?? 0 };
    this.#terms = [];
    for (let index = firstIndex; index <= lastIndex; index += 1) {
      this.#terms.push(log.termAt(index) ?? 0);
    }
    this.#promisedIndex = Math.min(this.#promisedIndex, lastIndex);
    this.hardState = hardState;
    this.appliedIndex = appliedIndex;
    this.isLeader = false;
  }

  /** New entries, which replace those from the first one on. */
  append(entries: readonly CoreEntry[]): void {
    const [first] = entries;
    if (first === undefined) return;
    if (first.index > this.lastIndex + 1 || first.index < this.firstIndex) {
      this.#violations.report(
        `${this.name} gets entry ${first.index} over a log of ${this.firstIndex} to ${this.lastIndex}`,
      );
      return;
    }
    this.#terms.length = first.index - this.firstIndex;
    for (const { term } of entries) this.#terms.push(term);
    this.#promisedIndex = Math.min(this.#promisedIndex, first.index - 1);
  }

  /** A snapshot takes the place of the whole log. */
  restore(index: number, term: number): void {
    this.#base = { index, term };
    this.#terms = [];
    this.#promisedIndex = index;
    this.appliedIndex = Math.max(this.appliedIndex, index);
  }

  /** It has told a leader that its log up to there is durable. */
  promised(index: number, term: number): void {
    this.#promisedIndex = Math.max(this.#promisedIndex, Math.min(index, this.lastIndex));
    this.#promisedTerm = Math.max(this.#promisedTerm, term);
  }

  /** It has told a candidate that it has its vote. */
  voted(term: number, candidate: number): void {
    const before = this.#votes.get(term);
    if (before !== undefined && before !== candidate) {
      this.#violations.report(`${this.name} votes for ${before} and ${candidate} in term ${term}`);
    }
    this.#votes.set(term, candidate);
    this.#promisedTerm = Math.max(this.#promisedTerm, term);
  }

  #checkPromises(log: CoreLog, hardState: CoreHardState): void {
    const { term, vote } = hardState;
    if (term < this.#promisedTerm) {
      this.#violations.report(
        `${this.name} has forgotten term ${this.#promisedTerm}: it starts in ${term}`,
      );
    }
    const promisedVote = this.#votes.get(term);
    if (promisedVote !== undefined && promisedVote !== vote) {
      this.#violations.report(
        `${this.name} has forgotten its vote for ${promisedVote} in term ${term}: it says ${vote}`,
      );
    }
    const from = Math.max(log.firstIndex(), this.firstIndex);
    for (let index = from; index <= this.#promisedIndex; index += 1) {
      const found = log.termAt(index);
      if (found === this.termAt(index)) continue;
      this.#violations.report(
        `${this.name} has lost entry ${index} of term ${this.termAt(index)}, which it had acknowledged: ` +
          `its log is ${log.firstIndex()} to ${log.lastIndex()}, term ${found} there`,
      );
      return;
    }
  }
}
