import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { KIB, MIB, type Position } from "../base/units.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { JOURNAL_DIR } from "../storage/layout.ts";
import { type FileJob, FileJobs } from "./file-jobs.ts";
import { freeName, journalPath, walName } from "./file-names.ts";
import { BLOCK_BYTES, encodeFileHead, FIRST_FLUSH } from "./flush.ts";
import { synced } from "./journal-errors.ts";
import { JournalFile } from "./journal-file.ts";
import type { LiveCounts } from "./live-counts.ts";

/** Zeros that are filled in at a time, ahead of the flushes. */
const ALLOCATION_BYTES = 4 * MIB;

/** What the very first file begins with, so that a new node starts at once. */
const FIRST_ALLOCATION_BYTES = 256 * KIB;

/** Room at the end of each file for votes and trims when no other file can be had. */
const RESERVE_BYTES = 256 * KIB;

/** Free files that are kept for later use; more are deleted. */
const FREE_FILES_MAX = 2;

export interface FileSetOptions {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counts: LiveCounts;
  readonly fileBytes: number;
  readonly sync: "always" | "none";
  /** There is room again. */
  readonly onRoom: () => void;
  /** Something in the background failed for another reason than lack of space. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * The journal's files: makes the next one before it is needed, fills files with
 * zeros ahead of the flushes, and gives files without live entries a new use.
 *
 * All of that is done by one job at a time, most of it while flushes go on.
 */
export class FileSet {
  readonly #options: FileSetOptions;
  readonly #reserveBytes: number;
  /** From the oldest kept to the current one; the current one is the last. */
  readonly #files: JournalFile[];
  #next: JournalFile | undefined;
  /** Names of free files. */
  readonly #free: string[] = [];
  readonly #jobs: FileJobs;
  #isBackgroundJobWaiting = false;

  /** @param files from the oldest to the current one; empty for a new journal, see {@link begin} */
  constructor(options: FileSetOptions, files: readonly JournalFile[]) {
    assert(options.fileBytes % BLOCK_BYTES === 0, "Files are made of whole blocks");
    this.#options = options;
    this.#reserveBytes = Math.min(
      RESERVE_BYTES,
      Math.floor(options.fileBytes / 4 / BLOCK_BYTES) * BLOCK_BYTES,
    );
    this.#files = [...files];
    this.#jobs = new FileJobs(options);
  }

