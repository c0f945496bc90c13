// Goal: the simulated disk is as bad as its comment says, and no worse. Method: run one small program
// under many seeds and compare the set of outcomes with what the model allows: all of them must be
// seen, or crash tests that rely on it prove less than they seem to.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toPosition } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { bytes, getText, putText, withFile } from "../support/files.ts";
import { makeRandom } from "../support/prng.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";

describe("after a power cut", () => {
  test("a write that was not synced is lost, whole, or cut at any byte", async () => {
    const found = await outcomes(2000, async (fs) => {
      await putSynced(fs, "a", "");
      await write(fs, "a", "abc");
    });
    // So short a file is one sector: it is written, or only its size is, which shows as zeros.
    assert.deepEqual(found, ["a=", "a=___", "a=a", "a=ab", "a=abc"]);
  });

  test("a long write may keep any of its sectors, and leave zeros for the others", async () => {
    const found = await outcomes(1000, async (fs) => {
      await putSynced(fs, "a", "");
      await write(fs, "a", "x".repeat(512 * 3));
    });
    const sectors = new Set(found.map((outcome) => outcome.slice(2).replaceAll(/x{512}/g, "X")));
    const zeros = "_".repeat(512);
    for (const wanted of [`X${zeros}X`, `${zeros}X`, `X${zeros}${zeros}`, "XX", "XXX", ""]) {
      assert.ok(sectors.has(wanted), wanted.replaceAll(zeros, "0"));
    }
    assert.ok([...sectors].some((outcome) => /^X?x+$/.test(outcome)));
    for (const outcome of sectors) assert.match(outcome, /^[Xx_]*$/);
  });

  test("sectors are counted from the start of the file, so what was synced beside stays", async () => {
    const found = await outcomes(1000, async (fs) => {
      await putSynced(fs, "a", "s".repeat(600));
      await write(fs, "a", "w".repeat(500), 300);
    });
    for (const outcome of found) assert.match(outcome, /^a=s{300}(w*|s{0,212}|[ws_]*)s*[w_]*$/);
    assert.ok(found.includes(`a=${"s".repeat(300)}${"w".repeat(212)}${"s".repeat(88)}`));
    assert.ok(found.includes(`a=${"s".repeat(512)}${"w".repeat(288)}`));
  });

  test("any subset of the writes survives, in their order", async () => {
    const found = await outcomes(500, async (fs) => {
      await putSynced(fs, "a", "00");
      await write(fs, "a", "1", 0);
      await write(fs, "a", "2", 1);
      await write(fs, "a", "3", 0);
    });
    const wanted = ["00", "02", "10", "12", "30", "32"];
    assert.deepEqual(
      found,
      wanted.map((text) => `a=${text}`),
    );
  });

  test("what was synced is there, however much was written afterwards", async () => {
    const found = await outcomes(200, async (fs) => {
      await putSynced(fs, "a", "synced");
      for (let at = 6; at < 60; at += 3) await write(fs, "a", "xyz", at);
    });
    for (const outcome of found) assert.match(outcome, /^a=synced/);
  });

  test("a cut of the file may come back until it is synced", async () => {
    const cut = async (fs: FileSystem, isSynced: boolean) => {
      await putSynced(fs, "a", "0123");
      await withFile(fs.open("a", { mode: "write" }), async (file) => {
        await file.truncate(2);
        if (isSynced) await file.sync();
      });
    };
    assert.deepEqual(await outcomes(100, (fs) => cut(fs, false)), ["a=01", "a=0123"]);
    assert.deepEqual(await outcomes(100, (fs) => cut(fs, true)), ["a=01"]);
  });

  test("a synced file can vanish when its folder was not synced", async () => {
    const put = async (fs: FileSystem, isFolderSynced: boolean) => {
      await withFile(fs.open("a", { mode: "create" }), async (file) => {
        await file.write([bytes("x")], toPosition(0));
        await file.sync();
      });
      if (isFolderSynced) await fs.syncDir("");
    };
    assert.deepEqual(await outcomes(100, (fs) => put(fs, false)), ["", "a=x"]);
    assert.deepEqual(await outcomes(100, (fs) => put(fs, true)), ["a=x"]);
  });

  test("a folder can vanish with all in it when its parent was not synced", async () => {
    const found = await outcomes(100, async (fs) => {
      await fs.makeDir("dir");
      await putSynced(fs, "dir/a", "x", "dir");
    });
    assert.deepEqual(found, ["", "dir/a=x"]);
  });

  test("a rename inside a folder has happened or has not, and nothing between", async () => {
    const rename = async (fs: FileSystem, isSynced: boolean) => {
      await putSynced(fs, "new", "2");
      await putSynced(fs, "name", "1");
      await fs.rename("new", "name");
      if (isSynced) await fs.syncDir("");
    };
    assert.deepEqual(await outcomes(100, (fs) => rename(fs, false)), ["name=1 new=2", "name=2"]);
    assert.deepEqual(await outcomes(100, (fs) => rename(fs, true)), ["name=2"]);
  });

  test("a move between folders may be seen at both places or at none", async () => {
    const found = await outcomes(200, async (fs) => {
      await fs.makeDir("a");
      await fs.makeDir("b");
      await fs.syncDir("");
      await putSynced(fs, "a/x", "1", "a");
      await fs.rename("a/x", "b/x");
    });
    assert.deepEqual(found, ["", "a/x=1", "a/x=1 b/x=1", "b/x=1"]);
  });

  test("a removal may be undone until its folder is synced", async () => {
    const remove = async (fs: FileSystem, isSynced: boolean) => {
      await putSynced(fs, "a", "1");
      await putSynced(fs, "b", "2");
      await fs.remove("a");
      await fs.remove("b");
      if (isSynced) await fs.syncDir("");
    };
    const found = await outcomes(200, (fs) => remove(fs, false));
    assert.deepEqual(found, ["", "a=1", "a=1 b=2", "b=2"]);
    assert.deepEqual(await outcomes(100, (fs) => remove(fs, true)), [""]);
  });

  test("a folder that was being deleted keeps any of its files", async () => {
    const found = await outcomes(300, async (fs) => {
      await fs.makeDir("dir/below");
      await fs.syncDir("");
      await fs.syncDir("dir");
      await putSynced(fs, "dir/a", "1", "dir");
      await putSynced(fs, "dir/below/b", "2", "dir/below");
      await fs.removeDir("dir");
    });
    assert.deepEqual(found, ["", "dir/a=1", "dir/a=1 dir/below/b=2", "dir/below/b=2"]);
  });

  test("survival 0 loses all that was not synced, and 1 loses nothing", async () => {
    const change = async (fs: SimFileSystem) => {
      await putSynced(fs, "a", "old");
      await write(fs, "a", "new");
      await putText(fs, "b", "x".repeat(5000));
    };
    assert.deepEqual(await outcomes(20, change, 0), ["a=old"]);
    assert.deepEqual(await outcomes(20, change, 1), [`a=new b=${"x".repeat(5000)}`]);
  });
});

