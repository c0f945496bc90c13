import { assert } from "../base/assert.ts";
import { ProglogError } from "../base/errors.ts";
import { type Offset, toOffset } from "../base/units.ts";
import { copiedBatch, type StoredFrames } from "./copied-frames.ts";
import { Failure } from "./failure.ts";
import type { FrameBatch } from "./frame.ts";
import type { FrameRun } from "./frame-run.ts";
import { LogLease } from "./log-lease.ts";
import { LogReader } from "./log-reader.ts";
import { repairLog } from "./log-repair.ts";
import { LogSync } from "./log-sync.ts";
import type {
  FrameLimits,
  FrameRange,
  LogExtent,
  LogOptions,
  LogRecord,
  LogRecovery,
  SegmentInfo,
  SegmentLimits,
} from "./log-types.ts";
import { loadExtent } from "./open-at.ts";
import { loadReadOnly, READ_ONLY_DEFAULTS, type ReadOnlyOptions } from "./read-only.ts";
import { RecentSegments } from "./recent-segments.ts";
import { type LoadedLog, recoverLog } from "./recovery.ts";
import { Segment } from "./segment.ts";
import { SegmentList } from "./segment-list.ts";
import { Serial } from "./serial.ts";
import { namingPlatformErrors, offsetOutOfRange } from "./storage-errors.ts";
import { frameRecords, refuseBatch } from "./store.ts";
import { Trimmer } from "./trimmer.ts";
import { Writer } from "./writer.ts";

const PENDING_BYTES_MAX_DEFAULT = 16 * 1024 * 1024;

/**
 * A totally ordered sequence of opaque records in a folder, in the seed's format:
 * segments, each a store and an index. Offsets begin at 0 and have no gaps.
 *
 * Appends are put in order and readable at once, and written a little later; only
 * {@link Log.sync} makes them durable. Any number of callers may call anything at any time.
 */
export class Log {
  /** What opening found. */
  readonly recovery: LogRecovery;
  readonly #segments: SegmentList;
  readonly #failure: Failure;
  readonly #sync: LogSync;
  readonly #writer: Writer;
  readonly #reader: LogReader;
  readonly #trimmer: Trimmer;
  readonly #syncs = new Serial();
  readonly #recent = new RecentSegments();
  readonly #leases = new Set<LogLease>();
  readonly #isReadOnly: boolean;
  /** The segment that was written last. */
  #writing: Segment | undefined;
  #isClosed = false;
  #isCutting = false;

  private constructor(options: LogOptions, loaded: LoadedLog, isReadOnly = false) {
    const { fs, dir, clock, logger, check } = options;
    const make = (base: Offset) => new Segment({ fs, dir, base });
    const segments = new SegmentList(loaded.segments, make, options);
    const failure = new Failure(options.onFailure);
    const unsynced = options.syncOnRoll === false ? undefined : loaded.segments.slice(0, -1);
    const sync = new LogSync({ fs, dir, failure, unsynced, isNew: loaded.isNew });
    const prepare = (segment: Segment) => this.#prepare(segment);
    const pendingBytesMax = options.pendingBytesMax ?? PENDING_BYTES_MAX_DEFAULT;
    this.recovery = loaded.recovery;
    this.#isReadOnly = isReadOnly;
    this.#segments = segments;
    this.#failure = failure;
    this.#sync = sync;
    const { writeDelayMs = 0 } = options;
    const limits = { pendingBytesMax, writeDelayMs };
    this.#writer = new Writer({ ...limits, clock, logger, failure, prepare });
    const { pending } = this.#writer;
    this.#reader = new LogReader({ segments, pending, recent: this.#recent, check });
    this.#trimmer = new Trimmer({ fs, writer: this.#writer, sync });
  }

