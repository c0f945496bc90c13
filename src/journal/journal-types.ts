import type { Clock } from "../base/clock.ts";
import type { ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { FileSystem } from "../platform/file-system.ts";

/** What Raft demands to survive a restart. */
export interface HardState {
  readonly term: number;
  /** Replica id that was voted for in `term`; 0 for none. */
  readonly vote: number;
  /** Highest index known to be committed. It may lag on disk, it never leads. */
  readonly commit: number;
}

/** A replica that has its log in this journal, and all of its small state. */
export interface ReplicaRecord extends HardState {
  readonly replicaId: number;
  readonly topicId: number;
  /** Everything up to this index is in the replica's checkpoint: it needs no entry at or below. */
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
}

/** An entry that is to be journalled, without saying whose it is. */
export interface NewEntry {
  /** At most one above the replica's last; a lower one replaces that entry and drops all above it. */
  readonly index: number;
  readonly term: number;
  /** The owner's, 0 to 255. */
  readonly kind: number;
  /** Bytes one after the other, as parts that are not joined first. Not changed until `done`. */
  readonly payload: readonly Uint8Array[];
}

/** What one replica wants durable together: all of it is, or nothing. In the order of its parts. */
export interface RaftWrite {
  readonly replicaId: number;
  /**
   * What a leader sent in place of entries: drops all entries of the replica. Its index is not below any
   * checkpoint, and the next entry follows it.
   */
  readonly snapshot?: { readonly index: number; readonly term: number };
  /** Dense, ascending. Those at or below the checkpoint are left out: they come late. */
  readonly entries: readonly NewEntry[];
  /** Its term never goes back; its commit is not above the last entry, this write's included. */
  readonly hardState?: HardState;
  /**
   * True: synced also with sync "none". A write with a snapshot, or another term or vote than the
   * one before, is so in any case.
   */
  readonly mustSync?: boolean;
}

export interface StoredEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: number;
  readonly payload: Uint8Array;
}

export interface ReplicaEntry extends StoredEntry {
  readonly replicaId: number;
}

export interface AppendOptions {
  /**
   * True for what makes room (a trim): it is not refused while the disk is full, and may use the
   * reserve. Default: true for a {@link RaftWrite} without entries, else false.
   */
  readonly isUrgent?: boolean;
}

/**
 * Called once for each write, in order; only a refusal (DISK_FULL) may come before the answers of those
 * that are being written. Must not throw.
 */
export type AppendDone = (error?: ProglogError) => void;

export interface JournalOptions {
  readonly fs: FileSystem;
  /** For tries again while the disk is full. */
  readonly clock: Clock;
  /** For the salts of files: nobody outside may guess them. */
  readonly random: Random;
  readonly logger: Logger;
  /** Size of a file, without its reserve; a multiple of 4096, at least 16 KiB. Default 64 MiB. */
  readonly fileBytes?: number;
  /** Size from which a flush takes no more appends; one append may be larger. Default 8 MiB. */
  readonly flushBytesMax?: number;
  /** "none": `done` means written to the page cache. Hard states and replicas are synced all the same. */
  readonly sync: "always" | "none";
  /**
   * Called once, when a write or sync failed (DISK_FAILED) or an invariant broke: the journal takes
   * nothing more, the owner ends the process.
   */
  readonly onFailure: (error: Error) => void;
}

/** What opening found. */
export interface JournalRecovery {
  /** True when nothing was appended after the last clean stop. */
  readonly isCleanStop: boolean;
  readonly fileCount: number;
  readonly flushCount: number;
  /** Frames of entries that were read, also of those that were dropped later. */
  readonly entryCount: number;
  /** Bytes that were read as flushes. */
  readonly flushBytes: number;
  /** Where the journal ends: a file's name in `journal/` and a byte in it. */
  readonly endFile: string;
  readonly endPosition: number;
  /** Why it ends there, for a person. */
  readonly endReason: string;
  /** True when bytes of a flush that nobody was told about were found there, and cleared. */
  readonly isTorn: boolean;
}