describe("a synced write", () => {
  test("is durable when it resolves, and what was written before at its place is gone", async () => {
    const found = await outcomes(200, async (fs) => {
      await putSynced(fs, "a", "00");
      await write(fs, "a", "1", 0);
      await write(fs, "a", "9", 1);
      await withFile(fs.open("a", { mode: "write", syncWrites: true }), (file) =>
        file.write([bytes("2")], toPosition(0)),
      );
    });
    // It is durable alone: what was written elsewhere is not.
    assert.deepEqual(found, ["a=20", "a=29"]);
  });

  test("may be cut at any byte while it is under way", async () => {
    const found = await outcomes(500, async (fs) => {
      await putSynced(fs, "a", "");
      fs.hold({ op: "write" });
      const file = await fs.open("a", { mode: "write", syncWrites: true });
      void file.write([bytes("ab")], toPosition(0)).catch(() => {});
      await turns(20);
    });
    assert.deepEqual(found, ["a=", "a=__", "a=a", "a=ab"]);
  });

  test("of nothing makes nothing durable", async () => {
    const change = async (fs: SimFileSystem) => {
      await putSynced(fs, "a", "old");
      await write(fs, "a", "new");
      await withFile(fs.open("a", { mode: "write", syncWrites: true }), (file) =>
        file.write([], toPosition(0)),
      );
    };
    assert.deepEqual(await outcomes(20, change, 0), ["a=old"]);
  });
});

