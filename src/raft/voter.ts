import type { Abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import type { ProglogError } from "../base/errors.ts";
import type { AdmissionLane } from "./admission.ts";

/** An entry's payload is a command of its group. Other kinds are Raft's and not used yet. */
export const ENTRY_COMMAND = 0;

/** What the voter needs of the journal; `journal/journal.ts` fits it. */
export interface VoterJournal {
  append(
    entries: readonly {
      readonly replicaId: number;
      readonly index: number;
      readonly term: number;
      readonly kind: number;
      readonly payload: readonly Uint8Array[];
    }[],
    done: (error?: ProglogError) => void,
    options?: { readonly isUrgent?: boolean },
  ): void;
  /** See `Journal.beforeFlush`. */
  beforeFlush(fill: () => void): void;
  entries(
    replicaId: number,
    fromIndex: number,
  ): AsyncIterable<{
    readonly index: number;
    readonly term: number;
    readonly kind: number;
    readonly payload: Uint8Array;
  }>;
  readonly isDiskFull: boolean;
}

export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly payload: Uint8Array;
}

/** The group's state machine on this node. */
export interface VoterHost<O, C> {
  /** An entry's payload: one command, or several of which each {@link canShare}. */
  encode(commands: readonly C[], clockUs: number): Uint8Array;
  /** True for a command that may stand in one entry with others. */
  canShare(command: C): boolean;
  /**
   * Carries out an entry. Throws only when it must never be passed over: the group stops.
   * @returns the outcome of each of its commands
   */
  apply(entry: AppliedEntry): readonly O[];
  /**
   * False while what was applied waits for room; then {@link whenCanApply} tells. Asked in
   * recovery only: later, what is in flight is bounded by what is written.
   */
  canApply(): boolean;
  whenCanApply(): Promise<void>;
  /** Resolves when all that was applied so far has left memory for the host's files. */
  written(): Promise<void>;
  /** True while the disk has no room for what is applied: nothing new is taken. */
  readonly isDiskFull: boolean;
}

export interface SingleVoterOptions<O, C> {
  readonly journal: VoterJournal;
  readonly host: VoterHost<O, C>;
  readonly lane: AdmissionLane;
  /** For the leader's clock in the entries. */
  readonly clock: Clock;
  readonly replicaId: number;
  /** Term of new entries. */
  readonly term: number;
  /** Last entry that the journal has; all up to it are committed, since the only voter has them. */
  readonly lastIndex: number;
  /** Last entry that the host's state includes. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Called after each run of entries that were applied together; must not throw. */
  readonly onApplied?: () => void;
  /** The host threw, or the journal is not what it must be. */
  readonly onFailure: (error: unknown) => void;
}

/** As `ProposeOptions` of `topics/replicator.ts`, where it is explained. */
export interface VoterProposeOptions {
  readonly bytes: number;
  readonly caller?: Abortable | undefined;
  readonly makesRoom?: boolean;
}
