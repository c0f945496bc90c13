// What only a real disk has: modes, big files, errors of devices, memory maps.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { concat } from "../../src/base/bytes.ts";
import { GIB, MIB, toPosition } from "../../src/base/units.ts";
import { BunFileSystem, bunRuntime } from "../../src/platform/bun-file-system.ts";
import { NodeFileSystem } from "../../src/platform/node-file-system.ts";
import { openFileSystem } from "../../src/platform/open-file-system.ts";
import { gather, skipBytes, WRITE_PARTS_MAX } from "../../src/platform/write-parts.ts";
import { bytes, getText, putText, readText, rejectsWith, withFile } from "../support/files.ts";

const isLinux = process.platform === "linux";
const isWindows = process.platform === "win32";

describe("on a real disk", () => {
  test("files have mode 0600 and folders 0700", { skip: isWindows }, () =>
    inFolder(async (root) => {
      const fs = openFileSystem(root);
      await fs.makeDir("dir/below");
      await putText(fs, "dir/below/a", "x");
      await (await fs.open("dir/b", { mode: "create-new" })).close();
      assert.equal((await stat(join(root, "dir"))).mode & 0o777, 0o700);
      assert.equal((await stat(join(root, "dir/below"))).mode & 0o777, 0o700);
      assert.equal((await stat(join(root, "dir/below/a"))).mode & 0o777, 0o600);
      assert.equal((await stat(join(root, "dir/b"))).mode & 0o777, 0o600);
    }),
  );

  test("the root itself is made by makeDir()", () =>
    inFolder(async (root) => {
      const fs = openFileSystem(join(root, "new/root"));
      assert.equal(await fs.exists(""), false);
      await rejectsWith("ENOENT", fs.list(""));
      await fs.makeDir("");
      assert.deepEqual(await fs.list(""), []);
    }));

  test("positions go beyond 4 GiB", { skip: isWindows }, () =>
    inFolder(async (root) => {
      const fs = openFileSystem(root);
      await withFile(fs.open("a", { mode: "create" }), async (file) => {
        await file.write([bytes("far")], toPosition(5 * GIB + 1));
        assert.equal(await file.size(), 5 * GIB + 4);
        assert.equal(await readText(file, 5 * GIB, 9), "\0far");
        await file.truncate(4 * GIB + 7);
        assert.equal(await file.size(), 4 * GIB + 7);
      });
    }),
  );

  test("a full device rejects writes with ENOSPC", { skip: !isLinux }, async () => {
    for (const syncWrites of [false, true]) {
      const file = await new NodeFileSystem("/dev").open("full", { mode: "write", syncWrites });
      await rejectsWith("ENOSPC", file.write([bytes("x")], toPosition(0)));
      await rejectsWith("ENOSPC", file.write([bytes("x"), bytes("y")], toPosition(0)));
      await file.close();
    }
  });

  // Folders and files of /proc cannot be synced, and say so: the call does reach the system.
  test("syncs that the system refuses reject", { skip: !isLinux }, async () => {
    const fs = new NodeFileSystem("/proc");
    await rejectsWith("EINVAL", fs.syncDir("self"));
    await withFile(fs.open("self/stat", { mode: "read" }), (file) =>
      rejectsWith("EINVAL", file.sync()),
    );
  });

  // Files of /proc are given a page at a time.
  test("read() goes on after a short read", { skip: !isLinux }, () =>
    withFile(new NodeFileSystem("/proc").open("self/smaps", { mode: "read" }), async (file) => {
      const text = await readText(file, 0, 8 * MIB);
      assert.ok(text.length > 20_000, `${text.length} bytes`);
      assert.match(text, /VmFlags:[^\n]*\n$/);
    }),
  );

  // A process may write files of a certain size only: the last write that fits in part is short.
  test("write() goes on after a short write", { skip: !isLinux }, () =>
    inFolder(async (root) => {
      const module = new URL("../../src/platform/node-file-system.ts", import.meta.url);
      const program = `
        process.on("SIGXFSZ", () => {});
        const { NodeFileSystem } = await import(${JSON.stringify(module.href)});
        const file = await new NodeFileSystem(${JSON.stringify(root)}).open("a", { mode: "create" });
        const parts = [new Uint8Array(3000).fill(1), new Uint8Array(3000).fill(2)];
        await file.write(parts, 10).catch((error) => console.log(error.code));`;
      const script = join(root, "program.mjs");
      await writeFile(script, program);
      const limited = 'ulimit -f 8; exec "$0" "$1"';
      const child = spawnSync("sh", ["-c", limited, process.execPath, script], {
        encoding: "utf8",
      });
      assert.equal(child.stdout, "EFBIG\n", child.stderr);
      const got = await readFile(join(root, "a"));
      assert.deepEqual([got.length, got.indexOf(1), got.indexOf(2)], [4096, 10, 3010]);
      assert.ok(got.subarray(3010).every((byte) => byte === 2));
    }),
  );

  test("a synced write asks the system for O_DSYNC", { skip: !isLinux }, () =>
    inFolder(async (root) => {
      const fs = openFileSystem(root);
      const flags = async () => {
        for (const fd of await readdir("/proc/self/fd")) {
          const target = await readlink(`/proc/self/fd/${fd}`).catch(() => "");
          if (target !== join(root, "a")) continue;
          const text = await readFile(`/proc/self/fdinfo/${fd}`, "utf8");
          return Number.parseInt(/flags:\s+(\d+)/.exec(text)?.[1] ?? "", 8);
        }
        return Number.NaN;
      };
      const O_DSYNC = 0o10000;
      await withFile(fs.open("a", { mode: "create", syncWrites: true }), async () => {
        assert.equal((await flags()) & O_DSYNC, O_DSYNC);
      });
      await withFile(fs.open("a", { mode: "write" }), async () => {
        assert.equal((await flags()) & O_DSYNC, 0);
      });
    }),
  );

  test("openFileSystem() gives the one of this runtime", () => {
    const fs = openFileSystem(tmpdir(), { mmap: true });
    assert.ok(fs instanceof NodeFileSystem);
    assert.equal(fs instanceof BunFileSystem, bunRuntime() !== undefined);
  });
});

