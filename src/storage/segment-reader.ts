import { EMPTY_BYTES, readU64, viewOf } from "../base/bytes.ts";
import { hasReason } from "../base/errors.ts";
import { type Offset, toOffset, toPosition } from "../base/units.ts";
import { isStoreSound, rebuildIndex, type SegmentParts } from "./closed-segment.ts";
import type { StoreSize } from "./index.ts";
import type { FrameLimits, FrameRange } from "./log-types.ts";
import { HEADER_BYTES } from "./scan.ts";
import { storeCorrupt } from "./storage-errors.ts";

/** Records that one read looks up at most: 128 KiB of index. */
const READ_RECORDS_MAX = 8192;

export interface SegmentReaderOptions extends SegmentParts {
  /**
   * Runs `work`, which writes to the index, while nothing else does. Undefined when nothing
   * may be written: then positions are found by walking the store.
   */
  readonly mend: ((work: () => Promise<void>) => Promise<void>) | undefined;
}

/** Frames that were found sound. */
interface Found {
  readonly bytes: Uint8Array;
  /** Where they begin in the store, and where the last one ends; fewer than two: none. */
  readonly positions: Float64Array;
  /** Something did not fit after the last of them, or the disk could not read it. */
  readonly stopped: { readonly cause: unknown } | undefined;
}

/** Reads a segment's frames, and mends its index when that does not fit. */
export class SegmentReader {
  readonly #parts: SegmentParts;
  readonly #mend: SegmentReaderOptions["mend"];
  /** The index was compared with the store: looking again is of no use. */
  #isChecked = false;
  #checking: Promise<void> | undefined;
  /** The index is wrong and may not be mended: positions are found in the store. */
  #doesWalk = false;
  /** Where the last walk ended: a reader that goes on there need not begin at the front. */
  #walkFrom = { record: 0, position: 0 };

  constructor(options: SegmentReaderOptions) {
    this.#parts = options;
    this.#mend = options.mend;
  }

  /**
   * Reads frames from offset `from` on, which must be within `size`. Each frame's length
   * is compared with the index. Ends before a damaged one.
   *
   * @throws STORE_CORRUPT when the frame at `from` is damaged
   */
  async read(from: Offset, limits: FrameLimits, size: StoreSize): Promise<FrameRange> {
    const record = from - this.#parts.base;
    const wanted = { record, count: recordsWanted(record, limits, size), limits, size };
    let found = await this.#find(wanted);
    if (found.stopped !== undefined && !this.#isChecked) {
      this.#checking ??= this.#checkIndex(size);
      await this.#checking;
      found = await this.#find(wanted);
    }
    const { bytes, positions, stopped } = found;
    const start = positions[0];
    if (start === undefined || positions.length < 2) throw this.#damaged(from, start, stopped);
    const ends: number[] = [];
    for (let at = 1; at < positions.length; at += 1) ends.push((positions[at] ?? 0) - start);
    return { bytes, first: from, ends, file: this.#parts.store.path, position: toPosition(start) };
  }

  /** Something was repaired: if the index does not fit, it is compared with the store again. */
  lookAgain(): void {
    this.#isChecked = false;
    this.#checking = undefined;
  }

  async #find(wanted: Wanted): Promise<Found> {
    const { count, limits } = wanted;
    const positions = await this.#positions(wanted);
    let fitting = recordsThatFit(positions, limits.bytesMax);
    let stopped: Found["stopped"] =
      fitting >= positions.length - 1 && fitting < count ? { cause: undefined } : undefined;
    while (fitting > 0) {
      try {
        const start = positions[0] ?? 0;
        const bytes = await this.#parts.store.readRange(start, positions[fitting] ?? 0);
        const sound = soundFrames(bytes, positions.subarray(0, fitting + 1));
        if (sound < fitting) stopped = { cause: undefined };
        const kept = positions.subarray(0, sound + 1);
        return { bytes: bytes.subarray(0, (kept[sound] ?? 0) - start), positions: kept, stopped };
      } catch (error) {
        if (!hasReason(error, "STORE_CORRUPT")) throw error;
        // What lies before the place that cannot be read is to be had.
        stopped = { cause: error };
        fitting = Math.floor(fitting / 2);
      }
    }
    return { bytes: EMPTY_BYTES, positions: positions.subarray(0, 1), stopped };
  }

