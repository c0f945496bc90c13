import type { Clock } from "../base/clock.ts";
import { hasReason } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { MIB } from "../base/units.ts";
import type { StoredFrames } from "../storage/copied-frames.ts";
import { pauseUnlessAborted } from "./abortable-pause.ts";
import type { DamageCounts } from "./damage-counts.ts";

const MINUTE_MS = 60_000;

/** Rounds begin so far apart, or one after the other where one takes longer. */
const ROUND_MS = 7 * 24 * 60 * MINUTE_MS;

/** A server that has just started has better things to do. */
const FIRST_ROUND_MS = 10 * MINUTE_MS;

/** Of all topics together. */
const BYTES_PER_SECOND_MAX = 8 * MIB;

/** A topic as this sees it. */
export interface ScrubbedTopic {
  readonly name: string;
  /** False once it has been closed. */
  readonly isOpen: () => boolean;
  readonly replica: {
    readonly state: { readonly startOffset: number };
    segments(): readonly ScrubbedSegment[];
    stored(range: {
      readonly firstOffset: number;
      readonly endOffset: number;
    }): AsyncGenerator<StoredFrames, void, void>;
    mend(offset: number): Promise<boolean>;
  };
}

export interface ScrubbedSegment {
  readonly base: number;
  readonly nextOffset: number;
  readonly isOpen: boolean;
}

export interface ScrubberOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counts: DamageCounts;
  readonly topics: () => readonly ScrubbedTopic[];
  /** Default: 8 MiB a second. */
  readonly bytesPerSecondMax?: number;
}

/**
 * Reads what nobody may have read for a long time, slowly and over and over, so that damage is found while
 * another replica still has the records. Only closed segments: the open one was written a short while ago.
 */
export class Scrubber {
  readonly #options: ScrubberOptions;
  readonly #abort = new AbortController();
  readonly #bytesPerMs: number;
  readonly #running: Promise<void>;

  constructor(options: ScrubberOptions) {
    this.#options = options;
    this.#bytesPerMs = (options.bytesPerSecondMax ?? BYTES_PER_SECOND_MAX) / 1_000;
    this.#running = this.#run();
  }

  /** Resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#abort;
    for (let pauseMs = FIRST_ROUND_MS; ; ) {
      await pauseUnlessAborted(clock, pauseMs, signal);
      if (signal.aborted) return;
      const beganMs = clock.monotonicMs();
      await this.#round();
      pauseMs = Math.max(0, ROUND_MS - (clock.monotonicMs() - beganMs));
    }
  }

  async #round(): Promise<void> {
    const { counts, logger, topics } = this.#options;
    const before = { ...counts };
    for (const topic of topics()) await this.#scrub(topic);
    if (this.#abort.signal.aborted) return;
    logger.info("All closed segments were read to look for damage", {
      bytes: counts.scrubbedBytes - before.scrubbedBytes,
      damaged: counts.found - before.found,
      repaired: counts.repaired - before.repaired,
    });
  }

  async #scrub(topic: ScrubbedTopic): Promise<void> {
    const { replica } = topic;
    for (const { base, nextOffset, isOpen } of replica.segments()) {
      if (isOpen) continue;
      for (let next = base; next < nextOffset; ) {
        if (this.#abort.signal.aborted || !topic.isOpen()) return;
        // What was trimmed meanwhile is of no use to anybody.
        next = Math.max(next, replica.state.startOffset);
        if (next >= nextOffset) break;
        const reached = await this.#read(topic, next, nextOffset);
        if (reached === nextOffset) break;
        const isMended = reached !== undefined && (await replica.mend(reached));
        if (!isMended) break;
        next = reached;
      }
    }
  }

  /** @returns the offset of the first damaged record, or the end; undefined when it cannot go on there */
  async #read(
    { name, replica }: ScrubbedTopic,
    firstOffset: number,
    endOffset: number,
  ): Promise<number | undefined> {
    const { counts, logger, clock } = this.#options;
    let next = firstOffset;
    try {
      for await (const { frames } of replica.stored({ firstOffset, endOffset })) {
        let bytes = 0;
        for (const frame of frames) bytes += frame.length;
        counts.scrubbedBytes += bytes;
        next += frames.length;
        await pauseUnlessAborted(clock, bytes / this.#bytesPerMs, this.#abort.signal);
        if (this.#abort.signal.aborted) return undefined;
      }
      return next;
    } catch (error) {
      if (hasReason(error, "STORE_CORRUPT")) return next;
      // Trimmed, deleted or closed meanwhile.
      logger.debug("A segment was not read through", { topic: name, why: `${error}` });
      return undefined;
    }
  }
}
