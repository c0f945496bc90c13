import type { File, FileSystem, OpenOptions } from "../platform/file-system.ts";

/** A file that is open, and how many are at it. */
interface Opened {
  readonly file: Promise<File>;
  users: number;
  /** To be closed when the last user has gone. */
  isRetired: boolean;
}

/**
 * One of a segment's files: opened when it is used, so that a node with many
 * segments holds few files open, and closed by {@link SegmentFile.close}.
 *
 * What is not written to is opened for reading only: implementations may map such
 * files into memory. Everything rejects with the platform's own errors.
 */
export class SegmentFile {
  readonly path: string;
  readonly #fs: FileSystem;
  #reader: Opened | undefined;
  #writer: Opened | undefined;
  readonly #closing = new Set<Promise<void>>();

  constructor(fs: FileSystem, path: string) {
    this.#fs = fs;
    this.path = path;
  }

  get isOpen(): boolean {
    return this.#reader !== undefined || this.#writer !== undefined;
  }

  read<T>(work: (file: File) => Promise<T>): Promise<T> {
    if (this.#writer !== undefined) return this.#use(this.#writer, work);
    this.#reader ??= this.#open("read");
    return this.#use(this.#reader, work);
  }

  /** The file must be there. */
  write<T>(work: (file: File) => Promise<T>): Promise<T> {
    this.#writer ??= this.#open("write");
    return this.#use(this.#writer, work);
  }

  /** Makes the file, empty. May be tried again after it was rejected. */
  async create(): Promise<void> {
    this.#writer ??= this.#open("create");
    await this.#use(this.#writer, async (file) => {
      if ((await file.size()) > 0) await file.truncate(0);
    });
  }

  /** Makes the file when it is missing. */
  async ensure(): Promise<void> {
    this.#writer ??= this.#open("create");
    await this.#use(this.#writer, async () => undefined);
  }

  /**
   * Closes the file, or leaves that to the last of those who are at it. Later uses open it anew.
   * Resolves when nothing is being closed any more.
   */
  async close(): Promise<void> {
    for (const opened of [this.#reader, this.#writer]) {
      if (opened === undefined) continue;
      opened.isRetired = true;
      if (opened.users === 0) this.#close(opened);
    }
    this.#reader = undefined;
    this.#writer = undefined;
    await Promise.all(this.#closing);
  }

  #open(mode: OpenOptions["mode"]): Opened {
    const opened = { file: this.#fs.open(this.path, { mode }), users: 0, isRetired: false };
    // Its users get the rejection; the next one tries again.
    opened.file.catch(() => {
      if (this.#reader === opened) this.#reader = undefined;
      if (this.#writer === opened) this.#writer = undefined;
    });
    return opened;
  }

  async #use<T>(opened: Opened, work: (file: File) => Promise<T>): Promise<T> {
    opened.users += 1;
    try {
      return await work(await opened.file);
    } finally {
      opened.users -= 1;
      if (opened.isRetired && opened.users === 0) this.#close(opened);
    }
  }

  #close(opened: Opened): void {
    // Closing promises no durability, so there is nothing to lose when it fails.
    const closed = opened.file.then((file) => file.close()).catch(() => undefined);
    this.#closing.add(closed);
    void closed.then(() => this.#closing.delete(closed));
  }
}