  async #positions({ record, count, size }: Wanted): Promise<Float64Array> {
    if (this.#doesWalk) return await this.#walk(record, count, size);
    const positions = await this.#parts.index.positions(record, count, size);
    if (positions.length >= 2 || this.#mend !== undefined || !this.#isChecked) return positions;
    // Neither index nor store is sound, and only to be read: what lies before the damage.
    return await this.#walk(record, count, size);
  }

  /** Decides who is right when store and index do not fit: the store, if it is sound. */
  async #checkIndex(size: StoreSize): Promise<void> {
    try {
      const isSound = await isStoreSound(this.#parts, size);
      if (!isSound) return;
      if (this.#mend === undefined) this.#doesWalk = true;
      else await this.#mend(() => rebuildIndex(this.#parts, size));
    } finally {
      this.#isChecked = true;
    }
  }

  /** As `Index.positions`, out of the store itself. */
  async #walk(record: number, count: number, size: StoreSize): Promise<Float64Array> {
    const from = this.#walkFrom.record <= record ? this.#walkFrom : { record: 0, position: 0 };
    const positions = new Float64Array(count + 1);
    let found = 0;
    const options = { size: size.bytes, base: this.#parts.base, from, recordEnd: record + count };
    for await (const run of this.#parts.store.scan(options)) {
      for (const start of run.starts.slice(Math.max(0, record - run.record))) {
        positions[found] = start;
        found += 1;
      }
      positions[found] = run.end;
      this.#walkFrom = { record: run.record + run.starts.length, position: run.end };
    }
    return positions.subarray(0, found === 0 ? 0 : found + 1);
  }

  #damaged(offset: Offset, position: number | undefined, stopped: Found["stopped"]) {
    const file = this.#parts.store.path;
    const place = position === undefined ? "" : ` at byte ${position}`;
    return storeCorrupt(
      `Cannot read the record at offset ${offset}: "${file}" is damaged${place}, wanted a whole frame`,
      { offset: toOffset(offset), file, position },
      stopped?.cause,
    );
  }
}

interface Wanted {
  readonly record: number;
  readonly count: number;
  readonly limits: FrameLimits;
  readonly size: StoreSize;
}

/** How many records are worth looking up: about as many as fit, judged by the segment's average. */
function recordsWanted(record: number, limits: FrameLimits, size: StoreSize): number {
  const bytesAverage = size.bytes / size.records;
  const guess = Math.ceil((limits.bytesMax / bytesAverage) * 1.25) + 1;
  return Math.min(guess, limits.recordsMax, READ_RECORDS_MAX, size.records - record);
}

/** Of the records between `positions`, how many take at most `bytesMax`; at least one if there is one. */
function recordsThatFit(positions: Float64Array, bytesMax: number): number {
  if (positions.length < 2) return 0;
  const end = (positions[0] ?? 0) + bytesMax;
  let low = 1;
  let high = positions.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((positions[middle] ?? 0) <= end) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** How many of the frames, from the first on, are as long as `positions` says. */
function soundFrames(bytes: Uint8Array, positions: Float64Array): number {
  const view = viewOf(bytes);
  const first = positions[0] ?? 0;
  let start = first;
  for (let at = 1; at < positions.length; at += 1) {
    const end = positions[at] ?? 0;
    if (readU64(view, start - first) !== end - start - HEADER_BYTES) return at - 1;
    start = end;
  }
  return positions.length - 1;
}
