import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { trimByAge, trimBySize } from "../topics/retention.ts";
import type { OpenTopic } from "./reconciler.ts";

export interface RetentionOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  readonly topics: () => readonly OpenTopic[];
  /** True while nothing is removed by age, since this node's clock is not to be trusted. */
  readonly isClockFar: () => boolean;
}

/**
 * Looks every so often which topics hold more than they should, and proposes to trim
 * them, one after the other. Trims are commands, so every replica begins at the same
 * offset.
 */
export class RetentionTimer {
  readonly #options: RetentionOptions;
  #cancel = () => {};
  #running: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#schedule();
  }

  /** Begins nothing new; resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel();
    await this.#running;
  }

  #schedule(): void {
    const { clock, intervalMs } = this.#options;
    this.#cancel = clock.schedule(intervalMs, () => {
      this.#running = this.run().finally(() => {
        if (!this.#isClosed) this.#schedule();
      });
    });
  }

  /** Looks once. */
  async run(): Promise<void> {
    for (const topic of this.#options.topics()) {
      if (this.#isClosed) return;
      try {
        await this.#trim(topic);
      } catch (error) {
        if (this.#isClosed) return;
        // Damaged, deleted meanwhile, or the disk is full: the next look may do better.
        const { name } = topic.entry;
        this.#options.logger.warn(
          "A topic was not trimmed to its retention",
          { topic: name },
          error,
        );
      }
    }
  }

  async #trim({ entry, group, handle }: OpenTopic): Promise<void> {
    const { machine: replica } = group;
    if (!group.raft.isLeaderReady) return;
    const { retentionAgeMs, retentionBytes } = replica.effectiveSettings;
    if (retentionAgeMs === 0 && retentionBytes === 0) return;
    const { startOffset, nextOffset, lastAppendTimeUs } = replica.state;
    const input = {
      segments: replica.segments(),
      startOffset,
      nextOffset,
      lastAppendTimeUs,
      nowUs: this.#options.clock.wallUs(),
      retentionAgeMs,
      retentionBytes,
    };
    const byAge = this.#options.isClockFar()
      ? startOffset
      : await trimByAge(input, (segment) => replica.lastTimeOf(segment));
    const beforeOffset = Math.max(byAge, trimBySize(input));
    if (beforeOffset <= startOffset) return;
    await handle.trim(beforeOffset);
    this.#options.logger.debug("A topic was trimmed to its retention", {
      topic: entry.name,
      beforeOffset,
    });
  }
}
