import { concat } from "../base/bytes.ts";
import { KIB } from "../base/units.ts";
import type { EncodedBatch } from "../storage/frame.ts";
import { cutRun } from "./cut-run.ts";
import type { ReadLimits, RecordRun } from "./topics.ts";

/** Memory that an entry takes beside its frames. */
const ENTRY_OVERHEAD_BYTES = 256;

/** Memory that a run takes for each record. */
const RUN_RECORD_BYTES = 2 * Uint32Array.BYTES_PER_ELEMENT + 2 * Float64Array.BYTES_PER_ELEMENT;

/** Entries that are smaller than this are given out several at a time, which takes a copy of them. */
const JOINED_BYTES_MAX = 32 * KIB;

/** Places of one topic whose runs are remembered: those where readers are. */
const PLACES_MAX = 4;

/** What of a tail was applied together: the frames as they went to the topic's log. */
interface Entry {
  readonly batch: EncodedBatch;
  readonly appendTimeUs: number;
}

/** What was given out for one place. */
interface Place {
  readonly run: RecordRun;
  /** Memory that it takes beside the entries. */
  readonly bytes: number;
  /** The last cut of it for readers with narrow limits, so that they share it, too. */
  cut: { readonly limits: ReadLimits; readonly run: RecordRun } | undefined;
}

/** What the tails of all topics of a node may hold: those that were appended to longest ago go first. */
export class TailMemory {
  readonly #bytesMax: number;
  /** In the order of their last append. */
  readonly #tails = new Set<Tail>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `tail` holds so many bytes more. */
  took(tail: Tail, bytes: number): void {
    this.#bytes += bytes;
    this.#tails.delete(tail);
    this.#tails.add(tail);
    for (const oldest of this.#tails) {
      if (this.#bytes <= this.#bytesMax) break;
      while (this.#bytes > this.#bytesMax && oldest.dropOldest());
      if (oldest.isEmpty) this.#tails.delete(oldest);
    }
  }

  gaveBack(bytes: number): void {
    this.#bytes -= bytes;
  }

  forget(tail: Tail): void {
    this.#tails.delete(tail);
  }
}

/**
 * The last entries of one topic, in memory: for readers at its end, who then need no disk.
 *
 * It keeps the very frames that are written to the log, so that remembering costs nothing
 * but the memory. What came from there needs no check.
 */
export class Tail {
  readonly #memory: TailMemory;
  readonly #bytesMax: number;
  /** Oldest first. Those before `#head` were dropped. */
  #entries: Entry[] = [];
  #head = 0;
  #bytes = 0;
  /** By offset. */
  readonly #places = new Map<number, Place>();

  /** @param bytesMax of this topic; its last entry is kept whatever its size, if the memory has room */
  constructor(memory: TailMemory, bytesMax: number) {
    this.#memory = memory;
    this.#bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.#head === this.#entries.length;
  }

  /** The entry's frames must follow those of the last one. */
  add(batch: EncodedBatch, appendTimeUs: number): void {
    this.#entries.push({ batch, appendTimeUs });
    const bytes = sizeOf(batch);
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax && this.#entries.length - this.#head > 1) {
      this.dropOldest();
    }
    this.#memory.took(this, bytes);
  }

  /** @returns false when there is nothing to drop */
  dropOldest(): boolean {
    const oldest = this.#entries[this.#head];
    if (oldest === undefined) return false;
    this.#head += 1;
    this.#gaveBack(sizeOf(oldest.batch));
    const end = oldest.batch.firstOffset + oldest.batch.count;
    for (const offset of this.#places.keys()) if (offset < end) this.#forgetPlace(offset);
    if (this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return true;
  }

  /** Drops everything. */
  clear(): void {
    while (this.dropOldest());
    this.#memory.forget(this);
  }

  /**
   * Records from `offset` on. Readers at the same place get the same object, as long as it
   * reaches to the end or is worth an answer of its own.
   *
   * @returns undefined when the record at `offset` is not here, or not wanted
   */
  read(offset: number, limits: ReadLimits): RecordRun | undefined {
    if (limits.endOffset !== undefined && limits.endOffset <= offset) return undefined;
    const place = this.#placeAt(offset);
    if (place === undefined) return undefined;
    const { run, cut } = place;
    if (cut !== undefined && isSame(cut.limits, limits)) return cut.run;
    const fitting = cutRun(run, limits);
    if (fitting !== run) place.cut = { limits, run: fitting };
    return fitting;
  }

  #placeAt(offset: number): Place | undefined {
    const known = this.#places.get(offset);
    if (known !== undefined && (known.run.resumeOffset === this.#end || isLarge(known.run))) {
      return known;
    }
    const first = this.#find(offset);
    if (first < 0) return undefined;
    const made = this.#makePlace(first, offset);
    this.#forgetPlace(offset);
    if (this.#places.size >= PLACES_MAX) {
      const [oldest] = this.#places.keys();
      if (oldest !== undefined) this.#forgetPlace(oldest);
    }
    this.#places.set(offset, made);
    this.#bytes += made.bytes;
    this.#memory.took(this, made.bytes);
    return made;
  }

  /** Offset after the last record. */
  get #end(): number {
    const last = this.#entries.at(-1);
    return last === undefined ? 0 : last.batch.firstOffset + last.batch.count;
  }

  /** Place in the list of the entry that holds `offset`, or -1. */
  #find(offset: number): number {
    const oldest = this.#entries[this.#head];
    if (oldest === undefined || offset < oldest.batch.firstOffset || offset >= this.#end) return -1;
    let low = this.#head;
    let high = this.#entries.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#entries[middle]?.batch.firstOffset ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** A run from `offset` on, which is in entry `first`: of that one, or of several small ones. */
  #makePlace(first: number, offset: number): Place {
    const entries: Entry[] = [];
    let bytes = 0;
    for (let at = first; at < this.#entries.length; at += 1) {
      const entry = this.#entries[at];
      if (entry === undefined) break;
      bytes += entry.batch.bytes.length;
      if (entries.length > 0 && bytes > JOINED_BYTES_MAX) break;
      entries.push(entry);
    }
    const parts = entries.map(({ batch }) => batch.bytes);
    const [only] = parts;
    const joined = parts.length === 1 && only !== undefined ? only : concat(parts);
    const run = runOf(entries, joined, offset);
    const copiedBytes = parts.length === 1 ? 0 : joined.length;
    return { run, bytes: copiedBytes + run.count * RUN_RECORD_BYTES, cut: undefined };
  }

  #forgetPlace(offset: number): void {
    this.#gaveBack(this.#places.get(offset)?.bytes ?? 0);
    this.#places.delete(offset);
  }

  #gaveBack(bytes: number): void {
    this.#bytes -= bytes;
    this.#memory.gaveBack(bytes);
  }
}

