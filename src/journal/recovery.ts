import { readU64 } from "../base/bytes.ts";
import type { Logger } from "../base/log.ts";
import type { File, FileSystem } from "../platform/file-system.ts";
import { JOURNAL_DIR } from "../storage/layout.ts";
import { journalPath, parseJournalFileName, walName } from "./file-names.ts";
import { BLOCK_BYTES, FIRST_FLUSH, HEADER_BYTES } from "./flush.ts";
import { FrameType, frameBytesAt, REPLICA_AT, TYPE_AT } from "./frames.ts";
import { journalCorrupt } from "./journal-errors.ts";
import type { JournalRecovery } from "./journal-types.ts";
import { type ExpectedFlush, FileScan } from "./recovery-scan.ts";
import { ReplicaSet } from "./replica-set.ts";

/** A file that holds flushes of the journal, open as the {@link Recovery} was told to. */
export interface RecoveredFile {
  readonly sequence: number;
  readonly salt: number;
  readonly file: File;
  readonly sizeBytes: number;
  /** Where its valid flushes end. */
  endPosition: number;
}

/** What a journal says, and what is still to be done before anything may be added to it. */
export interface Recovered {
  readonly replicas: ReplicaSet;
  /** From the oldest to the current one; empty: there is no journal yet. */
  readonly files: readonly RecoveredFile[];
  /** Names of files that were made ahead and hold nothing, the newest first. */
  readonly unusedNames: readonly string[];
  readonly freeNames: readonly string[];
  readonly lastNumber: number;
  readonly lastHeaderCrc: number;
  /** First flush that no later one says was synced. */
  readonly unsynced: { readonly sequence: number; readonly position: number } | undefined;
  /** In the last file: where headers of flushes begin that do not count. */
  readonly stalePositions: readonly number[];
  readonly info: JournalRecovery;
}

interface Stop {
  readonly sequence: number;
  readonly position: number;
  readonly why: string;
  readonly isBegun: boolean;
}

/** Reads a journal. Changes nothing on the disk. */
export class Recovery {
  readonly #fs: FileSystem;
  readonly #logger: Logger;
  readonly #mode: "read" | "write";
  readonly #replicas = new ReplicaSet();
  readonly #files: RecoveredFile[] = [];
  readonly #scans: FileScan[] = [];
  readonly #unusedNames: string[] = [];
  #expected: ExpectedFlush | undefined;
  #stop: Stop | undefined;
  /** The file after the end, in which the next flush is not the first thing either. */
  #beyond: Stop | undefined;
  /** Flushes not yet known to be synced, oldest first. */
  readonly #unsynced: { sequence: number; position: number; number: number }[] = [];
  readonly #stalePositions: number[] = [];
  #isCleanStop = true;
  #flushCount = 0;
  #entryCount = 0;
  #flushBytes = 0;

  /** @param mode "read" for tools that only look; the files cannot be repaired then */
  constructor(fs: FileSystem, logger: Logger, mode: "read" | "write" = "write") {
    this.#fs = fs;
    this.#logger = logger;
    this.#mode = mode;
  }

  /**
   * @throws {ProglogError} JOURNAL_CORRUPT, DATA_DIR_INVALID, DISK_FAILED; all files are closed then
   */
  async run(): Promise<Recovered> {
    try {
      const { sequences, freeNames } = await this.#list();
      for (const sequence of sequences)
        await this.#openFile(sequence, sequence === sequences.at(-1));
      await this.#readFlushes();
      await this.#judgeEnd();
      await this.#setUnusedAside();
      return this.#result(freeNames);
    } catch (error) {
      await this.closeAll();
      throw error;
    }
  }

  async closeAll(): Promise<void> {
    for (const { file } of this.#files) await file.close();
  }

  async #list(): Promise<{ sequences: number[]; freeNames: string[] }> {
    const sequences: number[] = [];
    const freeNames: string[] = [];
    for (const name of await this.#fs.list(JOURNAL_DIR)) {
      const parsed = parseJournalFileName(name);
      if (parsed?.kind === "wal") sequences.push(parsed.sequence);
      else if (parsed?.kind === "free") freeNames.push(name);
      else this.#logger.warn("Left a file alone that is not the journal's", { name });
    }
    for (const [at, sequence] of sequences.entries()) {
      const before = sequences[at - 1];
      if (before === undefined || sequence === before + 1) continue;
      const missing = { sequence: before + 1, position: 0 };
      throw journalCorrupt("a file is missing in the middle", missing);
    }
    return { sequences, freeNames };
  }

  async #openFile(sequence: number, isLast: boolean): Promise<void> {
    const file = await this.#fs.open(journalPath(walName(sequence)), { mode: this.#mode });
    const sizeBytes = await file.size();
    // Pushed before it is judged, so that it is closed when the judgement is bad.
    const recovered = { sequence, salt: 0, file, sizeBytes, endPosition: FIRST_FLUSH };
    this.#files.push(recovered);
    const scan = await FileScan.of(sequence, file);
    const head = await scan.head();
    if (head !== undefined) {
      this.#files[this.#files.length - 1] = { ...recovered, salt: head.salt };
      this.#scans.push(scan);
      return;
    }
    // A first file that is not file 1 had others before it, which went only when it held the list.
    let isBegun = !isLast || (this.#files.length === 1 && sequence > 1);
    await scan.headers(FIRST_FLUSH, undefined, () => {
      isBegun = true;
      return true;
    });
    if (isBegun) throw journalCorrupt("the head of a file is damaged", { sequence, position: 0 });
    // Heads are synced before files get their names, so this is damage too, of a file without content.
    this.#files.pop();
    await file.close();
    this.#unusedNames.push(walName(sequence));
  }

