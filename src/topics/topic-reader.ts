import { hasReason } from "../base/errors.ts";
import { type Offset, toOffset } from "../base/units.ts";
import { decodeRecord } from "../storage/frame.ts";
import { decodeFrames } from "../storage/frame-run.ts";
import type { Log } from "../storage/log.ts";
import type { FrameLimits } from "../storage/log-types.ts";
import { HEADER_BYTES } from "../storage/scan.ts";
import { findTime } from "./find-time.ts";
import type { Mender } from "./mender.ts";
import type { Tail } from "./tail.ts";
import { inTopic, outOfRange } from "./topic-errors.ts";
import type { TopicState } from "./topic-state.ts";
import type { ReadLimits, RecordRun, StartPlace } from "./topics.ts";

export interface TopicReaderOptions {
  /** Topic's name, for errors. */
  readonly name: string;
  readonly log: Log;
  readonly state: TopicState;
  readonly tail: Tail;
  readonly mender?: Mender | undefined;
}

/** Reads one topic's records: from memory where they still are, else from its log. */
export class TopicReader {
  readonly #name: string;
  readonly #log: Log;
  readonly #state: TopicState;
  readonly #tail: Tail;
  readonly #mender: Mender | undefined;

  constructor({ name, log, state, tail, mender }: TopicReaderOptions) {
    this.#name = name;
    this.#log = log;
    this.#state = state;
    this.#tail = tail;
    this.#mender = mender;
  }

  /** See `Topic.resolve`. */
  async resolve(start: StartPlace): Promise<number> {
    const { startOffset: first, nextOffset: next } = this.#state;
    switch (start.at) {
      case "first":
        return first;
      case "offset":
        if (start.offset < first || start.offset > next) throw this.#outOfRange(start.offset);
        return start.offset;
      case "last":
        return Math.max(first, next - start.count);
      case "time": {
        const found = await findTime({ first, next, timeUs: start.timeUs }, (offset) =>
          this.appendTimeAt(toOffset(offset)),
        );
        // What was trimmed meanwhile is not the first record any more.
        return Math.max(found, this.#state.startOffset);
      }
    }
  }

  /** See `Topic.readTail`. */
  readTail(offset: number, limits: ReadLimits): RecordRun | undefined {
    // What was trimmed may still be in memory, but is not to be had.
    return offset < this.#state.startOffset ? undefined : this.#tail.read(offset, limits);
  }

  /** See `Topic.readRun`. */
  async readRun(offset: number, limits: ReadLimits): Promise<RecordRun> {
    const { startOffset, nextOffset } = this.#state;
    if (offset < startOffset || offset > nextOffset) throw this.#outOfRange(offset);
    const inMemory = this.#tail.read(offset, limits);
    if (inMemory !== undefined) return inMemory;
    const from = toOffset(offset);
    const end = toOffset(Math.min(limits.endOffset ?? nextOffset, nextOffset));
    const { recordsMax, bytesMax, givesBack } = limits;
    const bounded = { recordsMax: Math.min(recordsMax, end - from), bytesMax, end, givesBack };
    try {
      return await this.#mending(from, async () => {
        const run = from < end ? await this.#readStretch(from, bounded) : undefined;
        return run ?? (await this.#readFrames(from, { ...bounded, recordsMax }));
      });
    } catch (error) {
      if (offset < this.#state.startOffset) throw this.#outOfRange(offset);
      throw inTopic(error, this.#name);
    }
  }

  /** Reads again what was damaged at first and has been made good. */
  async #mending<T>(offset: Offset, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      const isDamaged = hasReason(error, "STORE_CORRUPT") && offset >= this.#state.startOffset;
      if (!isDamaged || !(await this.#mender?.mend(offset))) throw error;
      return await read();
    }
  }

  /** The fast way: one read of the store. Undefined when it gave no record. */
  async #readStretch(from: Offset, limits: FrameLimits): Promise<RecordRun | undefined> {
    const run = await this.#log.readRun(from, limits);
    return run && { ...run, isOwn: true };
  }

  /** The sure way: store and index are compared, and what does not fit is mended or reported. */
  async #readFrames(from: Offset, limits: FrameLimits): Promise<RecordRun> {
    const frames = await this.#log.readFrames(from, limits);
    const run = decodeFrames(frames);
    const [end] = frames.ends;
    // It says what is wrong with it.
    if (run.resumeOffset === from && end !== undefined)
      decodeRecord(frames.bytes.subarray(HEADER_BYTES, end), from);
    return run;
  }

  /** The append time of the record at `offset`; 0 when it was trimmed meanwhile. */
  async appendTimeAt(offset: Offset): Promise<number> {
    try {
      const read = () => this.#log.read(offset);
      return decodeRecord(await this.#mending(offset, read), offset).appendTimeUs;
    } catch (error) {
      // Trimmed while its time was looked for: as good as older than anything.
      if (offset < this.#state.startOffset) return 0;
      throw inTopic(error, this.#name);
    }
  }

  #outOfRange(offset: number) {
    const { startOffset: firstOffset, nextOffset } = this.#state;
    return outOfRange(this.#name, offset, { firstOffset, nextOffset });
  }
}