describe("a sync", () => {
  test("covers what was written when it began, and only when it resolves", async () => {
    const overlap = async (fs: SimFileSystem, isReleased: boolean) => {
      await putSynced(fs, "a", "..");
      const release = fs.hold({ op: "sync" });
      const file = await fs.open("a", { mode: "write" });
      await file.write([bytes("1")], toPosition(0));
      const syncing = file.sync().catch(() => {});
      await turns(20);
      await file.write([bytes("2")], toPosition(1));
      if (!isReleased) return;
      release();
      await syncing;
    };
    assert.deepEqual(await outcomes(20, (fs) => overlap(fs, true), 0), ["a=1."]);
    assert.deepEqual(await outcomes(20, (fs) => overlap(fs, false), 0), ["a=.."]);
  });

  test("that failed may have lost the writes for good, although a second one succeeds", async () => {
    const found = await outcomes(
      100,
      async (fs) => {
        await putSynced(fs, "a", "old");
        fs.failNext({ op: "sync" }, "EIO");
        await withFile(fs.open("a", { mode: "write" }), async (file) => {
          await file.write([bytes("new")], toPosition(0));
          await assert.rejects(file.sync(), { code: "EIO" });
          await file.sync();
        });
        assert.equal(await getText(fs, "a"), "new");
      },
      1,
    );
    assert.deepEqual(found, ["a=new", "a=old"]);
  });

  test("of a folder that failed may have lost its changes for good", async () => {
    const found = await outcomes(
      100,
      async (fs) => {
        await putText(fs, "a", "x");
        fs.failNext({ op: "syncDir" }, "EIO");
        await assert.rejects(fs.syncDir(""), { code: "EIO" });
        await fs.syncDir("");
        assert.deepEqual(await fs.list(""), ["a"]);
      },
      1,
    );
    assert.deepEqual(found, ["", "a=x"]);
  });
});

/** Every outcome of `program` and a power cut over `count` seeds, in order of text; zeros show as `_`. */
async function outcomes(
  count: number,
  program: (fs: SimFileSystem) => Promise<void>,
  survival?: number,
): Promise<string[]> {
  const found = new Set<string>();
  for (let seed = 1; seed <= count; seed += 1) {
    const fs = new SimFileSystem(makeRandom(seed));
    await program(fs);
    fs.crash(survival);
    found.add(describeFiles(fs.reopen()));
  }
  return [...found].sort();
}

function describeFiles(fs: SimFileSystem): string {
  const files = [...fs.dump()].map(([path, content]) => {
    return `${path}=${new TextDecoder().decode(content).replaceAll("\0", "_")}`;
  });
  return files.join(" ");
}

/** The file with that content, so that a power cut takes nothing of it. */
async function putSynced(fs: FileSystem, path: string, text: string, dir = ""): Promise<void> {
  await putText(fs, path, text);
  await withFile(fs.open(path, { mode: "write" }), (file) => file.sync());
  await fs.syncDir(dir);
}

async function write(fs: FileSystem, path: string, text: string, at = 0): Promise<void> {
  await withFile(fs.open(path, { mode: "write" }), (file) =>
    file.write([bytes(text)], toPosition(at)),
  );
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) await undefined;
}
