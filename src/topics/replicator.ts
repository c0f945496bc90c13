import type { Abortable } from "../base/abortable.ts";

/** How a proposal is made. */
export interface ProposeOptions {
  /** About how many bytes of memory the entry takes until it is applied. */
  readonly bytes: number;
  /** When it gives up: a proposal that still waits its turn is withdrawn, any other one goes on unwatched. */
  readonly caller?: Abortable | undefined;
  /**
   * True for what makes room (trims): it is proposed although the topic's log has no
   * room, and does not wait behind what is in flight.
   */
  readonly makesRoom?: boolean;
}

/**
 * The seam to consensus: propose a command, learn its outcome when it has been
 * applied. `RaftGroup` of `raft/raft-group.ts` fits it.
 *
 * Commands of one caller that does not wait are applied in the order of the
 * calls. They may also be refused in any pattern, so a caller that needs order
 * needs conditions.
 *
 * Several commands may share an entry; each has its own outcome.
 */
export interface Replicator<O, C> {
  /** True while the state is older than what was acknowledged, because the disk has no room for it. */
  readonly isRecovering: boolean;
  /**
   * Proposes a command. It is encoded when its entry goes to the journal, so that the
   * leader's clock in it is right, and not at all when that never comes.
   *
   * Rejects with DISK_FULL, RATE_LIMITED, DRAINING, or what {@link ProposeOptions.caller}
   * says: nothing happened. An error whose metadata has `outcome: unknown` says
   * that the command may have been, or may yet be, applied.
   */
  propose(command: C, options: ProposeOptions): Promise<O>;
}
