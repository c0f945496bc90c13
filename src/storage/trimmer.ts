import type { FileSystem } from "../platform/file-system.ts";
import type { LogSync } from "./log-sync.ts";
import type { SegmentExtent } from "./log-types.ts";
import type { Segment } from "./segment.ts";
import { Serial } from "./serial.ts";
import type { Writer } from "./writer.ts";

export interface TrimmerOptions {
  readonly fs: FileSystem;
  readonly writer: Writer;
  readonly sync: LogSync;
}

/**
 * Deletes the files of segments that a log no longer has, front to back, each durably
 * gone before the next: so a power cut leaves the log without a gap.
 */
export class Trimmer {
  readonly #options: TrimmerOptions;
  readonly #turns = new Serial();
  readonly #leaving = new Set<Segment>();
  #failed: { readonly error: unknown } | undefined;

  constructor(options: TrimmerOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the files are durably gone. Readers of them finish first.
   * @param next the segment after them, which stays
   * @throws DISK_FAILED; DISK_FULL or DRAINING when the log was closed before
   */
  remove(gone: readonly Segment[], next: Segment): Promise<void> {
    for (const segment of gone) this.#leaving.add(segment);
    return this.#turns.run(async () => {
      // What an earlier call did not delete is below this one's offset too.
      if (this.#failed !== undefined) throw this.#failed.error;
      try {
        for (const [at, segment] of gone.entries()) {
          await this.#remove(segment, gone[at + 1] ?? next);
        }
      } catch (error) {
        this.#failed = { error };
        throw error;
      }
    });
  }

  /**
   * Deletes `gone`, the newest segments, from the last one back, and what `newest` has beyond `end`. What a crash
   * leaves of them is deleted when the log is opened at an extent.
   *
   * @throws as {@link remove}
   */
  async cut(gone: readonly Segment[], newest: Segment, end: SegmentExtent): Promise<void> {
    const { writer, sync } = this.#options;
    for (const segment of gone) {
      sync.forget(segment);
      await this.#delete(segment, `delete "${segment.store.path}"`);
    }
    await writer.withSpace(`cut "${newest.store.path}"`, () => newest.cutBack(end));
  }

  /** Segments that are to go and whose files are still there, oldest first. */
  leaving(): readonly Segment[] {
    return [...this.#leaving];
  }

  /** Resolves when nothing is being removed. */
  async idle(): Promise<void> {
    await this.#turns.idle();
  }

  /** @param successor becomes the first one: without its files the log would begin at 0 again */
  async #remove(segment: Segment, successor: Segment): Promise<void> {
    const { writer, sync } = this.#options;
    const what = `delete "${segment.store.path}"`;
    await writer.writtenUpTo(segment.nextOffset);
    await writer.withSpace(what, () => sync.prepareRemoval(segment, successor));
    await this.#delete(segment, what);
  }

  async #delete(segment: Segment, what: string): Promise<void> {
    const { fs, writer, sync } = this.#options;
    do await segment.idle();
    while (segment.isLeased);
    this.#leaving.delete(segment);
    await segment.close();
    await writer.withSpace(what, async () => {
      await fs.remove(segment.store.path);
      await fs.remove(segment.index.path);
    });
    sync.folderChanged();
    await sync.folder();
  }
}
