import {
  access,
  close as fsClose,
  constants as fsConstants,
  open as fsOpen,
  rename as fsRename,
  fsync,
  mkdir,
  readdir,
  rm,
  unlink,
} from "node:fs";
import { join } from "node:path";
import { assert } from "../base/assert.ts";
import { platformCode } from "../base/errors.ts";
import type { File, FileSystem, OpenOptions } from "./file-system.ts";
import { call } from "./node-call.ts";
import { NodeFile } from "./node-file.ts";

const FILE_MODE = 0o600;
const DIR_MODE = 0o700;

/**
 * O_DSYNC where it does what {@link OpenOptions} promises. Windows has none; on
 * macOS it leaves the data in the drive's own cache, past which only fdatasync
 * goes (libuv asks for F_FULLFSYNC there).
 */
const DSYNC_FLAG = process.platform === "darwin" ? 0 : (fsConstants.O_DSYNC ?? 0);

/** A folder on a real disk, over the callbacks of `node:fs`: they run in the thread pool. */
export class NodeFileSystem implements FileSystem {
  readonly #root: string;

  /** @param root folder that all paths are relative to; made by `makeDir("")` when it is missing */
  constructor(root: string) {
    this.#root = root;
  }

  async list(dir: string): Promise<readonly string[]> {
    const names = await call<Buffer[]>((done) =>
      readdir(this.resolve(dir), { encoding: "buffer" }, done),
    );
    // As bytes: the order of JavaScript strings is another one, by UTF-16 units.
    return names.sort(Buffer.compare).map((name) => name.toString());
  }

  async makeDir(dir: string): Promise<void> {
    const options = { recursive: true, mode: DIR_MODE };
    await call<string>((done) => mkdir(this.resolve(dir), options, done));
  }

  async open(path: string, options: OpenOptions): Promise<File> {
    const fd = await this.openFd(path, options);
    return new NodeFile(fd, {
      syncsAfterWrite: options.syncWrites === true && DSYNC_FLAG === 0,
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await call((done) => fsRename(this.resolve(from), this.resolve(to), done));
  }

  async remove(path: string): Promise<void> {
    try {
      await call((done) => unlink(this.resolve(path), done));
    } catch (error) {
      if (platformCode(error) !== "ENOENT") throw error;
    }
  }

  async removeDir(dir: string): Promise<void> {
    await call((done) => rm(this.resolve(dir), { recursive: true, force: true }, done));
  }

  async exists(path: string): Promise<boolean> {
    try {
      await call((done) => access(this.resolve(path), done));
      return true;
    } catch (error) {
      const code = platformCode(error);
      if (code === "ENOENT" || code === "ENOTDIR") return false;
      throw error;
    }
  }

  async syncDir(dir: string): Promise<void> {
    // Windows cannot sync a folder; NTFS journals its entries in order.
    if (process.platform === "win32") return;
    const path = this.resolve(dir);
    const fd = await call<number>((done) => fsOpen(path, fsConstants.O_RDONLY, done));
    try {
      await call((done) => fsync(fd, done));
    } finally {
      await call((done) => fsClose(fd, done));
    }
  }

  /** For implementations that add to this one: the file's number, opened as `options` say. */
  protected openFd(path: string, options: OpenOptions): Promise<number> {
    const flags = openFlags(options);
    return call<number>((done) => fsOpen(this.resolve(path), flags, FILE_MODE, done));
  }

  /** The path that the platform knows. */
  protected resolve(path: string): string {
    assert(!path.startsWith("/") && !path.split("/").includes(".."), `Path leaves root: ${path}`);
    return join(this.#root, path);
  }
}

function openFlags(options: OpenOptions): number {
  const dsync = options.syncWrites === true ? DSYNC_FLAG : 0;
  switch (options.mode) {
    case "read":
      return fsConstants.O_RDONLY;
    case "write":
      return fsConstants.O_RDWR | dsync;
    case "create":
      return fsConstants.O_RDWR | fsConstants.O_CREAT | dsync;
    case "create-new":
      return fsConstants.O_RDWR | fsConstants.O_CREAT | fsConstants.O_EXCL | dsync;
  }
}
