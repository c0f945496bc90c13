import { InvariantError } from "../base/assert.ts";
import type {
  AppendDone,
  AppendOptions,
  EntryInput,
  HardState,
  JournalOptions,
  JournalRecovery,
  ReplicaRecord,
  StoredEntry,
} from "./journal-types.ts";

/**
 * The node's write-ahead log: entries and hard states of all replicas in one
 * sequence of flushes, one sync each.
 */
export class Journal {
  readonly recovery: JournalRecovery;

  private constructor(recovery: JournalRecovery) {
    this.recovery = recovery;
  }

  /**
   * Reads the journal back, or begins one.
   *
   * @throws {ProglogError} JOURNAL_CORRUPT (metadata `file`, `position`), DATA_DIR_INVALID for a
   *   format of another version, DISK_FULL when a new journal finds no room, DISK_FAILED. Nothing
   *   was cut in any of these cases.
   */
  static async open(_options: JournalOptions): Promise<Journal> {
    throw unbuilt();
  }

  /** Live replicas, as far as the journal is durable, in the order of their ids. */
  replicas(): readonly ReplicaRecord[] {
    throw unbuilt();
  }

  /** Undefined when there is no such replica. */
  replica(_replicaId: number): ReplicaRecord | undefined {
    throw unbuilt();
  }

  /** Index of the first entry that is still needed: one above the last {@link setCheckpoint}. */
  firstIndex(_replicaId: number): number {
    throw unbuilt();
  }

  /** Index of the last durable entry; the snapshot's index when there is none. */
  lastIndex(_replicaId: number): number {
    throw unbuilt();
  }

  /** Term of a durable entry or of the snapshot's index; undefined for any other index. */
  termAt(_replicaId: number, _index: number): number | undefined {
    throw unbuilt();
  }

  /**
   * Reads durable entries back from `fromIndex` to the last one at that time, checksums verified.
   * Ends early when it comes to an entry that was dropped meanwhile.
   *
   * @throws {ProglogError} JOURNAL_CORRUPT, DISK_FAILED
   */
  entries(_replicaId: number, _fromIndex: number): AsyncGenerator<StoredEntry> {
    throw unbuilt();
  }

  /**
   * Appends `entries`, all in one flush. Returns at once; `done` is called when they are durable
   * (with sync "none": written), for all appends in order, never before this call has returned.
   *
   * `done` gets an error when they are not: DISK_FULL, nothing of them was written, the same indexes
   * are to be used again; DISK_FAILED, with metadata `outcome` "none" (not written) or "unknown".
   */
  append(_entries: readonly EntryInput[], _done: AppendDone, _options?: AppendOptions): void {
    throw unbuilt();
  }

  /**
   * Resolves when it is synced, also with sync "none". Waits while the disk is full and the reserve
   * is used up. Hard states and appends become durable in the order of the calls.
   *
   * @throws {ProglogError} DISK_FAILED; DISK_FULL when the journal is closed meanwhile
   */
  setHardState(_replicaId: number, _state: HardState): Promise<void> {
    throw unbuilt();
  }

  /** As {@link setHardState}. Replica ids are never used again. Append for it after this has resolved. */
  addReplica(_record: ReplicaRecord): Promise<void> {
    throw unbuilt();
  }

  /** As {@link setHardState}. Nothing may be appended for it from this call on. */
  removeReplica(_replicaId: number): Promise<void> {
    throw unbuilt();
  }

  /**
   * Says that a durable checkpoint holds everything up to `index`, so the entries up to there may go.
   * It is journalled with the next flush; files without needed entries are free after that.
   * An index below the last one given is ignored.
   */
  setCheckpoint(_replicaId: number, _index: number, _term: number): void {
    throw unbuilt();
  }

  /** Bytes of all flushes from the oldest file kept to the end: what a restart has to read. */
  get usedBytes(): number {
    throw unbuilt();
  }

  /** Bytes of all flushes written since the journal was opened. */
  get writtenBytes(): number {
    throw unbuilt();
  }

  /** Replicas that keep the oldest file from being free; empty when it is the current one. */
  laggards(): readonly number[] {
    throw unbuilt();
  }

  /** Copies the replica's entries out of the oldest file to the end of the journal, so that it can be freed. */
  copyForward(_replicaId: number): Promise<void> {
    throw unbuilt();
  }

  /** True while entries are refused for want of space. */
  get isDiskFull(): boolean {
    throw unbuilt();
  }

  /** Resolves when nothing waits to be written. */
  idle(): Promise<void> {
    throw unbuilt();
  }

  /** Writes what waits and a closing flush. After a failure it only closes the files. */
  close(): Promise<void> {
    throw unbuilt();
  }
}

function unbuilt(): InvariantError {
  return new InvariantError("The journal is not built yet");
}
