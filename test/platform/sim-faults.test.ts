import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toPosition } from "../../src/base/units.ts";
import { bytes, getText, putText, rejectsWith, withFile } from "../support/files.ts";
import { integerFrom, makeRandom } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";

describe("a full disk", () => {
  test("takes the part of a write that fits, then rejects with ENOSPC", async () => {
    const fs = makeFs();
    await putText(fs, "other", "12345");
    fs.setCapacity(10);
    await withFile(fs.open("a", { mode: "create" }), async (file) => {
      await file.write([bytes("abc")], toPosition(0));
      await rejectsWith("ENOSPC", file.write([bytes("de"), bytes("fg")], toPosition(3)));
      assert.equal(await file.size(), 5);
      await rejectsWith("ENOSPC", file.write([bytes("x")], toPosition(7)));
      await rejectsWith("ENOSPC", file.truncate(6));
    });
    assert.equal(await getText(fs, "a"), "abcde");
    assert.equal(fs.usedBytes, 10);
  });

  test("still overwrites, cuts and makes files, and goes on when there is room", async () => {
    const fs = makeFs();
    await putText(fs, "other", "12345");
    await putText(fs, "a", "abcde");
    fs.setCapacity(3);
    await withFile(fs.open("a", { mode: "write" }), async (file) => {
      await file.write([bytes("X")], toPosition(4));
      await rejectsWith("ENOSPC", file.write([bytes("YZ")], toPosition(4)));
      await file.truncate(4);
      await rejectsWith("ENOSPC", file.write([bytes("YZ")], toPosition(4)));
      await fs.open("empty", { mode: "create" });
      fs.setCapacity(10);
      await fs.remove("other");
      await file.write([bytes("YZ")], toPosition(4));
    });
    assert.equal(await getText(fs, "a"), "abcdYZ");
  });
});

describe("failNext()", () => {
  test("fails the operations that fit, by path, after some and so many times", async () => {
    const fs = makeFs();
    await putText(fs, "a.log", "");
    await putText(fs, "b.idx", "");
    fs.failNext({ op: "write", path: /\.log$/, after: 1, times: 2 }, "EIO");
    await withFile(fs.open("b.idx", { mode: "write" }), async (file) => {
      for (let count = 0; count < 4; count += 1) await file.write([bytes("x")], toPosition(0));
    });
    await withFile(fs.open("a.log", { mode: "write" }), async (file) => {
      await file.write([bytes("1")], toPosition(0));
      await rejectsWith("EIO", file.write([bytes("2")], toPosition(1)));
      await rejectsWith("EIO", file.write([bytes("2")], toPosition(1)));
      await file.write([bytes("3")], toPosition(1));
    });
    assert.equal(await getText(fs, "a.log"), "13");
  });

  test("leaves any part of a failed write behind", async () => {
    const found = new Set<string>();
    for (let seed = 1; seed <= 100; seed += 1) {
      const fs = makeFs(seed);
      await putText(fs, "a", "");
      fs.failNext({ op: "write" }, "EIO");
      await withFile(fs.open("a", { mode: "write" }), (file) =>
        rejectsWith("EIO", file.write([bytes("ab")], toPosition(0))),
      );
      found.add(await getText(fs, "a"));
    }
    assert.deepEqual([...found].sort(), ["", "a", "ab"]);
  });

  test("reaches every operation, and leaves no other trace", async () => {
    const fs = makeFs();
    await putText(fs, "a", "x");
    const open = () => fs.open("a", { mode: "create" });
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      list: () => fs.list(""),
      makeDir: () => fs.makeDir("dir"),
      open: () => fs.open("new", { mode: "create" }),
      rename: () => fs.rename("a", "b"),
      remove: () => fs.remove("a"),
      exists: () => fs.exists("a"),
      size: () => withFile(open(), async (file) => void (await file.size())),
      read: () =>
        withFile(open(), async (file) => void (await file.read(bytes("y"), toPosition(0)))),
      truncate: () => withFile(open(), (file) => file.truncate(0)),
      close: async () => (await open()).close(),
    };
    for (const [op, run] of Object.entries(calls)) {
      fs.failNext({ op: op as "list" }, "EIO");
      await rejectsWith("EIO", run());
    }
    assert.deepEqual([...fs.dump().keys()], ["a"]);
    assert.equal(await getText(fs, "a"), "x");
  });

  test("is undone by clearFaults()", async () => {
    const fs = makeFs();
    fs.failNext({ op: "list" }, "EIO");
    fs.clearFaults();
    assert.deepEqual(await fs.list(""), []);
  });
});