  /** Makes the first file of a new journal. Rejects with the platform's error. */
  async begin(): Promise<void> {
    assert(this.#files.length === 0, "The journal has begun");
    const bytes = Math.min(FIRST_ALLOCATION_BYTES, this.#options.fileBytes) + this.#reserveBytes;
    this.#files.push(await this.#make(1, bytes));
  }

  get current(): JournalFile {
    const current = this.#files.at(-1);
    assert(current !== undefined, "The journal has no file");
    return current;
  }

  get oldest(): JournalFile {
    return this.#files[0] ?? this.current;
  }

  get count(): number {
    return this.#files.length;
  }

  /** Bytes of all flushes in the files kept. */
  get usedBytes(): number {
    let total = 0;
    for (const file of this.#files) total += file.endPosition - FIRST_FLUSH;
    return total;
  }

  /** From the oldest to the current one. */
  kept(): readonly JournalFile[] {
    return [...this.#files];
  }

  /** Undefined when that file is not kept any more. */
  file(sequence: number): JournalFile | undefined {
    return this.#files[sequence - this.oldest.sequence];
  }

  /**
   * Makes room for the next flush, in the current file or by going on to the next one.
   *
   * @param bytesOf says how large the flush is; larger when it opens a file, because of the list
   * @param isUrgent true to use the reserve when there is no other room
   * @returns true when {@link canWrite}; false when the disk is full: then `onRoom` is called when
   *   that has changed
   */
  async prepare(bytesOf: () => number, isUrgent: boolean): Promise<boolean> {
    for (;;) {
      const bytes = bytesOf();
      if (this.canWrite(bytes, isUrgent)) return true;
      const isFitting = this.#fitsCurrent(bytes);
      const job = isFitting ? this.#growTo(this.#end(bytes) + this.#reserveBytes) : this.#makeNext;
      if (!(await this.#jobs.attempt(job))) return this.canWrite(bytesOf(), isUrgent);
      if (!isFitting) await this.#roll();
    }
  }

  /** True when a flush of `bytes` can be written now. Only an urgent one may leave less than the reserve. */
  canWrite(bytes: number, isUrgent: boolean): boolean {
    const { allocatedBytes } = this.current;
    const isFitting = this.#fitsCurrent(bytes);
    if (isUrgent && this.#end(bytes) <= allocatedBytes) return isFitting || this.isStarved;
    return isFitting && this.#end(bytes) + this.#reserveBytes <= allocatedBytes;
  }

  /** Does in the background what will be needed soon. Called after each flush; cheap when nothing is. */
  lookAhead(): void {
    if (this.#isBackgroundJobWaiting || this.#jobs.isStopped) return;
    if (this.#soon() === undefined) return;
    this.#isBackgroundJobWaiting = true;
    this.#jobs.start(async () => {
      this.#isBackgroundJobWaiting = false;
      await this.#soon()?.();
    });
  }

  /** True while something found no room and waits to be tried again. */
  get isStarved(): boolean {
    return this.#jobs.isStarved;
  }

  /** Goes on in the next file though the current one has room. @returns false when the disk is full */
  async goOn(): Promise<boolean> {
    if (!(await this.#jobs.attempt(this.#makeNext))) return false;
    await this.#roll();
    return true;
  }

  /** Gives all files that can be freed a new use. */
  async release(): Promise<void> {
    if (this.#isReleasable()) await this.#jobs.run(this.#release);
  }

  /** Resolves when no job runs or waits. */
  settled(): Promise<void> {
    return this.#jobs.settled();
  }

  /** Tries no more, waits for what is under way, and closes all files. */
  async close(): Promise<void> {
    await this.#jobs.stop();
    for (const file of this.#files) await file.close();
    await this.#next?.close();
  }

  #end(bytes: number): number {
    return this.current.endPosition + bytes;
  }

  /** A flush larger than a file makes a file of its own size. */
  #fitsCurrent(bytes: number): boolean {
    return this.current.isUnused || this.#end(bytes) <= this.#options.fileBytes;
  }

  #soon(): FileJob | undefined {
    if (this.#isReleasable()) return this.#release;
    if (this.isStarved) return undefined;
    const { allocatedBytes, endPosition } = this.current;
    const wanted = this.#options.fileBytes + this.#reserveBytes;
    const isShort = allocatedBytes - endPosition < ALLOCATION_BYTES / 2 + this.#reserveBytes;
    if (isShort && allocatedBytes < wanted) {
      return this.#growTo(Math.min(wanted, allocatedBytes + ALLOCATION_BYTES));
    }
    if (this.#next === undefined && endPosition > this.#options.fileBytes / 2)
      return this.#makeNext;
    return undefined;
  }

  #growTo(bytes: number): FileJob {
    const file = this.current;
    return async () => {
      const wanted = this.#options.fileBytes + this.#reserveBytes;
      const ahead = Math.min(wanted, file.allocatedBytes + ALLOCATION_BYTES);
      if (file.allocatedBytes < bytes) await file.allocate(Math.max(bytes, ahead));
    };
  }

  readonly #makeNext: FileJob = async () => {
    if (this.#next !== undefined) return;
    const { fileBytes } = this.#options;
    const bytes = Math.min(ALLOCATION_BYTES, fileBytes + this.#reserveBytes);
    this.#next = await this.#make(this.current.sequence + 1, bytes);
  };

  /**
   * Makes a file, of a free one when there is one. It gets its name when its head is durable, so
   * a file that has a name always has a head of its own: with a new salt, what it still holds of an
   * older use is not valid any more.
   */
  async #make(sequence: number, bytes: number): Promise<JournalFile> {
    const { fs, random, sync } = this.#options;
    const name = this.#free[0] ?? freeName(sequence);
    if (this.#free.length === 0) this.#free.push(name);
    const salt = random.safeInteger();
    const path = journalPath(walName(sequence));
    const plain = await fs.open(journalPath(name), { mode: "create" });
    try {
      const size = await plain.size();
      await plain.write([encodeFileHead({ sequence, salt })], 0 as Position);
      const head = new JournalFile({
        sequence,
        salt,
        plain,
        durable: undefined,
        sizeBytes: Math.max(size, BLOCK_BYTES),
      });
      await head.allocate(bytes);
      await fs.rename(journalPath(name), path);
      this.#free.shift();
      await synced(fs.syncDir(JOURNAL_DIR));
      const durable =
        sync === "always" ? await fs.open(path, { mode: "write", syncWrites: true }) : undefined;
      return new JournalFile({ sequence, salt, plain, durable, sizeBytes: head.allocatedBytes });
    } catch (error) {
      await plain.close();
      throw error;
    }
  }

  async #roll(): Promise<void> {
    const next = this.#next;
    assert(next !== undefined, "There is no next file");
    // The first flush of the next file will say that all before it is synced.
    if (this.#options.sync === "none") await synced(this.current.sync());
    this.#files.push(next);
    this.#next = undefined;
    this.#options.logger.debug("Went on to the next journal file", { sequence: next.sequence });
  }

  /** Only front to back, so that the sequence never has a gap. */
  #isReleasable(): boolean {
    const { oldest, current } = this;
    if (oldest === current || current.isUnused) return false;
    return this.#options.counts.of(oldest.sequence) === 0 && !oldest.isRead;
  }

  readonly #release: FileJob = async () => {
    const { fs, sync, fileBytes } = this.#options;
    while (this.#isReleasable()) {
      const file = this.oldest;
      // What made its entries needless must not be lost when they are gone.
      if (sync === "none") await synced(this.current.sync());
      const name = freeName(file.sequence);
      await fs.rename(journalPath(walName(file.sequence)), journalPath(name));
      this.#files.shift();
      this.#options.counts.forget(file.sequence);
      await synced(fs.syncDir(JOURNAL_DIR));
      await file.close();
      const isUsual = file.allocatedBytes <= fileBytes + this.#reserveBytes;
      if (isUsual && this.#free.length < FREE_FILES_MAX) this.#free.push(name);
      else await fs.remove(journalPath(name));
    }
    // Not only when the time comes: there may be room now.
    this.#jobs.retry();
  };
}
