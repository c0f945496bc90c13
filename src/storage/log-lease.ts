import { ProglogError } from "../base/errors.ts";
import type { Offset } from "../base/units.ts";
import { LogReader, type LogReaderOptions } from "./log-reader.ts";
import type { FrameLimits, FrameRange } from "./log-types.ts";
import type { SegmentList } from "./segment-list.ts";

export interface LogLeaseOptions extends Omit<LogReaderOptions, "check"> {
  /** Only what is to be kept. */
  readonly segments: SegmentList;
  readonly onRelease: (lease: LogLease) => void;
}

/**
 * Keeps what a log has from some offset on, for a reader that needs more than one read: a trim drops it
 * for everybody else, and its files go when the lease has ended.
 */
export class LogLease {
  readonly #options: LogLeaseOptions;
  readonly #reader: LogReader;
  #isReleased = false;

  constructor(options: LogLeaseOptions) {
    this.#options = options;
    this.#reader = new LogReader({ ...options, check: undefined });
    for (const segment of options.segments.all()) segment.lease();
  }

  /** As `Log.readFrames`, up to the end that the log had when the lease began, or somewhat beyond. */
  async readFrames(from: Offset, limits: FrameLimits): Promise<FrameRange> {
    if (this.#isReleased) {
      throw new ProglogError("DRAINING", "Cannot read the log: the lease on it has ended");
    }
    return await this.#reader.readFrames(from, limits);
  }

  /** May be called again. What is being read ends first. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    for (const segment of this.#options.segments.all()) segment.release();
    this.#options.onRelease(this);
  }
}
