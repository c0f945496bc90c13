import { type Offset, toOffset, toPosition } from "../base/units.ts";
import type { FileSystem } from "../platform/file-system.ts";
import type { CopiedBatch } from "./copied-frames.ts";
import type { FrameBatch } from "./frame.ts";
import { decodeFrames, type FrameRun } from "./frame-run.ts";
import { ENTRY_BYTES, encodeEntries, Index, type StoreSize } from "./index.ts";
import { KnownPlaces } from "./known-places.ts";
import { indexName, joinPath, storeName } from "./layout.ts";
import type { FrameLimits, FrameRange, SegmentExtent, SegmentInfo } from "./log-types.ts";
import { giveBackReadBuffer, takeReadBuffer } from "./read-buffers.ts";
import { repairRange } from "./repair-range.ts";
import { SegmentReader } from "./segment-reader.ts";
import { Dirty, Serial } from "./serial.ts";
import { Store } from "./store.ts";

type Work = () => Promise<void>;

export interface SegmentOptions {
  readonly fs: FileSystem;
  /** Folder of the log. */
  readonly dir: string;
  readonly base: Offset;
  /** Nothing is ever written: an index that does not fit is not mended but done without. */
  readonly isReadOnly?: boolean | undefined;
}

/** A batch and its place in the segment. */
export interface PlacedBatch {
  readonly firstOffset: Offset;
  readonly position: number;
  readonly batch: FrameBatch;
}

const EMPTY: StoreSize = { records: 0, bytes: 0 };

/**
 * A stretch of a log: a store and its index. It grows while it is the log's newest.
 *
 * Two sizes: *appended* counts what was given a place by {@link Segment.reserve};
 * *written* what is in the files, and so what {@link Segment.read} sees.
 */
