import type { LiveCounts } from "./live-counts.ts";

/** Where an entry's frame is, and what an owner asks about it without reading it. */
export interface EntryPlace {
  readonly index: number;
  readonly term: number;
  readonly kind: number;
  /** Sequence of the file. */
  readonly file: number;
  /** Of the frame, in the file. */
  readonly position: number;
  readonly payloadBytes: number;
}

/** The live entries of one replica, for who asks without reading them. Undefined: not there. */
export interface EntryTableView {
  readonly isEmpty: boolean;
  /** Meaningless when empty, as is the last one. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  termAt(index: number): number | undefined;
  kindAt(index: number): number | undefined;
  payloadBytesAt(index: number): number | undefined;
}

/** A file number that no file has: nothing is known of that index. */
const HOLE = 0;

const CAPACITY_MIN = 4;

/** Slots that an empty table keeps; more is what a burst has needed. */
const EMPTY_CAPACITY_MAX = 1024;

/**
 * Most indexes without an entry between two that have one. During recovery there are such holes
 * while copied entries are still to come; larger ones are damage.
 */
const HOLE_MAX = 2 ** 22;

interface Columns {
  readonly terms: Float64Array;
  readonly files: Uint32Array;
  readonly positions: Uint32Array;
  readonly sizes: Uint32Array;
  readonly kinds: Uint8Array;
}

/**
 * The live entries of one replica: 21 bytes each, no payloads.
 *
 * Slots `#start` to `#end` stand for the indexes from `#first` on.
 */
export class EntryTable implements EntryTableView {
  readonly #counts: LiveCounts;
  #columns = makeColumns(0);
  #first = 0;
  #start = 0;
  #end = 0;

  constructor(counts: LiveCounts) {
    this.#counts = counts;
  }

  get isEmpty(): boolean {
    return this.#start === this.#end;
  }

  /** Of the first entry; meaningless when empty. */
  get firstIndex(): number {
    return this.#first;
  }

  /** Of the last entry; meaningless when empty. */
  get lastIndex(): number {
    return this.#first + (this.#end - this.#start) - 1;
  }

  termAt(index: number): number | undefined {
    const slot = this.#slot(index);
    return slot < 0 ? undefined : this.#columns.terms[slot];
  }

  kindAt(index: number): number | undefined {
    const slot = this.#slot(index);
    return slot < 0 ? undefined : this.#columns.kinds[slot];
  }

  payloadBytesAt(index: number): number | undefined {
    const slot = this.#slot(index);
    return slot < 0 ? undefined : this.#columns.sizes[slot];
  }

  at(index: number): EntryPlace | undefined {
    const slot = this.#slot(index);
    if (slot < 0) return undefined;
    return {
      index,
      term: this.#columns.terms[slot] ?? 0,
      kind: this.#columns.kinds[slot] ?? 0,
      file: this.#columns.files[slot] ?? HOLE,
      position: this.#columns.positions[slot] ?? 0,
      payloadBytes: this.#columns.sizes[slot] ?? 0,
    };
  }

  /**
   * Puts an entry in, in place of one of the same index.
   * @returns false when its index is too far from all others
   */
  set(place: EntryPlace): boolean {
    const { index } = place;
    if (this.isEmpty) {
      this.#start = 0;
      this.#end = 0;
      this.#first = index;
    }
    const first = this.#first;
    const last = this.lastIndex;
    if (index < first ? first - index > HOLE_MAX : index - last > HOLE_MAX) return false;
    if (index < first) this.#growFront(first - index);
    else if (index > last) this.#growBack(index - last);
    const slot = this.#start + index - this.#first;
    const before = this.#columns.files[slot] ?? HOLE;
    if (before !== HOLE) this.#counts.add(before, -1);
    this.#counts.add(place.file, 1);
    this.#columns.terms[slot] = place.term;
    this.#columns.files[slot] = place.file;
    this.#columns.positions[slot] = place.position;
    this.#columns.sizes[slot] = place.payloadBytes;
    this.#columns.kinds[slot] = place.kind;
    return true;
  }

  /** Drops `index` and all above it. */
  dropFrom(index: number): void {
    if (this.isEmpty || index > this.lastIndex) return;
    const from = this.#start + Math.max(0, index - this.#first);
    this.#forget(from, this.#end);
    this.#end = from;
    this.#trim();
  }