  /**
   * Opens a log without knowing what of it was synced, or makes it; see {@link recoverLog}.
   * @throws STORE_CORRUPT, DATA_DIR_INVALID (files are kept); DISK_FAILED, DISK_FULL
   */
  static async open(options: LogOptions): Promise<Log> {
    const loaded = await naming(options, () => recoverLog(options));
    const { cutBytes, stopped, rebuiltIndexes } = loaded.recovery;
    if (cutBytes > 0 || rebuiltIndexes > 0) {
      const fields = { dir: options.dir, cutBytes, stopped, rebuiltIndexes };
      options.logger.warn("A log was not closed cleanly and was recovered", fields);
    }
    return new Log(options, loaded);
  }

  /**
   * Opens a log at an extent that {@link Log.sync} gave, without a scan; what came after
   * it is dropped. See {@link loadExtent}; trimmed segments are to be left out (`extentFrom`).
   *
   * @throws STORE_CORRUPT (files are kept); DISK_FAILED, DISK_FULL
   */
  static async openAt(options: LogOptions, extent: LogExtent): Promise<Log> {
    const loaded = await naming(options, () => loadExtent(options, extent));
    return new Log(options, loaded);
  }

  /**
   * Opens a log to read only, for tools: nothing is written, cut or refused, `recovery` reports.
   * @throws DATA_DIR_INVALID when there is no such folder
   */
  static async openReadOnly(options: ReadOnlyOptions): Promise<Log> {
    const loaded = await naming(options, () => loadReadOnly(options));
    return new Log({ ...READ_ONLY_DEFAULTS, ...options }, loaded, true);
  }

  /** Of the first record that is there; equal to {@link nextOffset} when there is none. */
  get firstOffset(): Offset {
    return this.#segments.firstOffset;
  }

  /** What the next appended record gets. */
  get nextOffset(): Offset {
    return this.#segments.nextOffset;
  }

  /** Stores and indexes, with what is not written yet; without what a trim is deleting. */
  get diskBytes(): number {
    return this.#segments.diskBytes;
  }

  segments(): readonly SegmentInfo[] {
    return this.#segments.infos();
  }

  /** All of the log as it is now, with what is not synced. */
  extent(): LogExtent {
    return this.#segments.extent();
  }

  /** Appended bytes that are not written yet. */
  get pendingBytes(): number {
    return this.#writer.pending.bytes;
  }

  /** False when more is pending than is allowed; `append` works nevertheless. */
  hasRoom(): boolean {
    return this.#writer.hasRoom();
  }

  /** Resolves when {@link hasRoom}. @throws DISK_FAILED; DRAINING, DISK_FULL when closed meanwhile */
  whenRoom(): Promise<void> {
    return this.#writer.whenRoom();
  }

  /** A write found no space and is tried again, at the same position, until there is some. */
  get isDiskFull(): boolean {
    return this.#writer.isDiskFull;
  }

  /** Sets when segments are closed, from the next append on. */
  configure(limits: SegmentLimits): void {
    this.#segments.configure(limits);
  }

