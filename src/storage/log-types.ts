import type { Clock } from "../base/clock.ts";
import type { ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Offset, Position } from "../base/units.ts";
import type { FileSystem } from "../platform/file-system.ts";
import type { FrameCheck, ScanStop } from "./scan.ts";

/** When a segment is closed and a new one begun. */
export interface SegmentLimits {
  /** Closed when its store has reached so many bytes; 1 or more. */
  readonly segmentBytesMax: number;
  /** Closed when it has so many records; 1 or more. */
  readonly segmentRecordsMax: number;
}

export interface LogOptions extends SegmentLimits {
  readonly fs: FileSystem;
  /** Folder of the log; made when it is missing. May hold other files too. */
  readonly dir: string;
  readonly logger: Logger;
  /** For the pauses between attempts while the disk is full. */
  readonly clock: Clock;
  /** Appended bytes that may wait for their write; default 16 MiB. Above it `hasRoom()` is false. */
  readonly pendingBytesMax?: number | undefined;
  /**
   * How long appended batches may wait for others to be written with, in milliseconds; default 0:
   * until the end of the turn. It costs no durability, since a write gives none.
   */
  readonly writeDelayMs?: number | undefined;
  /**
   * The owner's check of a frame's data, in recovery scans, `read` and `scan` (not in
   * `readFrames`). Absent: any data will do, so frames of another implementation are fine,
   * and a tail of zeros is a run of empty records.
   */
  readonly check?: ((data: Uint8Array, offset: Offset) => FrameCheck) | undefined;
  /**
   * Called once, when a write failed for another reason than lack of space, or a sync
   * failed: the log takes no more writes, and the owner must end. With the cause.
   */
  readonly onFailure?: ((error: unknown) => void) | undefined;
  /**
   * Default true: a full segment is synced before the next one's files are made, so that
   * after a power cut `Log.open` never finds a gap. False is for owners that always
   * open by `openAt`: what lies after the extent is dropped there.
   */
  readonly syncOnRoll?: boolean | undefined;
}

export interface SegmentInfo {
  readonly base: Offset;
  /** Offset after its last record. */
  readonly nextOffset: Offset;
  readonly storeBytes: number;
  readonly indexBytes: number;
  /** True for the newest one, which takes the appends. */
  readonly isOpen: boolean;
}

/** How much of one segment there is. */
export interface SegmentExtent {
  readonly base: number;
  readonly records: number;
  readonly storeBytes: number;
}

/** A whole valid log, as a checkpoint keeps it: segments without gaps, the last one is open. */
export interface LogExtent {
  readonly segments: readonly SegmentExtent[];
}

/** How much one read may return. */
export interface FrameLimits {
  /** A single frame is returned whatever its size. */
  readonly bytesMax: number;
  readonly recordsMax: number;
  /** Nothing at or beyond this offset. */
  readonly end?: Offset | undefined;
  /** The reader calls the run's `giveBack` when it has done with it. Only for `readRun`. */
  readonly givesBack?: boolean | undefined;
}

/** Whole frames, one after the other. */
export interface FrameRange {
  /** Not to be written to. */
  readonly bytes: Uint8Array;
  /** Offset of the first frame. */
  readonly first: Offset;
  /** Where each frame ends in `bytes`; its data begins 8 bytes after the end before. */
  readonly ends: readonly number[];
  /** Store and byte in it where the first frame begins; undefined when it is not written yet. */
  readonly file?: string | undefined;
  readonly position?: Position | undefined;
}

/** One record as {@link FrameRange} readers see it. */
export interface LogRecord {
  readonly offset: Offset;
  /** A view, not to be written to. */
  readonly data: Uint8Array;
}

/** What opening a log found and did. */
export interface LogRecovery {
  /** Bytes after the last whole record of the newest store: cut off, or left there when read-only. */
  readonly cutBytes: number;
  /** Why there were any; undefined when there were none, or when an extent said where to cut. */
  readonly stopped: ScanStop | undefined;
  /** Indexes that did not fit their store and were written anew (or, read-only, are not used). */
  readonly rebuiltIndexes: number;
  /** Files that were deleted: newer or older than the extent, or an index without its store. */
  readonly removedFiles: number;
  /** Closed segments that do not fit. Only from `openReadOnly`: the others refuse to open. */
  readonly damaged: readonly ProglogError[];
  /**
   * Only from `openReadOnly`, and only without a check: where the run of empty records
   * begins that reaches the end of the newest store and that the index does not vouch
   * for. The seed extends its files with zeros, and leaves them there when it is killed:
   * records from here on were most likely never appended.
   */
  readonly unvouchedFrom: { readonly offset: Offset; readonly position: Position } | undefined;
}
