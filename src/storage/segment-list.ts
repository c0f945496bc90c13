import { assert } from "../base/assert.ts";
import type { Offset } from "../base/units.ts";
import type { LogExtent, SegmentInfo, SegmentLimits } from "./log-types.ts";
import type { Segment } from "./segment.ts";

/** The segments of a log, oldest first, without gaps. There is always one; the newest takes the appends. */
export class SegmentList {
  readonly #segments: Segment[];
  readonly #make: (base: Offset) => Segment;
  #limits: SegmentLimits;

  /** @param make gives an empty segment whose files are not made yet */
  constructor(
    segments: readonly Segment[],
    make: (base: Offset) => Segment,
    limits: SegmentLimits,
  ) {
    assert(segments.length > 0, "A log has at least one segment");
    this.#segments = [...segments];
    this.#make = make;
    this.#limits = limits;
  }

  all(): readonly Segment[] {
    return this.#segments;
  }

  get newest(): Segment {
    return this.#at(this.#segments.length - 1);
  }

  /** Offset of the first record; equal to {@link nextOffset} when there is none. */
  get firstOffset(): Offset {
    return this.#at(0).base;
  }

  get nextOffset(): Offset {
    return this.newest.nextOffset;
  }

  /** The newest segment has reached a limit. */
  get isFull(): boolean {
    const { bytes, records } = this.newest.appended;
    const { segmentBytesMax, segmentRecordsMax } = this.#limits;
    return bytes >= segmentBytesMax || records >= segmentRecordsMax;
  }

  get diskBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.diskBytes, 0);
  }

  configure(limits: SegmentLimits): void {
    this.#limits = limits;
  }

  infos(): readonly SegmentInfo[] {
    return this.#segments.map((segment) => segment.info(segment === this.newest));
  }

  extent(): LogExtent {
    return { segments: this.#segments.map((segment) => segment.appendedExtent()) };
  }

  /** The segment that holds `offset`, which is in range. */
  find(offset: Offset): Segment {
    let low = 0;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#at(middle).base <= offset) low = middle;
      else high = middle - 1;
    }
    return this.#at(low);
  }

  /** Those from the one on that holds `offset`, which is in range, as they are now. */
  from(offset: Offset): SegmentList {
    const at = this.#segments.indexOf(this.find(offset));
    return new SegmentList(this.#segments.slice(at), this.#make, this.#limits);
  }

  /** Begins a new segment, unless the newest is empty. @returns the one that was closed, if any */
  roll(): Segment | undefined {
    const { newest } = this;
    if (newest.appended.records === 0) return undefined;
    this.#segments.push(this.#make(newest.nextOffset));
    return newest;
  }

  /** Begins a new segment at `offset`, above all that is here. @returns the one that was closed */
  begin(offset: Offset): Segment {
    const { newest } = this;
    this.#segments.push(this.#make(offset));
    return newest;
  }

  /** Takes out the segments after the one that begins at `base`, newest first: it is the newest again. */
  takeAfter({ base }: { readonly base: number }): readonly Segment[] {
    const at = this.#segments.findIndex((segment) => segment.base === base);
    assert(at >= 0, `A log has no segment at ${base}`);
    return this.#segments.splice(at + 1).reverse();
  }

  /** Takes out the closed segments whose records all lie below `offset`. */
  takeBefore(offset: Offset): readonly Segment[] {
    const kept = this.#segments.findIndex((segment) => segment.nextOffset > offset);
    const closed = this.#segments.length - 1;
    return this.#segments.splice(0, kept < 0 ? closed : Math.min(kept, closed));
  }

  #at(place: number): Segment {
    const segment = this.#segments[place];
    assert(segment !== undefined, `A log has no segment ${place}`);
    return segment;
  }
}
