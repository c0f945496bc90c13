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

/** An earlier capture with the trims since then worked into it. */
export interface TrimmedCapture {
  readonly captured: Captured;
  /** With that as the checkpoint, files below this offset may go. */
  readonly freeBefore: number;
}

/** Some frames of a topic's log as a peer has them, one each offset from `firstOffset` on. */
export interface CopiedFrames {
  readonly firstOffset: number;
  readonly frames: readonly Uint8Array[];
}

/** Where a machine gets what it lacks. */
export interface CopySource {
  /** Frames of the offsets in [firstOffset, endOffset), in order, from a replica that has them. */
  readonly copy: (firstOffset: number, endOffset: number) => AsyncIterable<CopiedFrames>;
  /** Aborted when it is of no use any more. */
  readonly signal: AbortSignal;
}

/**
 * A group's state machine with what belongs to it on disk, as `cluster/group.ts`
 * drives it: a topic's replica, or the catalogue.
 */
export interface Machine<O, C> {
  /** An entry's payload: one command, or several of which each {@link canShare}. */
  encode(commands: readonly C[], clockUs: number): Uint8Array;
  /** True for a command that may stand in one entry with others. */
  canShare(command: C): boolean;
  /**
   * Carries out an entry, at once. Throws when it is not understood: it must not be passed over.
   * @returns the outcome of each of its commands
   */
  apply(entry: MachineEntry): readonly O[];
  /** False while too much of what was applied waits to be written. */
  canApply(): boolean;
  whenCanApply(): Promise<void>;
  /** Resolves when all that was applied is in the files (but not synced). */
  written(): Promise<void>;
  /** True while the files cannot grow. */
  readonly isDiskFull: boolean;
  /** False while the files are ahead of the state: a copy from a peer was not finished. */
  readonly canCapture: boolean;
  /** Without waiting, so that it is of one moment. */
  capture(): Captured;
  /**
   * Works the trims since `last` was captured into it: the same as if they had come before,
   * since applying the entries in between again comes to the same. Undefined when no file
   * could go for it.
   */
  captureTrim(last: Captured): TrimmedCapture | undefined;
  /** All of the state that is not in files; its bytes are what a snapshot carries. */
  readonly state: { encode(): Uint8Array };
  /**
   * Brings to disk, and syncs, what `state` stands for, which is of an entry that was not applied here. Readers see
   * nothing of it, and the state stays as it is. Nothing may be applied until {@link become} or {@link abandon}, or
   * until it has rejected: then everything is as before.
   *
   * @returns what the checkpoint of it says
   */
  bring(state: Uint8Array, source: CopySource): Promise<Captured>;
  /** What was brought will not be wanted: as if it had not been. @throws DISK_FAILED */
  abandon(): Promise<void>;
  /** What was brought is the state from now on. */
  become(captured: Captured): void;
  /** Resolves when what was captured before would survive a power cut. */
  sync(): Promise<void>;
  /** Deletes files that hold only what is below `offset`: a durable checkpoint does not need them. */
  freeBefore(offset: number): Promise<void>;
  /**
   * Closes the files. With `discard`, what is not written is dropped: it is in the
   * journal, or of no use any more.
   */
  close(options?: { readonly discard?: boolean }): Promise<void>;
}