function sizeOf({ bytes, count }: EncodedBatch): number {
  return bytes.length + count * Uint32Array.BYTES_PER_ELEMENT + ENTRY_OVERHEAD_BYTES;
}

function isLarge({ count, starts, ends }: RecordRun): boolean {
  return (ends[count - 1] ?? 0) - (starts[0] ?? 0) >= JOINED_BYTES_MAX / 2;
}

function isSame(left: ReadLimits, right: ReadLimits): boolean {
  return (
    left.recordsMax === right.recordsMax &&
    left.bytesMax === right.bytesMax &&
    left.endOffset === right.endOffset
  );
}

/** The records of `entries`, whose frames are `bytes`, from `offset` on. */
function runOf(entries: readonly Entry[], bytes: Uint8Array, offset: number): RecordRun {
  const last = entries.at(-1)?.batch;
  const resumeOffset = last === undefined ? offset : last.firstOffset + last.count;
  const count = resumeOffset - offset;
  const starts = new Uint32Array(count);
  const ends = new Uint32Array(count);
  const offsets = new Float64Array(count);
  const appendTimesUs = new Float64Array(count);
  let at = 0;
  let entryStart = 0;
  for (const { batch, appendTimeUs } of entries) {
    const skip = Math.max(0, offset - batch.firstOffset);
    let start = skip === 0 ? 0 : (batch.ends[skip - 1] ?? 0);
    for (let record = skip; record < batch.count; record += 1) {
      const end = batch.ends[record] ?? 0;
      starts[at] = entryStart + start + batch.headBytes;
      ends[at] = entryStart + end;
      offsets[at] = batch.firstOffset + record;
      appendTimesUs[at] = appendTimeUs;
      at += 1;
      start = end;
    }
    entryStart += batch.bytes.length;
  }
  return { count, bytes, starts, ends, offsets, appendTimesUs, resumeOffset };
}
