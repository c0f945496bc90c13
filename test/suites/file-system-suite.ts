import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { platformCode } from "../../src/base/errors.ts";
import { toPosition } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { bytes, getText, putText, rejectsWith, withFile } from "../support/files.ts";
import { CONTENTS, type FileSystemCase } from "./file-system-contents.ts";
import { NAMES } from "./file-system-names.ts";

/** One implementation of {@link FileSystem} under the suite. */
export interface FileSystemSubject {
  readonly name: string;
  /** Why it cannot run here; absent when it can. */
  readonly skip?: string;
  /** An empty file system of its own for each test. */
  readonly make: () => Promise<{ readonly fs: FileSystem; dispose(): Promise<void> }>;
}

/** What every implementation must do; the contract is in src/platform/file-system.ts. */
export function fileSystemSuite(subject: FileSystemSubject): void {
  describe(`file system: ${subject.name}`, { skip: subject.skip ?? false }, () => {
    const groups = [REFUSALS, CONTENTS, NAMES, OVERLAPS];
    for (const [name, run] of groups.flatMap((group) => Object.entries(group))) {
      test(name, async () => {
        const { fs, dispose } = await subject.make();
        try {
          await run(fs);
        } finally {
          await dispose();
        }
      });
    }
  });
}

const REFUSALS: Readonly<Record<string, FileSystemCase>> = {
  "open() of a missing file rejects with ENOENT, and makes none": async (fs) => {
    await rejectsWith("ENOENT", fs.open("a", { mode: "read" }));
    await rejectsWith("ENOENT", fs.open("a", { mode: "write" }));
    assert.deepEqual(await fs.list(""), []);
  },

  "open() in a missing folder rejects with ENOENT": async (fs) => {
    await rejectsWith("ENOENT", fs.open("dir/a", { mode: "create" }));
    await rejectsWith("ENOENT", fs.open("dir/a", { mode: "create-new" }));
  },

  "open() to write rejects for a folder": async (fs) => {
    await fs.makeDir("dir");
    await rejectsWith("EISDIR", fs.open("dir", { mode: "write" }));
  },

  "open() as create-new rejects with EEXIST and leaves the file as it is": async (fs) => {
    await putText(fs, "a", "kept");
    await rejectsWith("EEXIST", fs.open("a", { mode: "create-new" }));
    assert.equal(await getText(fs, "a"), "kept");
  },

  "list() and syncDir() of a missing folder reject with ENOENT, of a file with ENOTDIR": async (
    fs,
  ) => {
    await putText(fs, "a", "");
    await rejectsWith("ENOENT", fs.list("dir"));
    await rejectsWith("ENOTDIR", fs.list("a"));
    // A platform that cannot sync folders says nothing about them.
    if (process.platform !== "win32") await rejectsWith("ENOENT", fs.syncDir("dir"));
  },

  "makeDir() rejects where a file is in its way": async (fs) => {
    await putText(fs, "a", "");
    await assert.rejects(fs.makeDir("a"));
    await assert.rejects(fs.makeDir("a/b"));
    assert.equal(await getText(fs, "a"), "");
  },

  "rename() of a missing file rejects with ENOENT, and so does one into a missing folder": async (
    fs,
  ) => {
    await putText(fs, "a", "x");
    await rejectsWith("ENOENT", fs.rename("b", "c"));
    await rejectsWith("ENOENT", fs.rename("a", "dir/a"));
    assert.equal(await getText(fs, "a"), "x");
  },

  "rename() does not replace a folder by a file, nor one with something in it": async (fs) => {
    await putText(fs, "file", "x");
    await fs.makeDir("full");
    await putText(fs, "full/a", "y");
    await fs.makeDir("other");
    await assert.rejects(fs.rename("file", "full"));
    await assert.rejects(fs.rename("other", "full"));
    await assert.rejects(fs.rename("full", "full/below"));
    assert.equal(await getText(fs, "full/a"), "y");
  },

  "remove() of a folder rejects and leaves it": async (fs) => {
    await fs.makeDir("dir");
    await assert.rejects(fs.remove("dir"));
    assert.equal(await fs.exists("dir"), true);
  },

  "a path out of the root rejects": async (fs) => {
    await assert.rejects(fs.open("../a", { mode: "create" }));
    await assert.rejects(fs.list("dir/../.."));
    await assert.rejects(fs.removeDir("/tmp/proglog-never"));
  },

  "a file opened to read rejects write() and truncate()": async (fs) => {
    await putText(fs, "a", "kept");
    await withFile(fs.open("a", { mode: "read" }), async (file) => {
      await assert.rejects(file.write([bytes("no")], toPosition(0)));
      await assert.rejects(file.truncate(0));
    });
    assert.equal(await getText(fs, "a"), "kept");
  },

  "a closed file rejects everything with EBADF": async (fs) => {
    const file = await fs.open("a", { mode: "create" });
    await file.write([bytes("x")], toPosition(0));
    await file.close();
    await rejectsWith("EBADF", file.size());
    await rejectsWith("EBADF", file.read(new Uint8Array(1), toPosition(0)));
    await rejectsWith("EBADF", file.write([bytes("y")], toPosition(0)));
    await rejectsWith("EBADF", file.truncate(0));
    await rejectsWith("EBADF", file.sync());
    await rejectsWith("EBADF", file.close());
    assert.equal(await getText(fs, "a"), "x");
  },
};

const OVERLAPS: Readonly<Record<string, FileSystemCase>> = {
  "one of many that create a file wins": async (fs) => {
    const tries = Array.from({ length: 20 }, () => fs.open("a", { mode: "create-new" }));
    const settled = await Promise.allSettled(tries);
    const winners = settled.filter((one) => one.status === "fulfilled");
    assert.equal(winners.length, 1);
    for (const { value } of winners) await value.close();
    for (const one of settled) {
      if (one.status === "rejected") assert.equal(platformCode(one.reason), "EEXIST");
    }
  },

  "reads that overlap with writes elsewhere see their own place": async (fs) => {
    await withFile(fs.open("a", { mode: "create" }), async (file) => {
      await file.write([new Uint8Array(64 * 1024).fill(7)], toPosition(0));
      let isDone = false;
      const readers = Array.from({ length: 8 }, async () => {
        while (!isDone) {
          const got = new Uint8Array(64 * 1024);
          assert.equal(await file.read(got, toPosition(0)), got.length);
          assert.ok(got.every((byte) => byte === 7));
        }
      });
      for (let at = 64 * 1024; at < 128 * 1024; at += 4096) {
        await file.write([new Uint8Array(4096).fill(9)], toPosition(at));
      }
      isDone = true;
      await Promise.all(readers);
    });
  },

  "close() waits for what is under way": async (fs) => {
    await putText(fs, "a", "x".repeat(100_000));
    const file = await fs.open("a", { mode: "write" });
    const target = new Uint8Array(100_001);
    const read = file.read(target, toPosition(0));
    const write = file.write([bytes("yy")], toPosition(100_000));
    await Promise.all([file.close(), write]);
    assert.ok((await read) >= 100_000);
    assert.equal((await getText(fs, "a")).length, 100_002);
  },
};
