import type { ProglogError } from "../base/errors.ts";
import type { TailEntry } from "./log-tail.ts";
import { LostEntries } from "./lost-entries.ts";
import { PendingConfChange } from "./pending-conf-change.ts";
import type { JournalledEntry } from "./raft-journal.ts";
import { withOutcome } from "./voter-errors.ts";

export interface OutcomesParts<O, W> {
  readonly settled: (waiting: W, outcomes: readonly O[]) => void;
  readonly refused: (waiting: W, error: ProglogError) => void;
  readonly notLeader: () => ProglogError;
}

/** What becomes of that which was proposed here: known when something is applied at its index, not before. */
export class Outcomes<O, W> {
  readonly #parts: OutcomesParts<O, W>;
  readonly #lost = new LostEntries<W>();
  #change: PendingConfChange | undefined;

  constructor(parts: OutcomesParts<O, W>) {
    this.#parts = parts;
  }

  /** Somebody waits for a change of membership. */
  get isChanging(): boolean {
    return this.#change !== undefined;
  }

  /** A change of membership was proposed. Resolves when it is applied. */
  whenChanged(index: number, term: number): Promise<void> {
    this.#change = new PendingConfChange(index, term);
    return this.#change.done;
  }

  /** Others have taken the place of these, for now. */
  lost(entries: readonly TailEntry<W>[]): void {
    for (const { index, term, waiting } of entries) {
      if (waiting !== undefined) this.#lost.add({ index, term, waiting });
    }
  }

  applied({ index, term }: JournalledEntry, outcomes: readonly O[], waiting: W | undefined): void {
    const { settled, refused, notLeader } = this.#parts;
    if (waiting !== undefined) settled(waiting, outcomes);
    for (const lost of this.#lost.takeAt(index)) {
      // Another leader may have brought it back.
      if (lost.term === term) settled(lost.waiting, outcomes);
      else refused(lost.waiting, notLeader());
    }
    if (this.#change?.index !== index) return;
    if (this.#change.term === term) this.#change.applied();
    else this.#change.failed(notLeader());
    this.#change = undefined;
  }

  /** The state is a snapshot's: nobody here learns what came of single entries up to that index. */
  skippedThrough(index: number): void {
    const unknown = withOutcome(this.#parts.notLeader(), "unknown");
    for (const { waiting } of this.#lost.takeThrough(index)) this.#parts.refused(waiting, unknown);
    if (this.#change === undefined || this.#change.index > index) return;
    this.#change.failed(unknown);
    this.#change = undefined;
  }

  stop(reason: ProglogError): void {
    this.#lost.takeAll();
    this.#change?.failed(withOutcome(reason, "unknown"));
    this.#change = undefined;
  }
}
