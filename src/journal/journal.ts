import { assert } from "../base/assert.ts";
import { platformCode } from "../base/errors.ts";
import { MIB } from "../base/units.ts";
import { diskFailed, diskFull, isNoSpace } from "../storage/storage-errors.ts";
import type { Waiting } from "./batch.ts";
import { readCopies } from "./copy-forward.ts";
import { readEntries } from "./entry-reader.ts";
import { scanEntries } from "./entry-scan.ts";
import type { EntryTableView } from "./entry-table.ts";
import type { FileSet } from "./file-set.ts";
import { FrameType } from "./frames.ts";
import type {
  AppendDone,
  AppendOptions,
  HardState,
  JournalOptions,
  JournalRecovery,
  RaftWrite,
  ReplicaEntry,
  ReplicaRecord,
  StoredEntry,
} from "./journal-types.ts";
import { type JournalParts, openParts } from "./open-journal.ts";
import { checkWrite } from "./queued.ts";
import type { Replica, ReplicaSet } from "./replica-set.ts";
import type { Writer } from "./writer.ts";

/** A clean stop leaves at most so much for the next start to read. */
const CLOSED_BYTES_MAX = MIB;

/**
 * The node's write-ahead log: entries and hard states of all replicas in one
 * sequence of flushes, one sync each. `flush.ts` and `frames.ts` have the format.
 */
export class Journal {
  readonly recovery: JournalRecovery;
  readonly #files: FileSet;
  readonly #replicas: ReplicaSet;
  readonly #writer: Writer;
  #closing: Promise<void> | undefined;

  private constructor(parts: JournalParts) {
    this.recovery = parts.recovery;
    this.#files = parts.files;
    this.#replicas = parts.replicas;
    this.#writer = parts.writer;
  }

  /**
   * Reads the journal back, or begins one. Nothing is cut unless it is certain that nobody was told
   * about it.
   *
   * @throws {ProglogError} JOURNAL_CORRUPT (metadata `file`, `position`); DATA_DIR_INVALID for a
   *   format of another version; DISK_FULL when a new journal finds no room; DISK_FAILED
   */
  static async open(options: JournalOptions): Promise<Journal> {
    try {
      return new Journal(await openParts(options));
    } catch (error) {
      if (isNoSpace(error)) throw diskFull("open the journal", error);
      throw platformCode(error) === undefined ? error : diskFailed("open the journal", error);
    }
  }

  /** Live replicas, as far as the journal is durable, in the order of their ids. */
  replicas(): readonly ReplicaRecord[] {
    return this.#replicas.all().map(({ record }) => record);
  }

  /** As {@link replicas}; undefined when there is no such replica. */
  replica(replicaId: number): ReplicaRecord | undefined {
    return this.#replicas.get(replicaId)?.record;
  }

