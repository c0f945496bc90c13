import type { Position } from "../base/units.ts";
import type { File, OpenOptions } from "./file-system.ts";
import { NodeFile } from "./node-file.ts";
import { NodeFileSystem } from "./node-file-system.ts";

/** What is used of Bun's own API; its types would change the globals of the whole program. */
export interface BunRuntime {
  mmap(path: string, options: { readonly shared: boolean }): Uint8Array;
}

export interface BunFileSystemOptions {
  /**
   * Serves reads of files opened with mode "read" from memory maps. Default false.
   *
   * Random 4 KiB reads of cached files: 0.2 us against 15 us (Bun 1.4.5, virtual
   * machine with 2 cores). In exchange an I/O error, or a cut of the file by
   * anyone while it is mapped, ends the process by SIGBUS instead of rejecting
   * the read; a read that misses the page cache blocks the event loop; and the
   * mapped pages count as resident memory.
   */
  readonly mmap?: boolean;
}

/**
 * A folder on a real disk under Bun.
 *
 * Writes and syncs are those of `node:fs`: Bun's own API has no fsync. Reads too,
 * unless mapped: `Bun.file().slice().bytes()` takes 16 to 21 us for 4 KiB as
 * `fs.read` takes 15 to 58, but 8 us against 4 with 64 of them in flight, and
 * twice the time for 1 MiB, since it makes a new array for each (Bun 1.4.5).
 */
export class BunFileSystem extends NodeFileSystem {
  readonly #bun: BunRuntime;
  readonly #mapsReads: boolean;

  constructor(root: string, options: BunFileSystemOptions = {}) {
    super(root);
    const bun = bunRuntime();
    if (bun === undefined) throw new Error("Cannot use Bun's files: this is another runtime");
    this.#bun = bun;
    this.#mapsReads = options.mmap === true;
  }

  override async open(path: string, options: OpenOptions): Promise<File> {
    if (options.mode !== "read" || !this.#mapsReads) return await super.open(path, options);
    const fd = await this.openFd(path, options);
    // By number where that can be said, so that a rename meanwhile does not give another file.
    const source = process.platform === "linux" ? `/proc/self/fd/${fd}` : this.resolve(path);
    return new MappedFile(fd, () => this.#bun.mmap(source, { shared: true }));
  }
}

/** Bun's own API, or undefined on other runtimes. */
export function bunRuntime(): BunRuntime | undefined {
  return (globalThis as { readonly Bun?: BunRuntime }).Bun;
}

/** A file that is only read, through a memory map that is made at the first read. */
class MappedFile extends NodeFile {
  readonly #makeMap: () => Uint8Array;
  #map: Uint8Array | undefined;
  #isTried = false;

  constructor(fd: number, makeMap: () => Uint8Array) {
    super(fd, { syncsAfterWrite: false });
    this.#makeMap = makeMap;
  }

  override async read(target: Uint8Array, at: Position): Promise<number> {
    const map = this.#mapped();
    // The file may have grown since it was mapped.
    if (map === undefined || at + target.length > map.length) return await super.read(target, at);
    target.set(map.subarray(at, at + target.length));
    return target.length;
  }

  override async close(): Promise<void> {
    // The map itself goes when it is collected; the next read is refused at once.
    this.#map = undefined;
    this.#isTried = true;
    await super.close();
  }

  #mapped(): Uint8Array | undefined {
    if (this.#isTried) return this.#map;
    this.#isTried = true;
    try {
      this.#map = this.#makeMap();
    } catch {
      // Empty, or of a kind that cannot be mapped: read as any other file.
    }
    return this.#map;
  }
}
