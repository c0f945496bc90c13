import { hasReason } from "../base/errors.ts";
import { type Offset, toOffset } from "../base/units.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { extentEnd } from "../storage/extent.ts";
import type { StoreSize } from "../storage/index.ts";
import type { LogExtent, LogRecovery } from "../storage/log-types.ts";
import type { FrameCheck } from "../storage/scan.ts";
import { HEADER_BYTES, type ScanResult, type ScanStop } from "../storage/scan.ts";
import { Segment } from "../storage/segment.ts";
import { listSegmentFiles } from "../storage/segment-files.ts";

/** What can be done about a finding. */
export type Fix =
  /** Write the index anew, out of this much of the store. */
  | { readonly kind: "index"; readonly base: Offset; readonly size: StoreSize }
  /** Cut the store and its index there. */
  | { readonly kind: "tail"; readonly base: Offset; readonly size: StoreSize }
  /** Put the frame in [start, end) aside, and a removed record in its place. Loses the record. */
  | {
      readonly kind: "frame";
      readonly base: Offset;
      readonly record: number;
      readonly start: number;
      readonly end: number;
    };

/** Something that is not as it was written. */
export interface Finding {
  /** "note": normal after a crash, the next start deals with it. */
  readonly severity: "damage" | "note";
  readonly file: string;
  readonly offset?: number;
  readonly position?: number;
  /** A clause, for a person. */
  readonly what: string;
  readonly fix?: Fix;
}

/** What was looked at so far. */
export interface VerifyCounts {
  segments: number;
  records: number;
  bytes: number;
}

export interface VerifyLogOptions {
  readonly fs: FileSystem;
  readonly dir: string;
  /** Absent for raw logs: then only lengths and the index can be checked. */
  readonly check?: (data: Uint8Array, offset: Offset) => FrameCheck;
  /** What a checkpoint says is synced; absent: all but the newest segment. */
  readonly extent?: LogExtent;
  /** Of raw logs: where the newest store is taken to end. What follows is a note. */
  readonly unvouchedFrom?: LogRecovery["unvouchedFrom"];
  /** Added to, for a progress line. */
  readonly counts: VerifyCounts;
}

const STOPS: Readonly<Record<ScanStop, string>> = {
  "torn-header": "a frame's length is cut off",
  "torn-record": "a frame is cut off, or its length is damaged",
  "length-over-limit": "a frame's length is impossible",
  "check-failed": "a frame's checksum does not fit",
  unsupported: "a frame is of a newer format",
};

/** Reads every frame and every index entry of a log. Changes nothing. */
export async function* verifyLog(options: VerifyLogOptions): AsyncGenerator<Finding> {
  const { fs, dir, extent } = options;
  const { stores, indexes } = await listSegmentFiles(fs, dir);
  for (const base of indexes.filter((index) => !stores.includes(index))) {
    const { path } = new Segment({ fs, dir, base, isReadOnly: true }).index;
    yield { severity: "note", file: path, what: "an index without its store" };
  }
  for (const part of extent?.segments ?? []) {
    if (part.records === 0 || stores.includes(toOffset(part.base))) continue;
    const { path } = new Segment({ fs, dir, base: toOffset(part.base), isReadOnly: true }).store;
    yield { severity: "damage", file: path, offset: part.base, what: "the file is missing" };
  }
  for (const [place, base] of stores.entries()) {
    const segment = new Segment({ fs, dir, base, isReadOnly: true });
    try {
      yield* new SegmentVerifier(options, segment, stores[place + 1]).run();
    } catch (error) {
      if (!hasReason(error, "STORE_CORRUPT")) throw error;
      yield { severity: "damage", file: segment.store.path, what: error.message };
    } finally {
      await segment.close();
    }
    options.counts.segments += 1;
  }
}

/** Walks one segment, on past damage where the index or the frame itself says how. */
class SegmentVerifier {
  readonly #options: VerifyLogOptions;
  readonly #segment: Segment;
  /** How many records it must have, since the next one begins after them; undefined for the newest. */
  readonly #wanted: number | undefined;
  /** Bytes that must be there whole: what lies after them may be torn. */
  readonly #syncedBytes: number;
  /** How many records they are, when a checkpoint says so. */
  readonly #syncedRecords: number | undefined;
  #misfit: number | undefined;

  constructor(options: VerifyLogOptions, segment: Segment, nextBase: Offset | undefined) {
    this.#options = options;
    this.#segment = segment;
    this.#wanted = nextBase === undefined ? undefined : nextBase - segment.base;
    const part = options.extent?.segments.find(({ base }) => base === segment.base);
    this.#syncedRecords = part?.records;
    const isWhole = options.extent === undefined && nextBase !== undefined;
    this.#syncedBytes = part?.storeBytes ?? (isWhole ? Number.POSITIVE_INFINITY : 0);
  }