  /** Index of the first entry that is still needed: one above the last {@link setCheckpoint}. */
  firstIndex(replicaId: number): number {
    const { snapshotIndex } = this.#known(replicaId).record;
    return Math.max(snapshotIndex, this.#mark(replicaId)) + 1;
  }

  /** Index of the last durable entry; the checkpoint's index when there is none above it. */
  lastIndex(replicaId: number): number {
    const { record, entries } = this.#known(replicaId);
    const last = entries.isEmpty ? record.snapshotIndex : entries.lastIndex;
    return Math.max(last, this.#mark(replicaId));
  }

  /** Term of a durable entry or of the checkpoint's index; undefined for any other index. */
  termAt(replicaId: number, index: number): number | undefined {
    const { record, entries } = this.#known(replicaId);
    const mark = this.#writer.pendingMark(replicaId);
    if (index === mark?.index) return mark.term;
    return index === record.snapshotIndex ? record.snapshotTerm : entries.termAt(index);
  }

  /**
   * What is in memory of the replica's durable entries. Good until the replica is removed, and always as
   * the journal is now; it may still have some that a checkpoint made needless.
   */
  entryTable(replicaId: number): EntryTableView {
    return this.#known(replicaId).entries;
  }

  /**
   * Reads durable entries back, checksums verified, from `fromIndex` (or the first one held, when that is
   * higher) to before `endIndex` (default: to the last one at that time). Ends early when it comes to
   * one that was dropped meanwhile.
   *
   * @throws {ProglogError} JOURNAL_CORRUPT, DISK_FAILED
   */
  entries(replicaId: number, fromIndex: number, endIndex?: number): AsyncGenerator<StoredEntry> {
    return readEntries(this.#files, this.#known(replicaId), fromIndex, endIndex);
  }

  /**
   * Reads the durable entries of all replicas in one pass, many at a time: for a start, before
   * anything is appended. The entries of each replica come in the order of their indexes.
   *
   * @param fromIndex says of each replica which entry is the first that is wanted
   * @throws {ProglogError} JOURNAL_CORRUPT, DISK_FAILED
   */
  allEntries(fromIndex: (replicaId: number) => number): AsyncGenerator<readonly ReplicaEntry[]> {
    return scanEntries({ files: this.#files, replicas: this.#replicas, fromIndex });
  }

  /**
   * Appends what a replica's Raft wants durable, all of it in one flush. Returns at once; `done` is
   * called when it is durable (with sync "none": written), never before this returns; of one replica,
   * what is on its way together becomes durable in the order of the calls. A write without anything in
   * it is told when those before it are, and brings no sync.
   *
   * `done` gets an error when it is not: DISK_FULL, nothing of it was written; DISK_FAILED, with metadata
   * `outcome`: "none" or "unknown".
   *
   * Refused (DISK_FULL) are writes that are not urgent, and all that follow a refused one of the same
   * replica before its `done` was called, urgent or not. Then nothing of them was written, and the
   * owner hands them in again in the same order, or not at all.
   */
  appendRaft(write: RaftWrite, done: AppendDone, options: AppendOptions = {}): void {
    const { replicaId, entries } = write;
    const isUrgent = options.isUrgent ?? entries.length === 0;
    const item = { write, done, isUrgent, isSynced: write.mustSync === true };
    // What will be refused need not fit.
    if (this.#writer.refuses(item)) this.#add(item);
    else
      this.#add({ ...item, ...checkWrite(this.#known(replicaId), write, this.#mark(replicaId)) });
  }

  /**
   * Calls `fill` once, never before this returns: when the next flush is about to be put together, or the
   * disk is full or has failed. What it appends at once goes into that flush: an owner can gather until then.
   */
  beforeFlush(fill: () => void): void {
    this.#writer.beforeFlush(fill);
  }

  /**
   * Resolves when it is synced, also with sync "none". Waits while the disk is full and the reserve
   * is used up. Hard states and appends become durable in the order of the calls.
   *
   * @throws {ProglogError} DISK_FAILED; DISK_FULL when the journal is closed meanwhile, and behind entries
   *   of the same replica that are refused
   */
  setHardState(replicaId: number, state: HardState): Promise<void> {
    const { record } = this.#known(replicaId);
    assert(state.term >= record.term, `Term of replica ${replicaId} goes back to ${state.term}`);
    return this.#synced({ write: { replicaId, entries: [], hardState: state } });
  }

  /**
   * As {@link setHardState}. A replica id is never used again. Entries may be appended for it when
   * this has resolved.
   */
  addReplica(record: ReplicaRecord): Promise<void> {
    const { replicaId } = record;
    assert(replicaId > 0, "Replica ids begin at 1");
    assert(this.#replicas.get(replicaId) === undefined, `Replica ${replicaId} exists`);
    return this.#synced({
      encode: (frames) => frames.addReplica(FrameType.replicaAdded, record),
    });
  }

  /** As {@link setHardState}. From this call on nothing may be appended for it. */
  async removeReplica(replicaId: number): Promise<void> {
    this.#known(replicaId).isLeaving = true;
    this.#writer.forget(replicaId);
    await this.#synced({
      encode: (frames) => frames.addMark(FrameType.replicaRemoved, replicaId),
    });
  }

  /**
   * Says that a durable checkpoint holds everything up to `index`, so that the entries up to there may
   * go. It is journalled with the next flush; files without needed entries get a new use after that.
   * An index below the last one given is ignored; one above the last entry is fine: the checkpoint
   * may hold what the journal has lost, and the next entry follows it.
   */
  setCheckpoint(replicaId: number, index: number, term: number): void {
    if (this.#known(replicaId).isLeaving || index < this.firstIndex(replicaId)) return;
    this.#writer.mark(replicaId, { index, term });
  }

  /** Bytes of all flushes from the oldest file kept to the end: what a restart has to read. */
  get usedBytes(): number {
    return this.#files.usedBytes;
  }

  /** Bytes of all flushes written since the journal was opened. */
  get writtenBytes(): number {
    return this.#writer.written.bytes;
  }

  /** Flushes written since the journal was opened; each is one sync unless sync is "none". */
  get flushCount(): number {
    return this.#writer.written.flushes;
  }

  /** Replicas that keep the oldest file from being free; empty when it is the current one. */
  laggards(): readonly number[] {
    const { oldest, current } = this.#files;
    if (oldest === current) return [];
    const lagging = ({ entries }: Replica) => entries.hasEntryIn(oldest.sequence);
    return this.#replicas
      .all()
      .filter(lagging)
      .map(({ record }) => record.replicaId);
  }

  /**
   * Copies the replica's entries out of the oldest file to the end of the journal, so that the
   * file can be freed.
   *
   * @throws {ProglogError} DISK_FULL: nothing was copied; DISK_FAILED; JOURNAL_CORRUPT
   */
  async copyForward(replicaId: number): Promise<void> {
    const { oldest, current } = this.#files;
    if (oldest === current) return;
    const replica = this.#known(replicaId);
    for await (const copies of readCopies(this.#files, replica, oldest.sequence)) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const done: AppendDone = (error) => (error === undefined ? resolve() : reject(error));
      this.#add({ done, isUrgent: false, isSynced: false, copies });
      await promise;
    }
  }

  /** True while entries are refused for want of space. */
  get isDiskFull(): boolean {
    return this.#writer.isDiskFull;
  }

  /** Resolves when nothing waits to be written, and no file is being made or freed. */
  async idle(): Promise<void> {
    await this.#writer.idle();
    await this.#files.settled();
  }

  /**
   * Writes what waits and a closing flush, then closes the files; a second call waits for the first.
   * After a failure, or without room, it only closes them. A failure meanwhile goes to `onFailure`.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writer.drain();
    try {
      if (this.#writer.failure === undefined) await this.#stopCleanly();
    } catch (error) {
      this.#writer.fail(error);
    }
    await this.#files.close();
  }

  async #stopCleanly(): Promise<void> {
    // Opens a file when the present ones are long: the next start then reads only that.
    if (this.usedBytes > CLOSED_BYTES_MAX) await this.#files.goOn();
    await new Promise<void>((resolve) => {
      this.#writer.add({
        encode: (frames) => frames.addMark(FrameType.closeMark, 0),
        // Without it the next start reads as after a crash, no more.
        done: () => resolve(),
        isUrgent: true,
        isSynced: true,
      });
    });
    await this.#writer.idle();
    await this.#files.release();
  }

  #add(item: Waiting): void {
    assert(this.#closing === undefined, "The journal is closed");
    this.#writer.add(item);
  }

  #synced(what: Pick<Waiting, "encode" | "write">): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const done: AppendDone = (error) => (error === undefined ? resolve() : reject(error));
    this.#add({ ...what, done, isUrgent: true, isSynced: true });
    return promise;
  }

  /** Index of the checkpoint that is not durable in the journal yet; 0 for none. */
  #mark(replicaId: number): number {
    return this.#writer.pendingMark(replicaId)?.index ?? 0;
  }

  #known(replicaId: number): Replica {
    const replica = this.#replicas.get(replicaId);
    assert(replica !== undefined, `There is no replica ${replicaId}`);
    return replica;
  }
}