  /**
   * Appends frames, all to one segment. They are readable on return, and written soon.
   *
   * @param batch not to be changed afterwards; framed for `nextOffset`
   * @returns the offset of its first record
   * @throws BATCH_EMPTY, RECORD_TOO_LARGE: nothing was appended. DISK_FAILED after a failure,
   *   DRAINING after `close`
   */
  append(batch: FrameBatch): Offset {
    this.#refuseChange();
    assert(!this.#isCutting, "Cannot append to a log that is being cut back");
    refuseBatch(batch);
    const offset = this.nextOffset;
    const isAtItsPlace = batch.firstOffset === undefined || batch.firstOffset === offset;
    assert(isAtItsPlace, `Cannot append at ${offset}: the batch is of ${batch.firstOffset}`);
    if (this.#segments.isFull) this.roll();
    const segment = this.#segments.newest;
    this.#writer.push({ ...segment.reserve(batch), segment });
    return offset;
  }

  /**
   * Appends frames that a peer has stored, byte for byte, after a look at every checksum. They are
   * readable on return, as those of {@link append}: who may see them is the owner's matter.
   *
   * @throws MESSAGE_INVALID when they are not sound, or do not begin at `nextOffset`: nothing was
   *   appended; else as {@link append}
   */
  appendCopied(copied: StoredFrames): Offset {
    return this.append(copiedBatch(copied, this.nextOffset));
  }

  /** Appends opaque records, as they are. @throws as {@link append} */
  appendData(records: readonly Uint8Array[]): Offset {
    return this.append(frameRecords(records));
  }

  /**
   * Goes on at `offset`, above `nextOffset`, for a copy of a log of which everything that is here was
   * trimmed. The offsets between are nowhere, and must not be read; what was here stays until it is
   * trimmed, since only a checkpoint with the new extent does without it.
   */
  beginAt(offset: Offset): void {
    this.#refuseChange();
    assert(offset > this.nextOffset, `Cannot begin at ${offset}: the log is at ${this.nextOffset}`);
    this.#sync.closed(this.#segments.begin(offset));
  }

  /**
   * Drops what was appended since {@link extent} gave `extent`, of which nobody has read: written or not, also while
   * the disk is full. Nothing may be appended until it resolves. Durable no sooner than a checkpoint
   * is, and opening at one does it again.
   *
   * @throws DISK_FAILED; DRAINING, DISK_FULL when closed meanwhile
   */
  async cutBack(extent: LogExtent): Promise<void> {
    this.#refuseChange();
    const last = extent.segments.at(-1);
    assert(last !== undefined, "Cannot cut the log back: the extent has no segment");
    this.#isCutting = true;
    try {
      // First, since a sync may wait for its write.
      await this.#writer.dropFrom(toOffset(last.base + last.records));
      await this.#syncs.run(async () => {
        const gone = this.#segments.takeAfter(last);
        for (const segment of gone) this.#recent.forget(segment);
        this.#writing = undefined;
        await this.#trimmer.cut(gone, this.#segments.newest, last);
      });
    } finally {
      this.#isCutting = false;
    }
  }

  /** Closes the newest segment unless it is empty, and begins a new one. */
  roll(): void {
    this.#refuseChange();
    const closed = this.#segments.roll();
    if (closed !== undefined) this.#sync.closed(closed);
  }

  /** Resolves when all that was appended before the call is in the files. @throws as {@link whenRoom} */
  written(): Promise<void> {
    return this.#writer.writtenUpTo(this.nextOffset);
  }

  /** Data of one record, checked by the owner. @throws OFFSET_OUT_OF_RANGE, STORE_CORRUPT, DRAINING */
  async read(offset: Offset): Promise<Uint8Array> {
    this.#refuseClosed();
    return await this.#reader.read(offset);
  }

  /**
   * Reads frames that follow each other from `from` on: of one segment, or of what is not
   * written yet. At least one, unless `from` is the next offset; damaged ones end it.
   * Nothing is copied: `bytes` is what was read. The owner's check is not applied.
   *
   * @throws OFFSET_OUT_OF_RANGE; STORE_CORRUPT when the frame at `from` is damaged; DRAINING
   */
  async readFrames(from: Offset, limits: FrameLimits): Promise<FrameRange> {
    this.#refuseClosed();
    return await this.#reader.readFrames(from, limits);
  }

  /**
   * Keeps what is there from `from` on for one reader, also when it is trimmed, until the lease is
   * released or the log closed. @throws OFFSET_OUT_OF_RANGE; DRAINING
   */
  lease(from: Offset): LogLease {
    this.#refuseClosed();
    if (!(from >= this.firstOffset && from <= this.nextOffset)) {
      throw offsetOutOfRange(from, this);
    }
    const lease = new LogLease({
      segments: this.#segments.from(from),
      pending: this.#writer.pending,
      recent: this.#recent,
      onRelease: (released) => this.#leases.delete(released),
    });
    this.#leases.add(lease);
    return lease;
  }