  async *run(): AsyncGenerator<Finding> {
    const { store, base } = this.#segment;
    const fileBytes = await store.size();
    const unvouched = this.#wanted === undefined ? this.#options.unvouchedFrom : undefined;
    if (unvouched !== undefined) {
      const { offset, position } = unvouched;
      const count = Math.floor((fileBytes - position) / HEADER_BYTES);
      const what = `${count} empty records that the index does not vouch for: most likely zeros that the file was extended with`;
      yield { severity: "note", file: store.path, offset, position, what };
    }
    const size = unvouched?.position ?? fileBytes;
    let at = { record: 0, position: 0 };
    for (;;) {
      const found = await this.#walk(at, size);
      const { recordCount: record, validBytes: position, stopped } = found;
      at = { record, position };
      if (stopped === undefined || (await this.#isZeroTail(at, size))) break;
      if (position >= this.#syncedBytes) {
        yield this.#tornTail(found, size);
        break;
      }
      const next = await this.#resume(at, size, stopped);
      const reach = next === undefined ? ", and with it all that follows in this segment" : "";
      const what = `${STOPS[stopped]}${reach}`;
      const damage = {
        severity: "damage",
        file: store.path,
        offset: base + record,
        position,
      } as const;
      if (next === undefined) {
        yield { ...damage, what };
        return;
      }
      const canPutAside = this.#options.check !== undefined && stopped !== "unsupported";
      const fix = { kind: "frame", base, record, start: position, end: next.position } as const;
      yield canPutAside ? { ...damage, what, fix } : { ...damage, what };
      at = next;
    }
    yield* this.#judgeCount(at.record, at.position);
    yield* this.#judgeIndex({ records: at.record, bytes: at.position });
  }

  async #walk(from: { record: number; position: number }, size: number): Promise<ScanResult> {
    const { store, index, base } = this.#segment;
    const { check, counts } = this.#options;
    const recordEnd = this.#wanted;
    const scan = store.scan({
      size,
      base,
      from,
      ...(check === undefined ? {} : { check }),
      ...(recordEnd === undefined ? {} : { recordEnd }),
    });
    for (;;) {
      const step = await scan.next();
      if (step.done === true) return step.value;
      const { starts, record, end } = step.value;
      counts.records += starts.length;
      counts.bytes += end - (starts[0] ?? end);
      if (this.#misfit === undefined && !(await index.matches(starts, record))) {
        this.#misfit = record;
      }
    }
  }

  /** Zeros behind a closed segment: the seed extends its files so, and may leave them. */
  async #isZeroTail(at: { record: number; position: number }, size: number): Promise<boolean> {
    return at.record === this.#wanted && (await this.#segment.store.isZeroFrom(at.position, size));
  }

  #tornTail({ recordCount, validBytes }: ScanResult, size: number): Finding {
    const { store, base } = this.#segment;
    return {
      severity: "note",
      file: store.path,
      offset: base + recordCount,
      position: validBytes,
      what: `${size - validBytes} bytes after the last whole record, as a crash leaves them`,
      fix: { kind: "tail", base, size: { records: recordCount, bytes: validBytes } },
    };
  }

  /** Where the next frame begins: as the index says, or, if only the content is bad, the frame. */
  async #resume(
    at: { record: number; position: number },
    size: number,
    stopped: ScanStop,
  ): Promise<{ record: number; position: number } | undefined> {
    const { store, index } = this.#segment;
    const record = at.record + 1;
    const isLast = record === this.#wanted;
    const byIndex = isLast ? undefined : await index.position(record);
    if (byIndex !== undefined && byIndex > at.position && byIndex <= size) {
      return { record, position: byIndex };
    }
    if (stopped === "check-failed" || stopped === "unsupported") {
      const frameBytes = await store.frameBytes(at.position, size);
      return frameBytes === undefined ? undefined : { record, position: at.position + frameBytes };
    }
    // The last one ends where the segment ends, as far as that is known.
    if (record === this.#syncedRecords) return { record, position: this.#syncedBytes };
    return isLast ? { record, position: size } : undefined;
  }

  *#judgeCount(records: number, bytes: number): Generator<Finding> {
    const { store, base } = this.#segment;
    if (this.#wanted !== undefined && records < this.#wanted) {
      const next = base + this.#wanted;
      const what = `records are missing: the next segment begins at offset ${next}`;
      yield {
        severity: this.#isBehind(records) ? "note" : "damage",
        file: store.path,
        offset: base + records,
        position: bytes,
        what,
      };
    } else if (this.#wanted === undefined && bytes < this.#syncedBytes) {
      const isKnown = Number.isFinite(this.#syncedBytes);
      const what = `the file is shorter than the ${this.#syncedBytes} bytes that were synced`;
      if (isKnown) {
        yield {
          severity: "damage",
          file: store.path,
          offset: base + records,
          position: bytes,
          what,
        };
      }
    }
  }

  async *#judgeIndex(size: StoreSize): AsyncGenerator<Finding> {
    const { index, base } = this.#segment;
    if (this.#misfit === undefined) return;
    yield {
      severity: this.#isBehind(this.#misfit) ? "note" : "damage",
      file: index.path,
      offset: base + this.#misfit,
      what: "the index does not fit its store; it can be made anew without loss",
      fix: { kind: "index", base, size },
    };
  }

  /** True when the checkpoint does not have this record: the next start writes it anew. */
  #isBehind(record: number): boolean {
    const { extent } = this.#options;
    if (extent === undefined) return false;
    const { base } = this.#segment;
    return record >= (this.#syncedRecords ?? extentEnd(extent) - base);
  }
}
