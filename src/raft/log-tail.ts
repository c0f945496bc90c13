import { assert } from "../base/assert.ts";

/** An entry of the log whose turn has not come, or that others may still want. */
export interface TailEntry<W> {
  readonly index: number;
  readonly term: number;
  kind: number;
  /** Of the payload, also when that is not here. */
  payloadBytes: number;
  /** Undefined: it is in the journal only. */
  payload: Uint8Array | undefined;
  /** Whose commands it holds, when they were proposed here. */
  waiting: W | undefined;
}

const NOTHING: readonly never[] = [];

/** Bytes that the tails of all groups of a node hold together. */
export class TailBudget {
  readonly bytesMax: number;
  bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }
}

/**
 * The end of a group's log in memory: without gaps up to the last entry, durable or not. What lies
 * before it is in the journal.
 */
export class LogTail<W> {
  readonly #budget: TailBudget;
  readonly #bytesMax: number;
  /** By rising index; those before `#head` were dropped. */
  #entries: TailEntry<W>[] = [];
  #head = 0;
  #bytes = 0;

  constructor(budget: TailBudget, bytesMax: number) {
    this.#budget = budget;
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** True when payloads that the journal has should leave. */
  get isOver(): boolean {
    return this.#bytes > this.#bytesMax || this.#budget.bytes > this.#budget.bytesMax;
  }

  get isEmpty(): boolean {
    return this.#head === this.#entries.length;
  }

  at(index: number): TailEntry<W> | undefined {
    const first = this.#entries[this.#head];
    if (first === undefined || index < first.index) return undefined;
    return this.#entries[this.#head + index - first.index];
  }

  /** Its index follows the last one. */
  add(entry: TailEntry<W>): void {
    const last = this.isEmpty ? undefined : this.#entries.at(-1);
    assert(last === undefined || entry.index === last.index + 1, "The tail of a log has a gap");
    this.#entries.push(entry);
    this.#count(entry.payload?.length ?? 0);
  }

  /** Drops `index` and all above it. @returns them */
  cutFrom(index: number): readonly TailEntry<W>[] {
    const first = this.#entries[this.#head];
    if (first === undefined || index >= first.index + this.#entries.length - this.#head) {
      return NOTHING;
    }
    const dropped = this.#entries.splice(this.#head + Math.max(0, index - first.index));
    for (const { payload } of dropped) this.#count(-(payload?.length ?? 0));
    return dropped;
  }

  /** Drops `index` and all below it. */
  dropThrough(index: number): void {
    for (let entry = this.#entries[this.#head]; entry !== undefined && entry.index <= index; ) {
      this.#count(-(entry.payload?.length ?? 0));
      // The list keeps its front for a while.
      entry.payload = undefined;
      this.#head += 1;
      entry = this.#entries[this.#head];
    }
    if (this.#head * 2 < this.#entries.length || this.#head === 0) return;
    if (this.isEmpty) this.#entries.length = 0;
    else this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }

  /** Drops applied entries but for the last ones, which slow replicas may want, up to `keptBytes`. */
  dropApplied(appliedIndex: number, keptBytes: number): void {
    const first = this.#entries[this.#head];
    if (first === undefined || first.index > appliedIndex) return;
    if (keptBytes === 0) {
      this.dropThrough(appliedIndex);
      return;
    }
    for (let entry = this.#entries[this.#head]; entry !== undefined; ) {
      if (entry.index > appliedIndex || (this.#bytes <= keptBytes && !this.isOver)) return;
      if (this.#entries.length - this.#head <= 1) return;
      this.dropThrough(entry.index);
      entry = this.#entries[this.#head];
    }
  }

  /** The payload is durable: it leaves memory when there is too much, and nobody here waits for it. */
  relieve(entry: TailEntry<W>): void {
    if (entry.payload === undefined || entry.waiting !== undefined || !this.isOver) return;
    this.#count(-entry.payload.length);
    entry.payload = undefined;
  }

  /** Makes an entry one without a payload, for which nobody waits. */
  empty(entry: TailEntry<W>, kind: number): void {
    this.#count(-(entry.payload?.length ?? 0));
    entry.kind = kind;
    entry.waiting = undefined;
    entry.payload = new Uint8Array(0);
    entry.payloadBytes = 0;
  }

  clear(): readonly TailEntry<W>[] {
    return this.cutFrom(0);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.bytes += bytes;
  }
}
