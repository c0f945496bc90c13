import { ByteReader, viewOf, writeU64 } from "../base/bytes.ts";
import type { ConfState, CoreEntry, CoreHardState, CoreSnapshot } from "./core.ts";

/*
 * The bytes that cross between the host and the core's module; `wasm/reader.go` and
 * `wasm/writer.go` are the other side. All numbers are little-endian, u64 hold safe integers.
 *
 *   hard state  u64 term, u64 vote, u64 commit
 *   conf state  u8 auto leave, then u32 count and u64 each of:
 *               voters, learners, outgoing voters, next learners
 *   entries     u32 count, then of each u64 term, u8 type, u32 length, data;
 *               their indexes follow one another, the first one is known
 *   snapshot    u64 index, u64 term, conf state, u32 length, data
 */

/** Bytes of an entry without its data. */
export const ENTRY_HEAD_BYTES = 13;

const WRITER_BYTES = 4096;

/** Grows as it is written, and is used again and again. */
export class CoreWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #size = 0;

  constructor(bytes = WRITER_BYTES) {
    this.#bytes = new Uint8Array(bytes);
    this.#view = viewOf(this.#bytes);
  }

  reset(): this {
    this.#size = 0;
    return this;
  }

  /** A view: valid until the next use. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#size] = value;
    this.#size += 1;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#size, value, true);
    this.#size += 4;
    return this;
  }

  u64(value: number): this {
    this.#reserve(8);
    writeU64(this.#view, this.#size, value);
    this.#size += 8;
    return this;
  }

  /** u32 length, then the bytes. */
  sized(bytes: Uint8Array): this {
    this.u32(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.length;
    return this;
  }

  hardState(state: CoreHardState): this {
    return this.u64(state.term).u64(state.vote).u64(state.commit);
  }

  confState(conf: ConfState): this {
    this.u8(conf.autoLeave ? 1 : 0);
    this.#ids(conf.voters).#ids(conf.learners);
    return this.#ids(conf.votersOutgoing).#ids(conf.learnersNext);
  }

  snapshot(snapshot: CoreSnapshot): this {
    this.u64(snapshot.index).u64(snapshot.term);
    return this.confState(snapshot.conf).sized(snapshot.data);
  }

  entries(entries: readonly CoreEntry[]): this {
    this.u32(entries.length);
    for (const entry of entries) this.u64(entry.term).u8(entry.type).sized(entry.data);
    return this;
  }

  #ids(ids: readonly number[]): this {
    this.u32(ids.length);
    for (const id of ids) this.u64(id);
    return this;
  }

  #reserve(count: number): void {
    if (this.#size + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#size + count));
    grown.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = grown;
    this.#view = viewOf(grown);
  }
}

/** Reads the same. What it gives out are views. Throws MalformedBytesError at the end of the bytes. */
export class CoreReader extends ByteReader {
  /** u32 length, then the bytes. */
  data(): Uint8Array {
    return this.raw(this.u32());
  }

  hardState(): CoreHardState {
    return { term: this.u64(), vote: this.u64(), commit: this.u64() };
  }

  confState(): ConfState {
    const autoLeave = this.u8() !== 0;
    const voters = this.#ids();
    const learners = this.#ids();
    const votersOutgoing = this.#ids();
    return { voters, learners, votersOutgoing, learnersNext: this.#ids(), autoLeave };
  }

  snapshot(): CoreSnapshot {
    const index = this.u64();
    const term = this.u64();
    const conf = this.confState();
    return { index, term, conf, data: this.data() };
  }

  /** @param first index of the first one */
  entries(first: number): readonly CoreEntry[] {
    const entries: CoreEntry[] = [];
    const count = this.u32();
    for (let index = first; index < first + count; index += 1) {
      entries.push({ term: this.u64(), index, type: this.u8(), data: this.data() });
    }
    return entries;
  }

  /** u32 count, then u32 length and bytes of each. */
  list(): readonly Uint8Array[] {
    const items: Uint8Array[] = [];
    for (let left = this.u32(); left > 0; left -= 1) items.push(this.data());
    return items;
  }

  #ids(): readonly number[] {
    const ids: number[] = [];
    for (let left = this.u32(); left > 0; left -= 1) ids.push(this.u64());
    return ids;
  }
}
