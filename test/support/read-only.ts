import type { FileSystem } from "../../src/platform/file-system.ts";

/** A file system that gives what is there and refuses all else, as a disk that is mounted so. */
export function readOnly(fs: FileSystem): FileSystem {
  const refuse = async (what: string): Promise<never> => {
    throw Object.assign(new Error(`EROFS: read-only file system, ${what}`), { code: "EROFS" });
  };
  return {
    list: (dir) => fs.list(dir),
    exists: (path) => fs.exists(path),
    open: (path, options) =>
      options.mode === "read" ? fs.open(path, options) : refuse(`${options.mode} ${path}`),
    makeDir: (dir) => refuse(`make ${dir}`),
    rename: (from) => refuse(`rename ${from}`),
    remove: (path) => refuse(`remove ${path}`),
    removeDir: (dir) => refuse(`remove ${dir}`),
    syncDir: (dir) => refuse(`sync ${dir}`),
  };
}
