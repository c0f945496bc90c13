import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { hasReason } from "../base/errors.ts";
import { type Offset, toOffset } from "../base/units.ts";
import type { FrameRun } from "./frame-run.ts";
import type { FrameLimits, FrameRange, LogOptions, LogRecord } from "./log-types.ts";
import type { PendingQueue } from "./pending.ts";
import type { RecentSegments } from "./recent-segments.ts";
import { HEADER_BYTES } from "./scan.ts";
import type { Segment } from "./segment.ts";
import type { SegmentList } from "./segment-list.ts";
import { offsetOutOfRange, storeCorrupt } from "./storage-errors.ts";

/** What {@link LogReader.scan} reads at once. */
const SCAN_BYTES = 1024 * 1024;

export interface LogReaderOptions {
  readonly segments: SegmentList;
  readonly pending: PendingQueue;
  readonly recent: RecentSegments;
  readonly check: LogOptions["check"];
}

/** Reads a log: from its files, and from memory what is not written yet. See `Log` for the contract. */
export class LogReader {
  readonly #segments: SegmentList;
  readonly #pending: PendingQueue;
  readonly #recent: RecentSegments;
  readonly #check: LogOptions["check"];

  constructor(options: LogReaderOptions) {
    this.#segments = options.segments;
    this.#pending = options.pending;
    this.#recent = options.recent;
    this.#check = options.check;
  }

  async read(offset: Offset): Promise<Uint8Array> {
    const range = await this.readFrames(offset, { bytesMax: 1, recordsMax: 1 });
    if (range.ends.length === 0) throw offsetOutOfRange(offset, this.#segments);
    return this.#dataOf(range, 0);
  }

  async readFrames(from: Offset, limits: FrameLimits): Promise<FrameRange> {
    const { firstOffset, nextOffset } = this.#segments;
    if (!(from >= firstOffset && from <= nextOffset)) throw offsetOutOfRange(from, this.#segments);
    assert(limits.bytesMax > 0 && limits.recordsMax > 0, "Cannot read: limits must be above 0");
    const end = Math.min(limits.end ?? nextOffset, nextOffset);
    if (from >= end) return { bytes: EMPTY_BYTES, first: from, ends: [] };
    const recordsMax = Math.min(limits.recordsMax, end - from);
    const bounded = { bytesMax: limits.bytesMax, recordsMax };
    if (from >= (this.#pending.firstOffset ?? nextOffset)) return this.#pending.read(from, bounded);
    return await this.#inSegment(from, (segment) => segment.read(from, bounded));
  }

  async readRun(from: Offset, limits: FrameLimits): Promise<FrameRun | undefined> {
    const { firstOffset, nextOffset } = this.#segments;
    if (!(from >= firstOffset && from <= nextOffset)) throw offsetOutOfRange(from, this.#segments);
    if (from >= (this.#pending.firstOffset ?? nextOffset)) return undefined;
    try {
      return await this.#inSegment(from, (segment) => segment.readRun(from, limits));
    } catch (error) {
      if (hasReason(error, "STORE_CORRUPT")) return undefined;
      throw error;
    }
  }

  /** While `read` runs, the segment's files stay. */
  async #inSegment<T>(offset: Offset, read: (segment: Segment) => Promise<T>): Promise<T> {
    const segment = this.#segments.find(offset);
    if (segment !== this.#segments.newest) this.#recent.touch(segment);
    segment.lease();
    try {
      return await read(segment);
    } finally {
      segment.release();
    }
  }

  async *scan(from: Offset): AsyncGenerator<LogRecord, void, void> {
    const end = this.#segments.nextOffset;
    let next = from;
    do {
      const limits = { bytesMax: SCAN_BYTES, recordsMax: Number.MAX_SAFE_INTEGER, end };
      const range = await this.readFrames(next, limits);
      for (let at = 0; at < range.ends.length; at += 1) {
        yield { offset: toOffset(next + at), data: this.#dataOf(range, at) };
      }
      next = toOffset(next + range.ends.length);
    } while (next < end);
  }

  /** The data of frame number `at`. @throws STORE_CORRUPT when the owner's check does not pass it */
  #dataOf(range: FrameRange, at: number): Uint8Array {
    const start = at === 0 ? 0 : (range.ends[at - 1] ?? 0);
    const data = range.bytes.subarray(start + HEADER_BYTES, range.ends[at]);
    const offset = toOffset(range.first + at);
    if (this.#check === undefined || this.#check(data, offset) === "valid") return data;
    const position = range.position === undefined ? undefined : range.position + start;
    throw storeCorrupt(
      `Cannot read the record at offset ${offset}: "${range.file}" is damaged at byte ${position}, ` +
        "wanted what was appended",
      { offset, file: range.file, position },
    );
  }
}
