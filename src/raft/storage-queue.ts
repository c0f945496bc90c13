import { hasReason, type ProglogError } from "../base/errors.ts";
import type { CoreHardState, CoreSnapshot } from "./core.ts";
import type { TailEntry } from "./log-tail.ts";
import type { RaftJournal } from "./raft-journal.ts";

/** What of a group is to become durable together. */
export interface StorageWrite<W> {
  readonly entries: readonly TailEntry<W>[];
  readonly snapshot: CoreSnapshot | undefined;
  readonly hardState: CoreHardState;
  readonly mustSync: boolean;
  /** It is not refused while the disk is full. */
  isUrgent: boolean;
  /** Called once; without an error it is durable. Not called while it only waits for room. */
  readonly done: (error?: ProglogError) => void;
}

export interface StorageQueueParts<W> {
  readonly journal: RaftJournal;
  readonly replicaId: number;
  /** The disk has no room for this one; it waits, and all that follow. */
  readonly onHeld: (write: StorageWrite<W>, error: ProglogError) => void;
}

/**
 * Hands a group's writes to the journal, in order. What it refuses because the disk is full waits here,
 * and everything behind it: the core has it already and cannot take it back.
 */
export class StorageQueue<W> {
  readonly #parts: StorageQueueParts<W>;
  /** Refused, in order. Before those that were not even handed in. */
  #refused: StorageWrite<W>[] = [];
  #waiting: StorageWrite<W>[] = [];

  constructor(parts: StorageQueueParts<W>) {
    this.#parts = parts;
  }

  /** Some wait for room. */
  get isHeld(): boolean {
    return this.#refused.length > 0;
  }

  add(write: StorageWrite<W>): void {
    if (this.isHeld) this.#waiting.push(write);
    else this.#hand(write);
  }

  /** Hands in what was refused. Not in the turn in which it was: others may be refused yet. */
  retry(): void {
    const held = [...this.#refused, ...this.#waiting];
    this.#refused = [];
    this.#waiting = [];
    for (const write of held) this.#hand(write);
  }

  #hand(write: StorageWrite<W>): void {
    const { journal, replicaId } = this.#parts;
    const { snapshot, hardState, mustSync, isUrgent } = write;
    const entries = write.entries.map(({ index, term, kind, payload }) => {
      return { index, term, kind, payload: payload === undefined ? [] : [payload] };
    });
    const parts = { replicaId, entries, hardState, mustSync };
    journal.appendRaft(
      snapshot === undefined ? parts : { ...parts, snapshot: markOf(snapshot) },
      (error) => this.#answered(write, error),
      { isUrgent },
    );
  }

  #answered(write: StorageWrite<W>, error: ProglogError | undefined): void {
    if (!hasReason(error, "DISK_FULL")) {
      write.done(error);
      return;
    }
    this.#refused.push(write);
    this.#parts.onHeld(write, error);
  }
}

function markOf({ index, term }: CoreSnapshot): { readonly index: number; readonly term: number } {
  return { index, term };
}