describe("lives", () => {
  test("after a crash the old object and its files reject, and the new one works", async () => {
    const old = makeFs();
    const file = await old.open("a", { mode: "create" });
    const release = old.hold({ op: "sync" });
    const syncing = file.sync();
    old.crash(1);
    release();
    await assert.rejects(syncing, SimCrash);
    await assert.rejects(file.write([bytes("late")], toPosition(0)), SimCrash);
    await assert.rejects(old.open("b", { mode: "create" }), SimCrash);
    const fs = old.reopen();
    await assert.rejects(old.list(""), SimCrash);
    assert.deepEqual(await fs.list(""), ["a"]);
    assert.equal(await getText(fs, "a"), "");
  });

  test("what is left of an old life takes no part in the random choices of the new one", async () => {
    let draws = 0;
    const random = makeRandom(1);
    const old = new SimFileSystem(() => {
      draws += 1;
      return random();
    });
    const file = await old.open("a", { mode: "create" });
    old.hold({ op: "write" });
    const writing = file.write([bytes("x")], toPosition(0));
    await settle();
    old.crash();
    const drawn = draws;
    await assert.rejects(writing, SimCrash);
    await assert.rejects(file.sync(), SimCrash);
    await assert.rejects(old.list(""), SimCrash);
    assert.equal(draws, drawn);
  });

  test("a kill without a power cut keeps all that was written, still unsynced", async () => {
    const old = makeFs();
    await putText(old, "a", "x");
    const killed = old.reopen();
    await assert.rejects(old.list(""), SimCrash);
    assert.equal(await getText(killed, "a"), "x");
    killed.crash(0);
    assert.deepEqual(await killed.reopen().list(""), []);
  });

  test("onStep() counts every operation, and stops the machine where it throws", async () => {
    const fs = makeFs();
    const seen: string[] = [];
    fs.onStep((step, op, path) => {
      seen.push(`${step} ${op} ${path}`);
      if (op === "sync") throw new SimCrash();
    });
    await fs.makeDir("dir");
    const file = await fs.open("dir/a", { mode: "create" });
    await file.write([bytes("x")], toPosition(0));
    await assert.rejects(file.sync(), SimCrash);
    await assert.rejects(fs.exists("dir"), SimCrash);
    assert.deepEqual(seen, ["1 makeDir dir", "2 open dir/a", "3 write dir/a", "4 sync dir/a"]);
    assert.equal(fs.steps, 4);
    assert.equal(fs.isStopped, true);
  });

  test("the operation at which the machine stops may have happened in part", async () => {
    const found = new Set<string>();
    for (let seed = 1; seed <= 100; seed += 1) {
      const fs = makeFs(seed);
      fs.onStep((_step, op) => {
        if (op === "write") throw new SimCrash();
      });
      const file = await fs.open("a", { mode: "create" });
      await assert.rejects(file.write([bytes("ab")], toPosition(0)), SimCrash);
      found.add(await getText(fs.reopen(), "a"));
    }
    assert.deepEqual([...found].sort(), ["", "a", "ab"]);
  });

  test("fromDump() makes the disk that dump() showed, and a crash takes nothing of it", async () => {
    const old = makeFs();
    await old.makeDir("dir/below");
    await putText(old, "dir/below/a", "x");
    await putText(old, "b", "y");
    const fs = SimFileSystem.fromDump(makeRandom(2), old.dump());
    fs.crash(0);
    assert.deepEqual(fs.reopen().dump(), old.dump());
    assert.deepEqual([...old.dump().keys()], ["b", "dir/below/a"]);
  });
});

test("the same seed gives the same steps and the same disk", async () => {
  const dumps = new Set<string>();
  for (let seed = 1; seed <= 30; seed += 1) {
    const [first, second] = [await randomLife(seed), await randomLife(seed)];
    assert.deepEqual(first, second, `seed ${seed}`);
    dumps.add(JSON.stringify(first));
  }
  assert.equal(dumps.size, 30);
});

test("operations that overlap happen in either order", async () => {
  const found = new Set<string>();
  for (let seed = 1; seed <= 50; seed += 1) {
    const fs = makeFs(seed);
    const tries = ["1", "2"].map(async (text) => {
      const file = await fs.open("a", { mode: "create" });
      await file.write([bytes(text)], toPosition(0));
    });
    await Promise.all(tries);
    found.add(await getText(fs, "a"));
  }
  assert.deepEqual([...found].sort(), ["1", "2"]);
});

/** Random operations, some at the same time, then a crash: the steps, and what was left. */
async function randomLife(seed: number): Promise<{ steps: string[]; left: [string, string][] }> {
  const random = makeRandom(seed);
  const fs = new SimFileSystem(random);
  const steps: string[] = [];
  fs.onStep((_step, op, path) => steps.push(`${op} ${path}`));
  await fs.makeDir("dir");
  const clients = Array.from({ length: 4 }, async (_, client) => {
    const path = `dir/${client % 2}`;
    for (let turn = 0; turn < 10; turn += 1) {
      await withFile(fs.open(path, { mode: "create" }), async (file) => {
        const at = integerFrom(random, 0, 3000);
        await file.write([new Uint8Array(900).fill(65 + turn)], toPosition(at));
        if (random() < 0.2) await file.sync();
        if (random() < 0.1) await file.truncate(integerFrom(random, 0, 2000));
      });
      if (random() < 0.3) await fs.syncDir(random() < 0.5 ? "" : "dir");
      if (random() < 0.2) await fs.rename(path, `dir/${client % 2}.old`).catch(() => {});
    }
  });
  await Promise.all(clients);
  fs.crash();
  const left = [...fs.reopen().dump()].map(([path, content]): [string, string] => {
    return [path, Buffer.from(content).toString("base64")];
  });
  return { steps, left };
}

function makeFs(seed = 1): SimFileSystem {
  return new SimFileSystem(makeRandom(seed));
}
