import type { ProglogError } from "../base/errors.ts";
import type { CoreHardState } from "./core.ts";

export interface JournalledEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: number;
  readonly payload: Uint8Array;
}

/** What is in memory of a replica's durable entries: undefined for what is not there. */
export interface EntryFacts {
  termAt(index: number): number | undefined;
  kindAt(index: number): number | undefined;
  payloadBytesAt(index: number): number | undefined;
}

/** All of it becomes durable in one go, in this order, or nothing of it. */
export interface RaftWrite {
  readonly replicaId: number;
  /** Drops all entries. */
  readonly snapshot?: { readonly index: number; readonly term: number };
  readonly entries: readonly {
    readonly index: number;
    readonly term: number;
    readonly kind: number;
    readonly payload: readonly Uint8Array[];
  }[];
  readonly hardState?: CoreHardState;
  /** True: also synced when the journal does not sync by itself. */
  readonly mustSync?: boolean;
}

/** What a group needs of the journal; `journal/journal.ts` fits it. */
export interface RaftJournal {
  /**
   * `done` is called in the order of the calls of one replica, never before this returns. DISK_FULL:
   * nothing was written, and nothing of this replica that was handed in later until then.
   */
  appendRaft(
    write: RaftWrite,
    done: (error?: ProglogError) => void,
    options?: { readonly isUrgent?: boolean },
  ): void;
  /** See `Journal.beforeFlush`. */
  beforeFlush(fill: () => void): void;
  firstIndex(replicaId: number): number;
  lastIndex(replicaId: number): number;
  termAt(replicaId: number, index: number): number | undefined;
  entryTable(replicaId: number): EntryFacts;
  /** Durable ones in [fromIndex, endIndex); ends early at one that is gone. */
  entries(replicaId: number, fromIndex: number, endIndex?: number): AsyncIterable<JournalledEntry>;
  replica(replicaId: number): CoreHardState | undefined;
  readonly isDiskFull: boolean;
}
