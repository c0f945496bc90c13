import type { FileSystem } from "../platform/file-system.ts";
import type { Failure } from "./failure.ts";
import { parentOf } from "./layout.ts";
import type { LogExtent } from "./log-types.ts";
import type { Segment } from "./segment.ts";
import { Dirty, Serial } from "./serial.ts";

export interface LogSyncOptions {
  readonly fs: FileSystem;
  readonly dir: string;
  readonly failure: Failure;
  /**
   * Closed segments that may not be synced. Undefined: segments need not be synced before
   * the files of a newer one are made.
   */
  readonly unsynced: readonly Segment[] | undefined;
  /** The folder's own entry may not be synced. */
  readonly isNew: boolean;
}

/** Brings a log's files and folder to the disk, in an order that leaves no gap. */
export class LogSync {
  readonly #options: LogSyncOptions;
  readonly #folder = new Dirty();
  readonly #parent = new Dirty();
  readonly #preparing = new Serial();
  /** Closed segments that must be synced before the files of a newer one are made. */
  readonly #unsynced: Set<Segment>;

  constructor(options: LogSyncOptions) {
    this.#options = options;
    this.#unsynced = new Set(options.unsynced);
    // Of what is in it, too, some may have been made by a process that was killed.
    this.#folder.mark();
    if (options.isNew) this.#parent.mark();
  }

  /** `segment` takes no more appends. */
  closed(segment: Segment): void {
    if (this.#options.unsynced !== undefined) this.#unsynced.add(segment);
  }

  /** `segment` is gone. */
  forget(segment: Segment): void {
    this.#unsynced.delete(segment);
  }

  /** Something in the folder was made or removed. */
  folderChanged(): void {
    this.#folder.mark();
  }

  /**
   * Makes a segment's files when they are missing. All older ones are written. May be
   * tried again when it rejects for lack of space; a sync that fails is reported here.
   */
  async prepare(segment: Segment): Promise<void> {
    if (segment.isCreated) return;
    await this.#preparing.run(async () => {
      if (segment.isCreated) return;
      const older = [...this.#unsynced].filter(({ base }) => base < segment.base);
      if (older.length > 0) {
        await this.segments(older);
        await this.folder();
        // Not at any sync: what is closed may have been written in part only.
        for (const synced of older) this.#unsynced.delete(synced);
      }
      try {
        await segment.create();
      } finally {
        this.folderChanged();
      }
    });
  }

  /**
   * Takes care that a power cut while a segment's files go leaves no gap: neither a torn
   * segment before its successor, nor no segment at all. Afterwards nobody here uses it.
   */
  async prepareRemoval(segment: Segment, successor: Segment): Promise<void> {
    await this.prepare(successor);
    if (this.#unsynced.has(segment)) await this.segments([segment]);
    this.#unsynced.delete(segment);
    await this.folder();
  }

  /**
   * Makes all that is written durable.
   *
   * @param segments of the log; all before them is written
   * @param leaving those before them whose files are not yet deleted
   * @returns what of `segments` that was: up to the first of which something is not written yet
   * @throws DISK_FAILED
   */
  async all(segments: readonly Segment[], leaving: readonly Segment[]): Promise<LogExtent> {
    const isPartial = ({ written, appended }: Segment) => written.records < appended.records;
    const partial = segments.findIndex(isPartial);
    const whole = partial < 0 ? [...segments] : segments.slice(0, partial + 1);
    const extent = { segments: whole.map((segment) => segment.writtenExtent()) };
    await this.segments([...leaving, ...whole]);
    await this.folder();
    return extent;
  }

  /** Syncs what was written to `segments`. @throws DISK_FAILED */
  async segments(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) segment.lease();
    try {
      for (const segment of segments) {
        await this.#options.failure.guard(`sync "${segment.store.path}"`, () => segment.sync());
      }
    } finally {
      for (const segment of segments) segment.release();
    }
  }

  /** Syncs the folder, and when it is new the one that it is in. @throws DISK_FAILED */
  async folder(): Promise<void> {
    const { fs, dir, failure } = this.#options;
    await failure.guard(`sync the folder "${dir}"`, async () => {
      await this.#folder.clean(() => fs.syncDir(dir));
      await this.#parent.clean(() => fs.syncDir(parentOf(dir)));
    });
  }
}
