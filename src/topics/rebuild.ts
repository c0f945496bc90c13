import { hasReason, type ProglogError } from "../base/errors.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { checkFrame, type DecodedRecord, decodeRecord } from "../storage/frame.ts";
import { Log } from "../storage/log.ts";
import type { LogExtent, SegmentExtent } from "../storage/log-types.ts";
import { HEADER_BYTES } from "../storage/scan.ts";
import { storeCorrupt } from "../storage/storage-errors.ts";

export interface RebuildOptions {
  readonly fs: FileSystem;
  readonly dir: string;
  /** Records of later entries are left out: they are in the journal. */
  readonly lastIndex: number;
}

/** What a topic's files say without a checkpoint. */
export interface Rebuilt {
  /** Whole entries up to `lastIndex`, from the front, each frame checked. */
  readonly extent: LogExtent;
  readonly startOffset: number;
  readonly nextOffset: number;
  /**
   * Last entry of which nothing is missing: `lastIndex` when a sound record of a later one
   * follows, else that of the last record. When the very first record is of a later entry,
   * the one before that: what came earlier was trimmed. Undefined when that cannot be told.
   */
  readonly appliedIndex: number | undefined;
  readonly lastAppendTimeUs: number | undefined;
  /** Why the frames end there, when they end in damage, or do not say what they are of. */
  readonly damage: ProglogError | undefined;
}

/**
 * Reads a topic's log from the front, as it must be when its checkpoint is lost: the
 * Raft index in each frame says which entries were applied. Changes nothing.
 */
export async function rebuildExtent(options: RebuildOptions): Promise<Rebuilt> {
  const { fs, dir, lastIndex } = options;
  const log = await Log.openReadOnly({ fs, dir, check: checkFrame });
  const sum = new Sum(log.segments().map((segment) => segment.base));
  let next: DecodedRecord | undefined;
  let damage: ProglogError | undefined;
  try {
    for await (const { offset, data } of log.scan(log.firstOffset)) {
      const record = decodeRecord(data, offset);
      if (record.raftIndex > lastIndex) {
        next = record;
        break;
      }
      sum.add(record, data.length);
    }
  } catch (error) {
    if (!hasReason(error, "STORE_CORRUPT")) throw error;
    damage = error;
  } finally {
    await log.close();
  }
  const { last } = sum;
  // Which entry such a record came with is only a guess of the repair that put it aside.
  const guessed = [last, next].find((record) => record?.kind === "removed");
  if (guessed !== undefined) {
    const { offset } = guessed;
    damage = storeCorrupt(`The record at offset ${offset} was put aside: its entry is not known`, {
      offset,
    });
  }
  return {
    ...sum.result(),
    appliedIndex: guessed === undefined ? appliedIndexOf(sum, next, lastIndex) : undefined,
    startOffset: log.firstOffset,
    lastAppendTimeUs: sum.lastAppendTimeUs ?? next?.appendTimeUs,
    damage,
  };
}

function appliedIndexOf(
  { last, wholeIndex, isWhole }: Sum,
  next: DecodedRecord | undefined,
  lastIndex: number,
): number | undefined {
  if (next === undefined) return wholeIndex;
  if (last === undefined) return next.raftIndex - 1;
  return isWhole ? lastIndex : undefined;
}

/** Adds up frames to segments, and remembers how much of it was whole entries. */
class Sum {
  readonly #bases: ReadonlySet<number>;
  readonly #closed: SegmentExtent[] = [];
  #base: number;
  #records = 0;
  #bytes = 0;
  #whole: { closed: number; last: SegmentExtent };
  #last: DecodedRecord | undefined;
  #wholeIndex: number | undefined;
  #lastAppendTimeUs: number | undefined;

  constructor(bases: readonly number[]) {
    this.#bases = new Set(bases);
    this.#base = bases[0] ?? 0;
    this.#whole = { closed: 0, last: this.#open() };
  }

  /** The record that was added last. */
  get last(): DecodedRecord | undefined {
    return this.#last;
  }

  /** True when nothing follows the last whole entry. */
  get isWhole(): boolean {
    return this.#last === undefined || this.#last.lastOfEntry;
  }

  /** Raft index of the last whole entry. */
  get wholeIndex(): number | undefined {
    return this.#wholeIndex;
  }

  /** Of the last whole entry. */
  get lastAppendTimeUs(): number | undefined {
    return this.#lastAppendTimeUs;
  }

  add(record: DecodedRecord, dataBytes: number): void {
    if (this.#records > 0 && this.#bases.has(record.offset)) {
      this.#closed.push(this.#open());
      this.#base = record.offset;
      this.#records = 0;
      this.#bytes = 0;
    }
    this.#records += 1;
    this.#bytes += HEADER_BYTES + dataBytes;
    this.#last = record;
    if (!record.lastOfEntry) return;
    this.#whole = { closed: this.#closed.length, last: this.#open() };
    this.#wholeIndex = record.raftIndex;
    this.#lastAppendTimeUs = record.appendTimeUs;
  }

  result(): Pick<Rebuilt, "extent" | "nextOffset"> {
    const { closed, last } = this.#whole;
    return {
      extent: { segments: [...this.#closed.slice(0, closed), last] },
      nextOffset: last.base + last.records,
    };
  }

  #open(): SegmentExtent {
    return { base: this.#base, records: this.#records, storeBytes: this.#bytes };
  }
}
