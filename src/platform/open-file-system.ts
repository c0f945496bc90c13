import { BunFileSystem, bunRuntime } from "./bun-file-system.ts";
import type { FileSystem } from "./file-system.ts";
import { NodeFileSystem } from "./node-file-system.ts";

export interface OpenFileSystemOptions {
  /** See {@link BunFileSystemOptions.mmap}; ignored where the runtime has no memory maps. Default false. */
  readonly mmap?: boolean;
}

/** The file system of this runtime, rooted at the folder `root`. */
export function openFileSystem(root: string, options: OpenFileSystemOptions = {}): FileSystem {
  if (bunRuntime() === undefined) return new NodeFileSystem(root);
  return new BunFileSystem(root, { mmap: options.mmap === true });
}