  /**
   * Writes frames that a peer has stored over damaged ones of the same offsets, which are written; durable
   * when it resolves. Their neighbours in the segment must be sound, see `repairRange`.
   *
   * @throws MESSAGE_INVALID, OFFSET_OUT_OF_RANGE, STORE_CORRUPT (a wider range is wanted), DISK_FULL;
   *   DISK_FAILED: the log takes no more writes
   */
  async repair(copied: StoredFrames): Promise<void> {
    this.#refuseChange();
    const parts = { segments: this.#segments, sync: this.#sync, failure: this.#failure };
    await repairLog({ ...parts, pending: this.#writer.pending }, copied);
  }

  /**
   * Reads records from `from` on, of one segment, about as many as `limits` allow: one read, every
   * frame checked. For owners whose frames are envelopes.
   * @returns undefined when {@link readFrames} must be asked. @throws OFFSET_OUT_OF_RANGE; DRAINING
   */
  async readRun(from: Offset, limits: FrameLimits): Promise<FrameRun | undefined> {
    this.#refuseClosed();
    return await this.#reader.readRun(from, limits);
  }

  /**
   * Reads all records from `from` to the end as it is at the first step, checked as in {@link read}.
   * @throws as {@link read}; OFFSET_OUT_OF_RANGE also when they are trimmed meanwhile
   */
  async *scan(from: Offset): AsyncGenerator<LogRecord, void, void> {
    this.#refuseClosed();
    yield* this.#reader.scan(from);
  }

  /**
   * Drops the closed segments whose records all lie below `offset`: at once for readers that
   * come, on the disk when those that are there have ended. Resolves when the files are
   * durably gone.
   *
   * @throws DISK_FAILED; DRAINING, DISK_FULL when closed meanwhile
   */
  async trimBefore(offset: Offset): Promise<void> {
    this.#refuseChange();
    const gone = this.#segments.takeBefore(offset);
    for (const segment of gone) this.#recent.forget(segment);
    await this.#trimmer.remove(gone, this.#segments.find(this.firstOffset));
  }

  /**
   * Waits until what was appended before the call is written, then makes all that is
   * written durable.
   *
   * @returns what is synced, at least what was appended before the call
   * @throws DISK_FAILED: the log takes no more writes; DRAINING, DISK_FULL when closed meanwhile
   */
  async sync(): Promise<LogExtent> {
    this.#refuseChange();
    const end = this.nextOffset;
    return await this.#syncs.run(async () => {
      // What was trimmed counts as appended: or its offsets could be given again after a crash.
      do await this.#writer.writtenUpTo(toOffset(Math.max(end, this.firstOffset)));
      while ((this.#writer.pending.firstOffset ?? this.nextOffset) < this.firstOffset);
      return await this.#sync.all(this.#segments.all(), this.#trimmer.leaving());
    });
  }

  /**
   * Writes what is pending, ends what is under way and closes the files; does not sync.
   * @param options.discardPending leave what is not written unwritten: the folder is about to go
   * @throws DISK_FULL when there was no space for what is pending; the files are closed then too
   */
  async close(options: { readonly discardPending?: boolean } = {}): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const lease of this.#leases) lease.release();
    try {
      await this.#writer.close(options.discardPending === true);
    } finally {
      await this.#trimmer.idle();
      await this.#syncs.idle();
      for (const segment of this.#segments.all()) {
        await segment.idle();
        await segment.close();
      }
    }
  }

  /** Called before each write to `segment`. */
  #prepare(segment: Segment): Promise<void> {
    if (this.#writing !== segment) {
      // Not when it is closed: then much of it may still wait for its write.
      if (this.#writing !== undefined) this.#recent.touch(this.#writing);
      this.#writing = segment;
    }
    return this.#sync.prepare(segment);
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw new ProglogError("DRAINING", "Cannot use the log: it is closed");
  }

  #refuseChange(): void {
    assert(!this.#isReadOnly, "Cannot change a log that was opened to read only");
    this.#failure.refuse();
    this.#refuseClosed();
  }
}

function naming<T>({ dir }: ReadOnlyOptions, open: () => Promise<T>): Promise<T> {
  return namingPlatformErrors(`open the log in "${dir}"`, open);
}
