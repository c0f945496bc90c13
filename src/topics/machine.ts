import type { LogExtent } from "../storage/log-types.ts";

/** An entry whose turn has come. */
export interface MachineEntry {
  readonly index: number;
  readonly payload: Uint8Array;
}

/** What a checkpoint says of a machine: its state after the last applied entry, and its files then. */
export interface Captured {
  readonly startOffset: number;
  readonly nextOffset: number;
  readonly extent: LogExtent;
  readonly state: Uint8Array;
}

/**
 * A group's state machine with what belongs to it on disk, as `cluster/group.ts`
 * drives it: a topic's replica, or the catalogue.
 */
export interface Machine<O> {
  /** Carries out an entry, at once. Throws when it is not understood: it must not be passed over. */
  apply(entry: MachineEntry): O;
  /** False while too much of what was applied waits to be written. */
  canApply(): boolean;
  whenCanApply(): Promise<void>;
  /** Resolves when all that was applied is in the files (but not synced). */
  written(): Promise<void>;
  /** True while the files cannot grow. */
  readonly isDiskFull: boolean;
  /** Without waiting, so that it is of one moment. */
  capture(): Captured;
  /**
   * `last`, a capture of earlier, as it would be had the trims since then come before it.
   * Undefined when no file could go for it.
   */
  captureTrim(last: Captured): Captured | undefined;
  /** Resolves when what was captured before would survive a power cut. */
  sync(): Promise<void>;
  /** A durable checkpoint holds `captured`: files that it does not need may go. */
  checkpointed(captured: Captured): Promise<void>;
  /**
   * Closes the files. With `discard`, what is not written is dropped: it is in the
   * journal, or of no use any more.
   */
  close(options?: { readonly discard?: boolean }): Promise<void>;
}
