import assert from "node:assert/strict";
import type { CoreEntry, CoreLog, CoreSnapshot } from "../../src/raft/core.ts";

/** A core's log in memory. What is in it counts as durable. */
export class MemoryLog implements CoreLog {
  /** Index and term of the entry before the first one. */
  #base: { readonly index: number; readonly term: number };
  #entries: CoreEntry[] = [];
  #snapshot: CoreSnapshot | undefined;

  constructor(index = 0, term = 0) {
    this.#base = { index, term };
  }

  firstIndex(): number {
    return this.#base.index + 1;
  }

  lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  termAt(index: number): number | undefined {
    return index === this.#base.index ? this.#base.term : this.#at(index)?.term;
  }

  entries(from: number, end: number, bytesMax: number): readonly CoreEntry[] | undefined {
    if (from < this.firstIndex()) return undefined;
    const found = this.#entries.slice(from - this.firstIndex(), end - this.firstIndex());
    let bytes = 0;
    const count = found.findIndex((entry, place) => {
      bytes += encodedSize(entry);
      return place > 0 && bytes > bytesMax;
    });
    return count < 0 ? found : found.slice(0, count);
  }

  snapshot(): CoreSnapshot | undefined {
    return this.#snapshot;
  }

  all(): readonly CoreEntry[] {
    return this.#entries;
  }

  /** Replaces what is there from the first one on. */
  append(entries: readonly CoreEntry[]): void {
    const [first] = entries;
    if (first === undefined) return;
    const kept = first.index - this.firstIndex();
    assert.ok(kept >= 0 && kept <= this.#entries.length, `a gap before ${first.index}`);
    this.#entries = [...this.#entries.slice(0, kept), ...entries];
  }

  /** Entries up to the index are dropped. */
  compact(index: number): void {
    const term = this.termAt(index) ?? 0;
    this.#entries = this.#entries.slice(index - this.#base.index);
    this.#base = { index, term };
  }

  /** What a leader sends to a replica that is behind {@link firstIndex}. */
  offer(snapshot: CoreSnapshot | undefined): void {
    this.#snapshot = snapshot;
  }

  /** A snapshot that came from a leader takes the place of everything. */
  restore(snapshot: CoreSnapshot): void {
    this.#snapshot = snapshot;
    this.#base = { index: snapshot.index, term: snapshot.term };
    this.#entries = [];
  }

  #at(index: number): CoreEntry | undefined {
    return index < this.firstIndex() ? undefined : this.#entries[index - this.firstIndex()];
  }
}

/** Bytes of an entry as protobuf encodes it: what the library's limits count. */
function encodedSize(entry: CoreEntry): number {
  const type = entry.type === 0 ? 0 : 2;
  const data = entry.data.length === 0 ? 0 : 1 + varint(entry.data.length) + entry.data.length;
  return type + 1 + varint(entry.term) + 1 + varint(entry.index) + data;
}

function varint(value: number): number {
  return value < 128 ? 1 : 1 + varint(Math.floor(value / 128));
}
