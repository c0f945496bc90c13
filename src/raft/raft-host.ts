import type { ConfState } from "./core.ts";
import type { VoterHost } from "./voter.ts";

/** A snapshot that a leader offers: everything up to `index`, without records. */
export interface OfferedSnapshot {
  readonly index: number;
  readonly term: number;
  /** Membership at `index`. */
  readonly conf: ConfState;
  /** As the sender's `captureSnapshot` gave it. */
  readonly data: Uint8Array;
  /** Who has the records that are missing here. */
  readonly fromNode: string;
  readonly fromReplica: number;
}

/**
 * A snapshot whose records are here; nobody sees them yet. One of the two is called; neither is when the group
 * stops (the signal of `installSnapshot` is aborted): then the journal may yet get its mark, so that what
 * was prepared has to be left for the next start.
 */
export interface PreparedSnapshot {
  /**
   * The journal has its mark: the machine becomes what it says. Rejects only when the node cannot go on.
   *
   * @param adopted to be called in the turn in which the machine becomes it, so that the group's applied index
   *   never says something else than the machine; else that is done when this resolves
   */
  commit(adopted: () => void): Promise<void>;
  /** It will not be committed: resolves when everything is as before. Must not reject. */
  abort(): Promise<void>;
}

/** A group's state machine on this node, where replicas may be behind. */
export interface RaftHost<O, C> extends VoterHost<O, C> {
  /** State after the last applied entry, at once; undefined when there cannot be one now. */
  captureSnapshot(): { readonly data: Uint8Array } | undefined;
  /**
   * Brings what the snapshot stands for, so that it only has to be committed. Nothing is applied until it
   * is committed or aborted.
   *
   * Rejects when that fails, or when `signal` says to give up: nothing has changed then.
   */
  installSnapshot(offered: OfferedSnapshot, signal: AbortSignal): Promise<PreparedSnapshot>;
}
