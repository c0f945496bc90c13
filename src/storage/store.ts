import { viewOf } from "../base/bytes.ts";
import { ProglogError, platformCode } from "../base/errors.ts";
import { toPosition } from "../base/units.ts";
import type { FrameBatch } from "./frame.ts";
import { frameBytesAt, HEADER_BYTES, RECORD_BYTES_MAX } from "./scan.ts";
import { type FileScan, type FileScanOptions, scanFile } from "./scan-file.ts";
import { SegmentFile } from "./segment-file.ts";
import { recordTooLarge, storeCorrupt } from "./storage-errors.ts";

/** Bytes that {@link Store.isZeroFrom} reads at a time. */
const ZERO_CHUNK_BYTES = 64 * 1024;

/** The file of a segment's frames; see `scan.ts` for the format. */
export class Store extends SegmentFile {
  /** @throws STORE_CORRUPT when the disk cannot read it, or when it is not there */
  size(): Promise<number> {
    return this.#checked(() => this.read((file) => file.size()));
  }

  /** Reads [start, end). @throws STORE_CORRUPT when the file ends before, or the disk cannot read */
  async readRange(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    await this.readInto(bytes, start);
    return bytes;
  }

  /** Fills `target` from `start` on. @throws as {@link readRange} */
  async readInto(target: Uint8Array, start: number): Promise<void> {
    const count = await this.#checked(() =>
      this.read((file) => file.read(target, toPosition(start))),
    );
    if (count === target.length) return;
    throw storeCorrupt(
      `Cannot read "${this.path}": it ends at byte ${start + count}, wanted ${start + target.length}`,
      { file: this.path, position: start + count },
    );
  }

  /** Bytes of the frame at `start`, header included; undefined when it does not fit before `end`. */
  async frameBytes(start: number, end: number): Promise<number | undefined> {
    if (start + HEADER_BYTES > end) return undefined;
    const header = await this.readRange(start, start + HEADER_BYTES);
    const frameBytes = frameBytesAt(viewOf(header), 0);
    return start + frameBytes <= end ? frameBytes : undefined;
  }

  /** Walks the frames; see {@link scanFile}. @throws STORE_CORRUPT when the disk cannot read */
  async *scan(options: FileScanOptions): FileScan {
    const read = (target: Uint8Array, at: number) =>
      this.#checked(() => this.read((file) => file.read(target, toPosition(at))));
    return yield* scanFile(read, options);
  }

  /** True when [start, end) holds nothing but zeros; also when it is empty. */
  async isZeroFrom(start: number, end: number): Promise<boolean> {
    for (let at = start; at < end; at += ZERO_CHUNK_BYTES) {
      const chunk = await this.readRange(at, Math.min(end, at + ZERO_CHUNK_BYTES));
      if (chunk.some((byte) => byte !== 0)) return false;
    }
    return true;
  }

  async #checked<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const code = platformCode(cause);
      if (code !== "EIO" && code !== "ENOENT") throw cause;
      const message = `Cannot read "${this.path}": the disk reports ${code}, wanted its bytes`;
      throw storeCorrupt(message, { file: this.path }, cause);
    }
  }
}

/**
 * Frames opaque records, without an envelope, as the seed does.
 *
 * @throws RECORD_TOO_LARGE when one is over RECORD_BYTES_MAX
 */
export function frameRecords(records: readonly Uint8Array[]): FrameBatch {
  let total = 0;
  for (const [record, data] of records.entries()) {
    if (data.length > RECORD_BYTES_MAX) throw recordTooLarge(record, data.length);
    total += HEADER_BYTES + data.length;
  }
  const bytes = new Uint8Array(total);
  const view = viewOf(bytes);
  const ends: number[] = [];
  let at = 0;
  for (const data of records) {
    view.setUint32(at, data.length, true);
    bytes.set(data, at + HEADER_BYTES);
    at += HEADER_BYTES + data.length;
    ends.push(at);
  }
  return { bytes, ends, count: records.length };
}

/** @throws BATCH_EMPTY; RECORD_TOO_LARGE when a frame is over what recovery accepts */
export function refuseBatch(batch: FrameBatch): void {
  if (batch.count === 0) {
    throw new ProglogError(
      "BATCH_EMPTY",
      "Cannot append a batch of no records: at least 1 is wanted",
    );
  }
  if (batch.bytes.length <= HEADER_BYTES + RECORD_BYTES_MAX) return;
  let start = 0;
  let record = 0;
  for (const end of batch.ends) {
    const recordBytes = end - start - HEADER_BYTES;
    if (recordBytes > RECORD_BYTES_MAX) throw recordTooLarge(record, recordBytes);
    start = end;
    record += 1;
  }
}