describe("a mapped file", { skip: bunRuntime() === undefined ? "needs Bun" : false }, () => {
  test("shows what is appended after it was mapped", () =>
    inFolder(async (root) => {
      const fs = new BunFileSystem(root, { mmap: true });
      await putText(fs, "a", "12345");
      await withFile(fs.open("a", { mode: "read" }), async (reader) => {
        assert.equal(await readText(reader, 0, 5), "12345");
        await withFile(fs.open("a", { mode: "write" }), (file) =>
          file.write([bytes("X6789")], toPosition(4)),
        );
        assert.equal(await readText(reader, 0, 5), "1234X");
        assert.equal(await readText(reader, 3, 20), "4X6789");
      });
    }));

  test("can be empty, renamed over and removed while it is open", () =>
    inFolder(async (root) => {
      const fs = new BunFileSystem(root, { mmap: true });
      await putText(fs, "a", "old");
      await putText(fs, "b", "new");
      await putText(fs, "empty", "");
      await withFile(fs.open("empty", { mode: "read" }), async (file) => {
        assert.equal(await readText(file, 0, 5), "");
      });
      await withFile(fs.open("a", { mode: "read" }), async (file) => {
        // Before the first read, which makes the map: it must be of the file that was opened.
        await fs.rename("b", "a");
        assert.equal(await readText(file, 0, 3), "old");
        await fs.remove("a");
        assert.equal(await readText(file, 1, 2), "ld");
      });
    }));

  test("is not used for files that are written: a cut cannot end the process", () =>
    inFolder(async (root) => {
      const fs = new BunFileSystem(root, { mmap: true });
      await putText(fs, "a", "x".repeat(100_000));
      await withFile(fs.open("a", { mode: "write" }), async (file) => {
        assert.equal((await readText(file, 0, 100_000)).length, 100_000);
        await truncate(join(root, "a"), 0);
        assert.equal(await readText(file, 0, 100_000), "");
      });
      assert.equal(await getText(fs, "a"), "");
    }));
});

describe("parts of a write", () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 3 * WRITE_PARTS_MAX });

  test("gather() keeps the bytes, in few enough parts without empty ones", () => {
    fc.assert(
      fc.property(parts, (given) => {
        const gathered = gather(given);
        assert.ok(gathered.length <= WRITE_PARTS_MAX);
        assert.ok(gathered.every((part) => part.length > 0));
        assert.deepEqual(concat(gathered), concat(given));
      }),
    );
    const many = Array.from({ length: 10 * WRITE_PARTS_MAX + 3 }, (_, at) => bytes(`${at} `));
    assert.ok(gather(many).length <= WRITE_PARTS_MAX);
    assert.deepEqual(concat(gather(many)), concat(many));
  });

  test("skipBytes() leaves what a short write left", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 5 })), fc.nat(), (given, n) => {
        const all = concat(given);
        const count = n % (all.length + 1);
        assert.deepEqual(concat(skipBytes(given, count)), all.subarray(count));
        assert.ok(skipBytes(given, count).every((part) => part.length > 0));
      }),
    );
  });
});

async function inFolder(work: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "proglog-disk-"));
  try {
    await work(root);
  } finally {
    await rm(root, { recursive: true });
  }
}
