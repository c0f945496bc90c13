import type { Position } from "../base/units.ts";

/**
 * The only door to a disk. `bun-file-system.ts`, `node-file-system.ts` and the
 * simulated one in `test/support/sim-file-system.ts` implement it, and all
 * three must pass `test/suites/file-system-suite.ts`.
 *
 * Paths use `/` and are relative to the root given when the file system was
 * made. Methods reject with the platform's own error (`code: "ENOSPC"`, ...);
 * the layers above turn those into ProglogError, nobody else sees them.
 * Files are made with mode 0600, folders with 0700.
 */
export interface FileSystem {
  /** Names in `dir`, in byte order. Rejects with ENOENT when there is no such folder. */
  list(dir: string): Promise<readonly string[]>;
  /** Makes `dir` and its parents; resolves also when it is there. */
  makeDir(dir: string): Promise<void>;
  /** Rejects with ENOENT when a "read" or "write" finds no file. */
  open(path: string, options: OpenOptions): Promise<File>;
  /** Replaces `to` when it is there. Durable only after {@link syncDir} of both folders. */
  rename(from: string, to: string): Promise<void>;
  /** Deletes the file `path`; resolves also when it is already gone. */
  remove(path: string): Promise<void>;
  /** Deletes `dir` with all in it; resolves also when it is already gone. */
  removeDir(dir: string): Promise<void>;
  /** True for a file or a folder. */
  exists(path: string): Promise<boolean>;
  /**
   * Makes creations, renames and removals in `dir` survive a power cut.
   * Without it a synced file can still be lost: its directory entry was not.
   */
  syncDir(dir: string): Promise<void>;
}

export interface OpenOptions {
  /** "create" also opens a file that is there, without cutting it; "create-new" rejects with EEXIST then. */
  readonly mode: "read" | "write" | "create" | "create-new";
  /** Each write is durable when it resolves (O_DSYNC). Default false. */
  readonly syncWrites?: boolean;
}

/** One open file. Reads may overlap with anything; writes must not overlap, the caller sees to that. */
export interface File {
  /** Size in bytes, written but possibly not yet synced. */
  size(): Promise<number>;
  /**
   * Reads into `target` from `at` until it is full or the file ends.
   * @returns bytes read; less than `target.length` only at the end of the file.
   */
  read(target: Uint8Array, at: Position): Promise<number>;
  /**
   * Writes `parts` one after the other from `at` on, gathered in one call where
   * the platform can. All or an error; after an error any part may be written.
   * The caller does not change `parts` until it has settled. Beyond the end, the
   * gap is zeros.
   */
  write(parts: readonly Uint8Array[], at: Position): Promise<void>;
  /** Cuts the file to `sizeBytes`, or extends it with zeros. */
  truncate(sizeBytes: number): Promise<void>;
  /**
   * Resolves when everything written so far would survive a power cut
   * (fdatasync: data and size). When it rejects, the state of the file is unknown
   * and the caller must give up on it: a second sync can report success for pages
   * that the kernel has already dropped.
   *
   * @see https://wiki.postgresql.org/wiki/Fsync_Errors
   */
  sync(): Promise<void>;
  /** The file must not be used afterwards. Does not sync. */
  close(): Promise<void>;
}
