import assert from "node:assert/strict";
import { toPosition } from "../../src/base/units.ts";
import { bytes, getText, putText, readText, withFile } from "../support/files.ts";
import type { FileSystemCase } from "./file-system-contents.ts";

/** Part of file-system-suite.ts: what files are called and where they are. */
export const NAMES: Readonly<Record<string, FileSystemCase>> = {
  "list() gives files and folders in byte order": async (fs) => {
    assert.deepEqual(await fs.list(""), []);
    // In UTF-16, the order of JavaScript, the last two change places.
    const names = ["0", "10", "9", "B", "a", "a.b", "ä", "\u{ff21}", "\u{10400}"];
    for (const name of names.toReversed()) await putText(fs, name, "");
    await fs.makeDir("dir/below");
    assert.deepEqual(await fs.list("."), [
      "0",
      "10",
      "9",
      "B",
      "a",
      "a.b",
      "dir",
      ...names.slice(6),
    ]);
    assert.deepEqual(await fs.list("dir"), ["below"]);
    assert.deepEqual(await fs.list("dir/below"), []);
  },

  "makeDir() makes parents, and is content with a folder that is there": async (fs) => {
    await fs.makeDir("a/b/c");
    await putText(fs, "a/b/c/file", "x");
    await fs.makeDir("a/b/c");
    await fs.makeDir("a/b/d/");
    await fs.makeDir("");
    assert.deepEqual(await fs.list("a/b"), ["c", "d"]);
    assert.equal(await getText(fs, "a/b/c/file"), "x");
  },

  "exists() is true for files and folders only": async (fs) => {
    await fs.makeDir("dir");
    await putText(fs, "dir/a", "");
    assert.equal(await fs.exists(""), true);
    assert.equal(await fs.exists("dir"), true);
    assert.equal(await fs.exists("dir/a"), true);
    assert.equal(await fs.exists("dir/b"), false);
    assert.equal(await fs.exists("none/a"), false);
    assert.equal(await fs.exists("dir/a/below"), false);
  },

  "rename() moves a file, and replaces one that is there": async (fs) => {
    await fs.makeDir("dir");
    await putText(fs, "a", "new");
    await putText(fs, "b", "old");
    await fs.rename("a", "b");
    assert.equal(await getText(fs, "b"), "new");
    await fs.rename("b", "dir/c");
    await fs.rename("dir/c", "dir/c");
    assert.equal(await getText(fs, "dir/c"), "new");
    assert.deepEqual(await fs.list(""), ["dir"]);
  },

  "rename() moves a folder with all in it": async (fs) => {
    await fs.makeDir("dir/below");
    await putText(fs, "dir/below/a", "x");
    await fs.rename("dir", "dir");
    await fs.rename("dir", "dir.deleted");
    assert.equal(await getText(fs, "dir.deleted/below/a"), "x");
    assert.equal(await fs.exists("dir"), false);
  },

  "an open file outlives a rename of it, a rename over it and its removal": async (fs) => {
    await putText(fs, "a", "one");
    await putText(fs, "b", "two");
    await withFile(fs.open("a", { mode: "write" }), async (first) => {
      await withFile(fs.open("b", { mode: "read" }), async (second) => {
        await fs.rename("a", "b");
        assert.equal(await readText(second, 0, 9), "two");
      });
      await first.write([bytes("s")], toPosition(3));
      assert.equal(await getText(fs, "b"), "ones");
      await fs.remove("b");
      await first.sync();
      assert.equal(await readText(first, 0, 9), "ones");
    });
    assert.deepEqual(await fs.list(""), []);
  },

  "remove() deletes a file, and is content when it is gone": async (fs) => {
    await putText(fs, "a", "x");
    await fs.remove("a");
    await fs.remove("a");
    await fs.remove("none/a");
    assert.equal(await fs.exists("a"), false);
    await putText(fs, "a", "");
    assert.equal(await getText(fs, "a"), "");
  },

  "removeDir() deletes all in it, and is content when it is gone": async (fs) => {
    await fs.makeDir("a/b/c");
    await putText(fs, "a/b/c/file", "x");
    await putText(fs, "a/file", "x");
    await fs.makeDir("kept");
    await fs.removeDir("a");
    await fs.removeDir("a");
    await fs.removeDir("none/a");
    assert.deepEqual(await fs.list(""), ["kept"]);
  },
};