  async #readFlushes(): Promise<void> {
    for (const [at, scan] of this.#scans.entries()) {
      const file = this.#files[at];
      if (file === undefined) return;
      if (file.sequence === 1) this.#expected = { number: 1, previousCrc: 0 };
      const stop = await this.#readFile(scan, file);
      // A file in which the next flush is not the first thing was not begun: the journal ends before it.
      if (stop.position === FIRST_FLUSH && at > 0) {
        this.#beyond = stop;
        return;
      }
      this.#stop = stop;
      if (stop.position === FIRST_FLUSH) return;
    }
  }

  /** @returns where and why it found no further flush */
  async #readFile(scan: FileScan, file: RecoveredFile): Promise<Stop> {
    const { sequence } = file;
    for (;;) {
      const position = file.endPosition;
      const found = await scan.flushAt(position, file, this.#expected);
      if (!found.isValid) return { sequence, position, why: found.why, isBegun: found.isBegun };
      const { header, frames, bytes } = found;
      this.#apply(frames, { file: sequence, position });
      while ((this.#unsynced[0]?.number ?? Infinity) <= header.syncedThrough)
        this.#unsynced.shift();
      this.#unsynced.push({ sequence, position, number: header.number });
      this.#expected = { number: header.number + 1, previousCrc: header.headerCrc };
      this.#flushCount += 1;
      this.#flushBytes += bytes;
      file.endPosition += bytes;
    }
  }

  #apply(frames: DataView, flush: { readonly file: number; readonly position: number }): void {
    const isFileStart = flush.position === FIRST_FLUSH;
    const listed = new Set<number>();
    this.#isCleanStop = false;
    if (isFileStart) {
      visitFrames(frames, (at, type) => {
        if (type === FrameType.replicaListed) listed.add(readU64(frames, at + REPLICA_AT));
      });
      this.#replicas.keepOnly(listed);
    }
    visitFrames(frames, (at, type) => {
      const position = flush.position + HEADER_BYTES + at;
      const fault = this.#replicas.apply(frames, at, { file: flush.file, position });
      if (fault !== undefined) throw journalCorrupt(fault, { sequence: flush.file, position });
      if (type === FrameType.entry || type === FrameType.copiedEntry) this.#entryCount += 1;
      this.#isCleanStop = type === FrameType.closeMark;
    });
  }

  /**
   * The journal ends where the next flush is not valid, unless something behind that place says that
   * it was synced: then it is damage.
   */
  async #judgeEnd(): Promise<void> {
    const stop = this.#stop;
    if (stop === undefined) return;
    const number = this.#expected?.number;
    // Every file's first flush is synced before a second one: any later header covers it.
    const isClaim = (syncedThrough: number) => number === undefined || syncedThrough >= number;
    const damage = (claim: string, { why, ...place }: Stop = stop) =>
      journalCorrupt(
        `flush ${number ?? "(unknown)"} is damaged (${why}), but was synced: ${claim}`,
        place,
      );
    for (const [at, scan] of this.#scans.entries()) {
      const file = this.#files[at];
      if (file === undefined || file.sequence < stop.sequence) continue;
      const isEndFile = file.sequence === stop.sequence;
      // The first flush of all says nothing about itself.
      const from = number === undefined ? FIRST_FLUSH + BLOCK_BYTES : file.endPosition;
      await scan.headers(from, file.salt, (header, position) => {
        if (isClaim(header.syncedThrough)) {
          const place = `${walName(file.sequence)} at byte ${position}`;
          const claim = `flush ${header.number} in ${place} says so`;
          // Nothing was begun at the end of one file, so it was the first of the next.
          const isFirst = file.sequence === this.#beyond?.sequence && position > FIRST_FLUSH;
          throw damage(claim, isFirst && !stop.isBegun ? this.#beyond : stop);
        }
        if (isEndFile) this.#stalePositions.push(position);
        return false;
      });
    }
    if (number === undefined) throw damage("a file before it was given a new use");
    const gap = this.#replicas.gap();
    if (gap !== undefined) throw journalCorrupt(gap, stop);
  }

  /** Files behind the end were made ahead, and no flush was completed in them. */
  async #setUnusedAside(): Promise<void> {
    const end = this.#stop?.sequence ?? 0;
    for (;;) {
      const last = this.#files.at(-1);
      if (last === undefined || last.sequence <= end) return;
      this.#files.pop();
      await last.file.close();
      this.#unusedNames.push(walName(last.sequence));
    }
  }

  #result(freeNames: readonly string[]): Recovered {
    const stop = this.#stop;
    const unsynced = this.#unsynced[0];
    return {
      replicas: this.#replicas,
      files: this.#files,
      unusedNames: this.#unusedNames,
      freeNames,
      lastNumber: (this.#expected?.number ?? 1) - 1,
      lastHeaderCrc: this.#expected?.previousCrc ?? 0,
      unsynced,
      stalePositions: this.#stalePositions,
      info: {
        isCleanStop: this.#isCleanStop,
        fileCount: this.#files.length,
        flushCount: this.#flushCount,
        entryCount: this.#entryCount,
        flushBytes: this.#flushBytes,
        endFile: stop === undefined ? "" : walName(stop.sequence),
        endPosition: stop?.position ?? 0,
        endReason: stop?.why ?? "there is no journal yet",
        isTorn: stop?.isBegun === true || this.#stalePositions.length > 0,
      },
    };
  }
}

function visitFrames(frames: DataView, visit: (at: number, type: number) => void): void {
  let at = 0;
  while (at < frames.byteLength) {
    visit(at, frames.getUint8(at + TYPE_AT));
    at += frameBytesAt(frames, at);
  }
}