  /** Drops `index` and all below it. */
  dropThrough(index: number): void {
    if (this.isEmpty || index < this.#first) return;
    const to = Math.min(this.#end, this.#start + index - this.#first + 1);
    this.#forget(this.#start, to);
    this.#first += to - this.#start;
    this.#start = to;
    this.#trim();
  }

  clear(): void {
    this.#forget(this.#start, this.#end);
    this.#start = this.#end;
    this.#trim();
  }

  /** The lowest index above `after` and below the last one that has no entry; undefined when none. */
  holeAbove(after: number): number | undefined {
    if (this.isEmpty) return undefined;
    if (this.#first > after + 1) return after + 1;
    for (let slot = this.#start; slot < this.#end; slot += 1) {
      if (this.#columns.files[slot] === HOLE) return this.#first + slot - this.#start;
    }
    return undefined;
  }

  /** True when each entry stands behind the one before it, in its file or in a later one. */
  isInFileOrder(): boolean {
    const { files, positions } = this.#columns;
    for (let slot = this.#start + 1; slot < this.#end; slot += 1) {
      const [file = 0, before = 0] = [files[slot], files[slot - 1]];
      if (file < before) return false;
      if (file === before && (positions[slot] ?? 0) < (positions[slot - 1] ?? 0)) return false;
    }
    return true;
  }

  /** Indexes of the entries in that file, ascending. */
  indexesIn(file: number): number[] {
    const found: number[] = [];
    for (let slot = this.#start; slot < this.#end; slot += 1) {
      if (this.#columns.files[slot] === file) found.push(this.#first + slot - this.#start);
    }
    return found;
  }

  hasEntryIn(file: number): boolean {
    const found = this.#columns.files.indexOf(file, this.#start);
    return found >= 0 && found < this.#end;
  }

  /** -1 when there is no entry. */
  #slot(index: number): number {
    const slot = this.#start + index - this.#first;
    if (this.isEmpty || slot < this.#start || slot >= this.#end) return -1;
    return this.#columns.files[slot] === HOLE ? -1 : slot;
  }

  #forget(from: number, to: number): void {
    for (let slot = from; slot < to; slot += 1) {
      const file = this.#columns.files[slot] ?? HOLE;
      if (file !== HOLE) this.#counts.add(file, -1);
    }
  }

  #growBack(count: number): void {
    if (this.#end + count > this.#capacity) this.#move(0, count);
    this.#columns.files.fill(HOLE, this.#end, this.#end + count);
    this.#end += count;
  }

  #growFront(count: number): void {
    if (count > this.#start) this.#move(count, 0);
    this.#start -= count;
    this.#first -= count;
    this.#columns.files.fill(HOLE, this.#start, this.#start + count);
  }

  /** Moves the slots so that there are `before` free ones before them and `after` behind. */
  #move(before: number, after: number): void {
    const count = this.#end - this.#start;
    const needed = before + count + after;
    // More than half of it free at the front: moving costs less than what was dropped there.
    const fits = this.#start > count && needed <= this.#capacity;
    const source = this.#columns;
    if (!fits) this.#columns = makeColumns(Math.max(CAPACITY_MIN, needed * 2));
    moveColumns(source, this.#columns, { start: this.#start, end: this.#end, to: before });
    this.#start = before;
    this.#end = before + count;
  }

  /** Both ends have an entry, or it is empty. */
  #trim(): void {
    const { files } = this.#columns;
    while (!this.isEmpty && files[this.#end - 1] === HOLE) this.#end -= 1;
    while (!this.isEmpty && files[this.#start] === HOLE) {
      this.#start += 1;
      this.#first += 1;
    }
    if (!this.isEmpty) return;
    if (this.#capacity > EMPTY_CAPACITY_MAX) this.#columns = makeColumns(0);
    this.#start = 0;
    this.#end = 0;
  }

  get #capacity(): number {
    return this.#columns.files.length;
  }
}

function makeColumns(capacity: number): Columns {
  return {
    terms: new Float64Array(capacity),
    files: new Uint32Array(capacity),
    positions: new Uint32Array(capacity),
    sizes: new Uint32Array(capacity),
    kinds: new Uint8Array(capacity),
  };
}

/** Also within the same columns, and overlapping. */
function moveColumns(
  source: Columns,
  target: Columns,
  { start, end, to }: { readonly start: number; readonly end: number; readonly to: number },
): void {
  target.terms.set(source.terms.subarray(start, end), to);
  target.files.set(source.files.subarray(start, end), to);
  target.positions.set(source.positions.subarray(start, end), to);
  target.sizes.set(source.sizes.subarray(start, end), to);
  target.kinds.set(source.kinds.subarray(start, end), to);
}
