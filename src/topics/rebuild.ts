import { hasReason, type ProglogError } from "../base/errors.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { checkFrame, decodeRecord } from "../storage/frame.ts";
import { Log } from "../storage/log.ts";
import type { LogExtent, SegmentExtent } from "../storage/log-types.ts";
import { HEADER_BYTES } from "../storage/scan.ts";

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
  /** Raft index of the last of these; undefined when there is none. */
  readonly appliedIndex: number | undefined;
  readonly lastAppendTimeUs: number | undefined;
  /** True when a sound record of a later entry follows: then nothing is missing before it. */
  readonly reachesBeyond: boolean;
  /** Why the frames end there, when they end in damage. */
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
  let reachesBeyond = false;
  let damage: ProglogError | undefined;
  try {
    for await (const { offset, data } of log.scan(log.firstOffset)) {
      const record = decodeRecord(data, offset);
      reachesBeyond = record.raftIndex > lastIndex;
      if (reachesBeyond) break;
      sum.add(offset, data.length);
      if (record.lastOfEntry) sum.endEntry(record.raftIndex, record.appendTimeUs);
    }
  } catch (error) {
    if (!hasReason(error, "STORE_CORRUPT")) throw error;
    damage = error;
  } finally {
    await log.close();
  }
  return { ...sum.result(), startOffset: log.firstOffset, reachesBeyond, damage };
}

/** Adds up frames to segments, and remembers how much of it was whole entries. */
class Sum {
  readonly #bases: ReadonlySet<number>;
  readonly #closed: SegmentExtent[] = [];
  #base: number;
  #records = 0;
  #bytes = 0;
  #whole: { closed: number; last: SegmentExtent };
  #appliedIndex: number | undefined;
  #lastAppendTimeUs: number | undefined;

  constructor(bases: readonly number[]) {
    this.#bases = new Set(bases);
    this.#base = bases[0] ?? 0;
    this.#whole = { closed: 0, last: this.#open() };
  }

  add(offset: number, dataBytes: number): void {
    if (this.#records > 0 && this.#bases.has(offset)) {
      this.#closed.push(this.#open());
      this.#base = offset;
      this.#records = 0;
      this.#bytes = 0;
    }
    this.#records += 1;
    this.#bytes += HEADER_BYTES + dataBytes;
  }

  endEntry(raftIndex: number, appendTimeUs: number): void {
    this.#whole = { closed: this.#closed.length, last: this.#open() };
    this.#appliedIndex = raftIndex;
    this.#lastAppendTimeUs = appendTimeUs;
  }

  result(): Pick<Rebuilt, "extent" | "nextOffset" | "appliedIndex" | "lastAppendTimeUs"> {
    const { closed, last } = this.#whole;
    return {
      extent: { segments: [...this.#closed.slice(0, closed), last] },
      nextOffset: last.base + last.records,
      appliedIndex: this.#appliedIndex,
      lastAppendTimeUs: this.#lastAppendTimeUs,
    };
  }

  #open(): SegmentExtent {
    return { base: this.#base, records: this.#records, storeBytes: this.#bytes };
  }
}
