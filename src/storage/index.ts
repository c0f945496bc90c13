import { bytesEqual, EMPTY_BYTES, readU64, viewOf, writeU32 } from "../base/bytes.ts";
import { platformCode } from "../base/errors.ts";
import { type Offset, toPosition } from "../base/units.ts";
import type { FileSystem } from "../platform/file-system.ts";
import type { FrameBatch } from "./frame.ts";
import { HEADER_BYTES, RECORD_BYTES_MAX } from "./scan.ts";
import { SegmentFile } from "./segment-file.ts";

/**
 * Entry n of an index, at byte 16 n, says where record n of the segment begins:
 *
 *     0               8                16
 *     +---------------+----------------+
 *     | offset: u64 LE| position: u64 LE|
 *     +---------------+----------------+
 */
export const ENTRY_BYTES = 16;

/** Entries that are read at once and kept when fewer were asked for: a reader goes on nearby. */
const BLOCK_ENTRIES = 256;

/** How far the store goes that the index speaks of. */
export interface StoreSize {
  readonly records: number;
  readonly bytes: number;
}

/**
 * A segment's index file.
 *
 * It is derived from the store and never evidence about it: everything that is
 * read from it is checked, and what does not fit is as good as absent.
 */
export class Index extends SegmentFile {
  readonly #base: Offset;
  #block: { readonly record: number; readonly view: DataView } | undefined;

  /** @param base offset of the segment's first record */
  constructor(fs: FileSystem, path: string, base: Offset) {
    super(fs, path);
    this.#base = base;
  }

  /**
   * Says where the records `record` to `record + count - 1` begin, and where the last
   * of them ends: `count + 1` positions. Fewer, when entries do not fit: those before
   * the first that does not. Position n + 1 is where record n ends, so with one or none
   * nothing is known.
   */
  async positions(record: number, count: number, store: StoreSize): Promise<Float64Array> {
    const last = record + count;
    const entries = Math.min(last + 1, store.records) - record;
    const view = await this.#entries(record, entries, store);
    const positions = new Float64Array(count + 1);
    const first = this.#base + record;
    let before = -HEADER_BYTES;
    for (let at = 0; at <= count; at += 1) {
      const isEnd = record + at === store.records;
      const position = isEnd ? store.bytes : positionAt(view, at, first + at);
      const gap = position - before;
      const fits = at === 0 || (gap >= HEADER_BYTES && gap <= HEADER_BYTES + RECORD_BYTES_MAX);
      // Not a number (an entry that does not fit) is never in a range.
      if (!fits || !(position >= 0 && position <= store.bytes)) return positions.subarray(0, at);
      if (record + at === 0 && position !== 0) return positions.subarray(0, 0);
      positions[at] = position;
      before = position;
    }
    return positions;
  }

  /** What entry `record` says; undefined when there is none or it is of another offset. */
  async position(record: number): Promise<number | undefined> {
    const entry = viewOf(await this.#read(record, 1));
    const position = positionAt(entry, 0, this.#base + record);
    return Number.isSafeInteger(position) ? position : undefined;
  }

  /** True when the entries from `record` on are those of frames that begin at `starts`. */
  async matches(starts: readonly number[], record: number): Promise<boolean> {
    const present = await this.#read(record, starts.length);
    return bytesEqual(present, this.#encode(starts, record));
  }

  /** Makes {@link matches} true. @returns false when it was */
  async correct(starts: readonly number[], record: number): Promise<boolean> {
    if (await this.matches(starts, record)) return false;
    this.#block = undefined;
    await this.ensure();
    const entries = this.#encode(starts, record);
    await this.write((file) => file.write([entries], toPosition(record * ENTRY_BYTES)));
    return true;
  }

  /** Cuts what lies after the first `records` entries. @returns true when there was something */
  async cutAfter(records: number): Promise<boolean> {
    const wanted = records * ENTRY_BYTES;
    this.#block = undefined;
    if ((await this.sizeIfThere()) <= wanted) return false;
    await this.write((file) => file.truncate(wanted));
    return true;
  }

  /** Size in bytes; 0 when the file is not there. */
  async sizeIfThere(): Promise<number> {
    try {
      return await this.read((file) => file.size());
    } catch (error) {
      if (platformCode(error) === "ENOENT") return 0;
      throw error;
    }
  }

  #encode(starts: readonly number[], record: number): Uint8Array {
    const bytes = new Uint8Array(starts.length * ENTRY_BYTES);
    const first = this.#base + record;
    for (const [at, position] of starts.entries()) writeEntry(bytes, at, first + at, position);
    return bytes;
  }

  /** Entries as many as there are, from the block that was read last if it has them. */
  async #entries(record: number, count: number, store: StoreSize): Promise<DataView> {
    const block = this.#block;
    if (block !== undefined && record >= block.record) {
      const start = (record - block.record) * ENTRY_BYTES;
      const bytes = count * ENTRY_BYTES;
      if (start + bytes <= block.view.byteLength) {
        return new DataView(block.view.buffer, block.view.byteOffset + start, bytes);
      }
    }
    if (count > BLOCK_ENTRIES) return viewOf(await this.#read(record, count));
    const view = viewOf(await this.#read(record, Math.min(BLOCK_ENTRIES, store.records - record)));
    this.#block = { record, view };
    return view;
  }

  /** Short when the file ends before, empty when the disk cannot read it. */
  async #read(record: number, count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count * ENTRY_BYTES);
    try {
      const at = toPosition(record * ENTRY_BYTES);
      const got = await this.read((file) => file.read(bytes, at));
      return bytes.subarray(0, got);
    } catch (error) {
      const code = platformCode(error);
      if (code !== "ENOENT" && code !== "EIO") throw error;
      return EMPTY_BYTES;
    }
  }
}

/** The entries of a batch whose first frame begins at `position`. */
export function encodeEntries(
  batch: FrameBatch,
  place: { readonly firstOffset: Offset; readonly position: number },
): Uint8Array {
  const { count, ends } = batch;
  const bytes = new Uint8Array(count * ENTRY_BYTES);
  let position = place.position;
  for (let at = 0; at < count; at += 1) {
    writeEntry(bytes, at, place.firstOffset + at, position);
    position = place.position + (ends[at] ?? 0);
  }
  return bytes;
}

function writeEntry(target: Uint8Array, at: number, offset: number, position: number): void {
  const start = at * ENTRY_BYTES;
  writeU32(target, start, offset);
  writeU32(target, start + 4, Math.floor(offset / 2 ** 32));
  writeU32(target, start + 8, position);
  writeU32(target, start + 12, Math.floor(position / 2 ** 32));
}

/** The position in entry number `at` of `view`, or not a number when it is not of `offset`. */
function positionAt(view: DataView, at: number, offset: number): number {
  const start = at * ENTRY_BYTES;
  if (start + ENTRY_BYTES > view.byteLength) return Number.NaN;
  return readU64(view, start) === offset ? readU64(view, start + 8) : Number.NaN;
}