export class Segment {
  readonly base: Offset;
  readonly store: Store;
  readonly index: Index;
  readonly #reader: SegmentReader;
  readonly #places = new KnownPlaces();
  readonly #dirty = new Dirty();
  /** Writes of the files: those of appends, and of an index that is made anew. */
  readonly #writes = new Serial();
  #appended = EMPTY;
  #written = EMPTY;
  #isCreated = false;
  /** The files end with what is written, but for what a failed write left. */
  #isCut = true;
  #leases = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: SegmentOptions) {
    const { fs, dir, base } = options;
    this.base = base;
    this.store = new Store(fs, joinPath(dir, storeName(base)));
    this.index = new Index(fs, joinPath(dir, indexName(base)), base);
    const mend = options.isReadOnly === true ? undefined : (work: Work) => this.#mend(work);
    this.#reader = new SegmentReader({ base, store: this.store, index: this.index, mend });
  }

  get nextOffset(): Offset {
    return toOffset(this.base + this.#appended.records);
  }

  get appended(): StoreSize {
    return this.#appended;
  }

  get written(): StoreSize {
    return this.#written;
  }

  /** Stores and indexes, with what is not written yet. */
  get diskBytes(): number {
    return this.#appended.bytes + this.#appended.records * ENTRY_BYTES;
  }

  info(isOpen: boolean): SegmentInfo {
    const { base, nextOffset } = this;
    const { records, bytes } = this.#appended;
    return { base, nextOffset, storeBytes: bytes, indexBytes: records * ENTRY_BYTES, isOpen };
  }

  /** False until its files were made: that is left to the first write. */
  get isCreated(): boolean {
    return this.#isCreated;
  }

  /** Only what is in the files. */
  writtenExtent(): SegmentExtent {
    return { base: this.base, records: this.#written.records, storeBytes: this.#written.bytes };
  }

  appendedExtent(): SegmentExtent {
    return { base: this.base, records: this.#appended.records, storeBytes: this.#appended.bytes };
  }

  /** The files were found to hold so much. */
  found(size: StoreSize): void {
    this.#appended = size;
    this.#written = size;
    this.#isCreated = true;
  }

  /** Something in the files may not be synced. */
  markDirty(): void {
    this.#dirty.mark();
  }

  /** Makes the files, empty, unless they are there. May be tried again after it was rejected. */
  async create(): Promise<void> {
    await this.#writes.run(async () => {
      if (this.#isCreated) return;
      await this.store.create();
      await this.index.create();
      this.#isCreated = true;
    });
  }

  /** Gives a batch its place; it must be handed to {@link Segment.write} in the same order. */
  reserve(batch: FrameBatch): PlacedBatch {
    const place = { firstOffset: this.nextOffset, position: this.#appended.bytes, batch };
    this.#appended = {
      records: this.#appended.records + batch.count,
      bytes: this.#appended.bytes + batch.bytes.length,
    };
    return place;
  }

  /**
   * Writes batches that follow each other and what was written before: the store, then
   * the index. When it rejects nothing counts as written; it may be tried again.
   */
  async write(batches: readonly PlacedBatch[]): Promise<void> {
    await this.#writes.run(async () => {
      const { records, bytes } = this.#written;
      const parts = batches.map(({ batch }) => batch.bytes);
      await this.store.write((file) => file.write(parts, toPosition(bytes)));
      const entries = batches.map((placed) => encodeEntries(placed.batch, placed));
      const indexEnd = toPosition(records * ENTRY_BYTES);
      await this.index.write((file) => file.write(entries, indexEnd));
      const count = batches.reduce((sum, { batch }) => sum + batch.count, 0);
      const size = parts.reduce((sum, part) => sum + part.length, 0);
      this.#written = { records: records + count, bytes: bytes + size };
      this.#dirty.mark();
    });
  }

  /** Forgets what was given a place, and cuts off what was written, after `end`. May be tried again. */
  async cutBack({ records, storeBytes: bytes }: SegmentExtent): Promise<void> {
    this.#appended = { records, bytes };
    if (this.#written.records > records) {
      this.#written = this.#appended;
      this.#isCut = false;
    }
    if (this.#isCut) return;
    await this.#writes.run(async () => {
      this.#places.clear();
      await this.store.write((file) => file.truncate(bytes));
      await this.index.cutAfter(records);
      this.#dirty.mark();
      this.#isCut = true;
    });
  }

  /** Resolves when all that is written would survive a power cut: the store, then the index. */
  async sync(): Promise<void> {
    await this.#dirty.clean(async () => {
      const wasOpen = this.store.isOpen;
      await this.store.write((file) => file.sync());
      await this.index.write((file) => file.sync());
      if (!wasOpen) await this.close();
    });
  }

  /**
   * Reads written frames from offset `from` on, which must be one of them; see SegmentReader.
   * @throws STORE_CORRUPT when the frame at `from` is damaged
   */
  read(from: Offset, limits: FrameLimits): Promise<FrameRange> {
    return this.#reader.read(from, limits, this.#written);
  }

  /**
   * Records from the one at `from` on, which must be written: about as many as `limits` allow,
   * in one read of the store. Ends before a damaged frame.
   *
   * @returns undefined when it gives none
   */
  async readRun(from: Offset, limits: FrameLimits): Promise<FrameRun | undefined> {
    const { records, bytes } = this.#written;
    const record = from - this.base;
    const start = this.#places.take(record) ?? (await this.index.position(record));
    if (start === undefined || start >= bytes) return undefined;
    const wanted = Math.min(
      limits.bytesMax,
      Math.ceil((bytes / records) * limits.recordsMax * 1.25),
      bytes - start,
    );
    const buffer = limits.givesBack === true ? takeReadBuffer(wanted) : undefined;
    const target = buffer?.bytes.subarray(0, wanted) ?? new Uint8Array(wanted);
    await this.store.readInto(target, start);
    const framesMax = limits.recordsMax;
    const run = decodeFrames({ bytes: target, first: from, framesMax, arrays: buffer?.arrays });
    if (run.resumeOffset === from) return undefined;
    // Who reads on begins there.
    this.#places.put(run.resumeOffset - this.base, start + run.endAt);
    return buffer === undefined ? run : { ...run, giveBack: () => giveBackReadBuffer(buffer) };
  }

  /** Puts sound frames in the place of damaged ones that are written; see {@link repairRange}. */
  async repair(batch: CopiedBatch): Promise<void> {
    const wasOpen = this.store.isOpen;
    try {
      await this.#mend(() => repairRange(this, this.#written, batch));
    } finally {
      this.#reader.lookAgain();
      if (!wasOpen) await this.close();
    }
  }

  /** Nobody deletes the segment's files until {@link Segment.release}. */
  lease(): void {
    this.#leases += 1;
  }

  release(): void {
    this.#leases -= 1;
    if (this.#leases > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  get isLeased(): boolean {
    return this.#leases > 0;
  }

  /** Resolves when there are no leases; by then there may be new ones. */
  async idle(): Promise<void> {
    if (this.#leases === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  /** Closes the files; a later use opens them anew. */
  async close(): Promise<void> {
    await Promise.all([this.store.close(), this.index.close()]);
  }

  async #mend(work: Work): Promise<void> {
    await this.#writes.run(work);
    this.#dirty.mark();
  }
}
