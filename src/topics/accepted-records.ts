import type { RecordSpans } from "../base/record-spans.ts";
import type { AppendCommand } from "./append-codec.ts";
import type { TopicOutcome } from "./topic-state.ts";

/**
 * Of an entry's records those whose batches were accepted: side by side, since accepted
 * batches follow each other in the topic whatever was refused between them.
 */
export class AcceptedRecords implements RecordSpans {
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Of the first one. */
  firstOffset = 0;
  /** Of all: they came with one clock. */
  appendTimeUs = 0;
  #count = 0;
  /** Records of the batches that were judged. */
  #judgedCount = 0;

  /** @param records of the entry; the lists are used for this one */
  constructor({ bytes, starts, ends }: RecordSpans) {
    this.bytes = bytes;
    this.starts = starts;
    this.ends = ends;
  }

  get count(): number {
    return this.#count;
  }

  /** To be called with each batch of the entry, in order. */
  judged({ recordCount }: AppendCommand, outcome: TopicOutcome): void {
    const first = this.#judgedCount;
    this.#judgedCount += recordCount;
    if (outcome.kind !== "appended" || outcome.duplicate) return;
    if (this.#count === 0) {
      this.firstOffset = outcome.firstOffset;
      this.appendTimeUs = outcome.appendTimeUs;
    }
    if (this.#count < first) {
      this.starts.copyWithin(this.#count, first, this.#judgedCount);
      this.ends.copyWithin(this.#count, first, this.#judgedCount);
    }
    this.#count += recordCount;
  }
}
