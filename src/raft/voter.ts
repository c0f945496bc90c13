import type { Abortable } from "../base/abortable.ts";

/** An entry's payload is a command of its group. Other kinds: `entry-kinds.ts`. */
export const ENTRY_COMMAND = 0;

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
   * False while what was applied waits for room; then {@link whenCanApply} tells. Not asked for
   * what was proposed here: that is bounded by what is written.
   */
  canApply(): boolean;
  whenCanApply(): Promise<void>;
  /** Resolves when all that was applied so far has left memory for the host's files. */
  written(): Promise<void>;
  /** True while the disk has no room for what is applied: nothing new is taken. */
  readonly isDiskFull: boolean;
}

/** As `ProposeOptions` of `topics/replicator.ts`, where it is explained. */
export interface VoterProposeOptions {
  readonly bytes: number;
  readonly caller?: Abortable | undefined;
  readonly makesRoom?: boolean;
}
