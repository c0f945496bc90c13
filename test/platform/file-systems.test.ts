import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BunFileSystem, bunRuntime } from "../../src/platform/bun-file-system.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { NodeFileSystem } from "../../src/platform/node-file-system.ts";
import { type FileSystemSubject, fileSystemSuite } from "../suites/file-system-suite.ts";
import { makeRandom } from "../support/prng.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";

const bunOnly = bunRuntime() === undefined ? { skip: "needs Bun" } : {};

fileSystemSuite({ name: "node", make: inFolder((root) => new NodeFileSystem(root)) });
fileSystemSuite({ name: "bun", ...bunOnly, make: inFolder((root) => new BunFileSystem(root)) });
fileSystemSuite({
  name: "bun, mapped",
  ...bunOnly,
  make: inFolder((root) => new BunFileSystem(root, { mmap: true })),
});
fileSystemSuite({ name: "simulated", make: simulated(3) });
fileSystemSuite({ name: "simulated, slow", make: simulated(40) });

function inFolder(open: (root: string) => FileSystem): FileSystemSubject["make"] {
  return async () => {
    const root = await mkdtemp(join(tmpdir(), "proglog-files-"));
    return {
      fs: open(root),
      dispose: () => rm(root, { recursive: true }),
    };
  };
}

function simulated(turnsMax: number): FileSystemSubject["make"] {
  return async () => ({
    fs: new SimFileSystem(makeRandom(1), { turnsMax }),
    dispose: async () => {},
  });
}
