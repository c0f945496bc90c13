import type { ProglogError } from "../base/errors.ts";
import { FrameBuffer } from "./frame-buffer.ts";
import { ENTRY_HEAD_BYTES, FrameType } from "./frames.ts";
import type { AppendDone, NewEntry, RaftWrite } from "./journal-types.ts";
import type { ReplicaSet } from "./replica-set.ts";

/** One thing that waits to be journalled. */
export interface Waiting {
  readonly write?: RaftWrite;
  /** Adds its other frames: at once, see {@link FrameBuffer}. */
  readonly encode?: (frames: FrameBuffer) => void;
  readonly done: AppendDone;
  /** May use the reserve, and is not refused while the disk is full. */
  readonly isUrgent: boolean;
  /** To be synced also with sync "none". */
  readonly isSynced: boolean;
  /** Entries to be copied forward, if they are still live when the flush is written. */
  readonly copies?: readonly Copy[];
}

/** An entry that is journalled again. */
interface CopiedEntry extends NewEntry {
  readonly replicaId: number;
}

export interface Copy {
  readonly entry: CopiedEntry;
  /** Where it was read. */
  readonly file: number;
  readonly position: number;
}

/** True when it has nothing to be written: it is told when all before it are. */
export function isEmpty({ write }: Waiting): boolean {
  if (write === undefined) return false;
  const { snapshot, entries, hardState } = write;
  return entries.length === 0 && snapshot === undefined && hardState === undefined;
}

/** What goes into one flush. */
export class Batch {
  readonly items: Waiting[] = [];
  readonly frames: FrameBuffer;
  #ordinaryCount = 0;
  #isSynced = false;
  #copyBytes = 0;
  #toldCount = 0;

  constructor(frames: FrameBuffer) {
    this.frames = frames;
  }

  add(item: Waiting): void {
    if (item.write !== undefined) addWrite(this.frames, item.write);
    item.encode?.(this.frames);
    this.items.push(item);
    if (!item.isUrgent) this.#ordinaryCount += 1;
    if (item.isSynced) this.#isSynced = true;
    if (item.copies === undefined) return;
    for (const { entry } of item.copies) this.#copyBytes += copyBytes(entry);
  }

  /** Adds what has no frames: it is told with the others. */
  ride(item: Waiting): void {
    this.items.push(item);
  }

  /** True when all of it may use the reserve. */
  get isUrgent(): boolean {
    return this.#ordinaryCount === 0;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Bytes of its frames at most; some copies may turn out to be needless. */
  get frameBytesMax(): number {
    return this.frames.frameBytes + this.#copyBytes;
  }

  /** Copies of entries that are still where they were read. */
  liveCopies(replicas: ReplicaSet): CopiedEntry[] {
    const live: CopiedEntry[] = [];
    if (this.#copyBytes === 0) return live;
    for (const item of this.items) {
      for (const { entry, file, position } of item.copies ?? []) {
        const place = replicas.get(entry.replicaId)?.entries.at(entry.index);
        if (place?.file === file && place.position === position) live.push(entry);
      }
    }
    return live;
  }

  /**
   * Tells those who wait how it went, in order, `countMax` of them at most.
   * @returns true when all are told
   */
  tell(error?: ProglogError, countMax = Number.POSITIVE_INFINITY): boolean {
    const end = this.#toldCount + countMax;
    // Some more may come to ride while these are told.
    while (this.#toldCount < Math.min(this.items.length, end)) {
      const item = this.items[this.#toldCount];
      // Counted first: what is called may come back here.
      this.#toldCount += 1;
      item?.done(error);
    }
    return this.#toldCount === this.items.length;
  }
}

function addWrite(frames: FrameBuffer, write: RaftWrite): void {
  const { replicaId, snapshot, entries, hardState } = write;
  if (snapshot !== undefined) {
    frames.addSnapshot(FrameType.snapshotInstalled, replicaId, snapshot);
  }
  for (const entry of entries) frames.addEntry(replicaId, entry);
  if (hardState !== undefined) frames.addHardState(replicaId, hardState);
}

function copyBytes(entry: NewEntry): number {
  let bytes = ENTRY_HEAD_BYTES;
  for (const part of entry.payload) bytes += part.length;
  return bytes;
}

/** Batches that wait, in order; buffers are used again. */
export class BatchQueue {
  readonly #flushBytesMax: number;
  readonly #batches: Batch[] = [];
  readonly #spare: FrameBuffer[] = [];

  /** @param flushBytesMax size from which a batch takes nothing more */
  constructor(flushBytesMax: number) {
    this.#flushBytesMax = flushBytesMax;
  }

  get first(): Batch | undefined {
    return this.#batches[0];
  }

  get last(): Batch | undefined {
    return this.#batches.at(-1);
  }

  add(item: Waiting): void {
    let last = this.#batches.at(-1);
    if (last === undefined || last.frameBytesMax >= this.#flushBytesMax) {
      last = new Batch(this.buffer());
      this.#batches.push(last);
    }
    last.add(item);
  }

  takeFirst(): Batch | undefined {
    return this.#batches.shift();
  }

  /** Takes everything that is not `kept`; what is kept waits on in the same order. */
  filter(kept: (item: Waiting) => boolean): Waiting[] {
    const items = this.#batches.flatMap((batch) => batch.items);
    for (const batch of this.#batches) this.recycle(batch.frames);
    this.#batches.length = 0;
    const dropped: Waiting[] = [];
    for (const item of items) {
      if (kept(item)) this.add(item);
      else dropped.push(item);
    }
    return dropped;
  }

  /** Everything that waits, in order. */
  *items(): Generator<Waiting> {
    for (const batch of this.#batches) yield* batch.items;
  }

  /** An empty buffer. */
  buffer(): FrameBuffer {
    return this.#spare.pop() ?? new FrameBuffer();
  }

  /** Takes a buffer back whose content is not needed any more. */
  recycle(frames: FrameBuffer): void {
    frames.clear();
    if (this.#spare.length < 2) this.#spare.push(frames);
  }
}
