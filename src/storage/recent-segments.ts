import type { Segment } from "./segment.ts";

/** Closed segments of one log whose files stay open between reads. */
const OPEN_SEGMENTS_MAX = 4;

/** Keeps the files open of those closed segments that were read last, and closes the others'. */
export class RecentSegments {
  #segments: Segment[] = [];

  /** `segment` is being read. */
  touch(segment: Segment): void {
    if (this.#segments.at(-1) === segment) return;
    this.#segments = this.#segments.filter((other) => other !== segment);
    this.#segments.push(segment);
    if (this.#segments.length <= OPEN_SEGMENTS_MAX) return;
    // Not waited for: those who are still at its files finish first.
    void this.#segments.shift()?.close();
  }

  forget(segment: Segment): void {
    this.#segments = this.#segments.filter((other) => other !== segment);
  }
}
