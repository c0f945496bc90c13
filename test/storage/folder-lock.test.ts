import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import {
  isAlive,
  type ProcessIdentity,
  processIdentity,
} from "../../src/platform/process-identity.ts";
import { type FolderLock, lockFolder } from "../../src/storage/folder-lock.ts";
import { makeRandom, seedsFromEnv } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import { onDisks, readFile, text, utf8, writeFile } from "./fixture.ts";

/** Start times have spaces and colons on some systems. */
function processOf(pid: number): ProcessIdentity {
  return { bootId: "6ca07ed4-boot", pid, startTime: "Wed Nov 25 15:24:01 2026 (x.y)" };
}

/** Processes that run. */
class Machine {
  readonly alive = new Set<number>();

  lock(fs: FileSystem, pid: number): Promise<FolderLock> {
    this.alive.add(pid);
    return lockFolder(fs, processOf(pid), (other) => {
      assert.deepEqual(other, processOf(other.pid));
      return this.alive.has(other.pid);
    });
  }
}

onDisks("a folder that a living process has is refused, and says which one", async (fs) => {
  await fs.makeDir("");
  const machine = new Machine();
  await machine.lock(fs, 11);
  for (const pid of [12, 11]) {
    await assert.rejects(machine.lock(fs, pid), {
      reason: "DATA_DIR_LOCKED",
      message: "Cannot use the data folder: process 11 uses it, wanted it free",
      metadata: { pid: "11" },
    });
  }
  assert.deepEqual(await fs.list(""), ["LOCK"]);
  assert.deepEqual(JSON.parse(text(await readFile(fs, "LOCK"))), processOf(11));
});

onDisks("a folder that was given free, or whose process is gone, is taken", async (fs) => {
  await fs.makeDir("");
  const machine = new Machine();
  const first = await machine.lock(fs, 11);
  await first.release();
  assert.deepEqual(await fs.list(""), []);
  await machine.lock(fs, 12);
  machine.alive.delete(12);
  await machine.lock(fs, 13);
  assert.deepEqual(JSON.parse(text(await readFile(fs, "LOCK"))), processOf(13));
  machine.alive.delete(13);
});

onDisks("a lock that says nothing is what a power cut leaves, and is taken", async (fs) => {
  for (const content of ["", "{", '{"pid":1}', "null", "[]", "x".repeat(10_000)]) {
    await writeFile(fs, "./LOCK", utf8(content));
    const lock = await new Machine().lock(fs, 11);
    await lock.release();
  }
});

onDisks("claims of dead processes are cleared away, those of living ones refuse", async (fs) => {
  await fs.makeDir("");
  const machine = new Machine();
  const claim = (pid: number) =>
    `./LOCK.6ca07ed4-boot.${pid}.Wed%20Nov%2025%2015%3A24%3A01%202026%20%28x%2Ey%29`;
  await writeFile(fs, claim(21), utf8(""));
  await writeFile(fs, "./LOCK.something", utf8("of somebody else"));
  const lock = await machine.lock(fs, 11);
  await lock.release();
  assert.deepEqual(await fs.list(""), ["LOCK.something"]);
  machine.alive.add(21);
  await writeFile(fs, claim(21), utf8(""));
  await assert.rejects(machine.lock(fs, 11), { metadata: { pid: "21" } });
});

onDisks("this very process locks a folder once", async (fs) => {
  await fs.makeDir("");
  const lock = await lockFolder(fs, processIdentity(), isAlive);
  await assert.rejects(lockFolder(fs, processIdentity(), isAlive), { reason: "DATA_DIR_LOCKED" });
  await lock.release();
  await (await lockFolder(fs, processIdentity(), isAlive)).release();
});

test("a full or broken disk is said in our own words", async () => {
  const fs = new SimFileSystem(makeRandom(1));
  fs.failNext({ op: "write" }, "ENOSPC");
  await assert.rejects(new Machine().lock(fs, 1), { reason: "DISK_FULL" });
  fs.failNext({ op: "rename" }, "EIO");
  await assert.rejects(new Machine().lock(fs, 2), { reason: "DISK_FAILED" });
});

// Goal: a full disk keeps nobody from taking over. Method: a lock of a dead process whose text is longer or shorter,
// no room for another byte; then look who has it, let others try, stop and start again.
test("on a full disk a dead process's lock is taken over in its own place", async () => {
  for (const [dead, next] of [
    [1, 123_456],
    [123_456, 1],
  ] as const) {
    const fs = new SimFileSystem(makeRandom(1));
    const machine = new Machine();
    await machine.lock(fs, dead);
    machine.alive.delete(dead);
    const size = fs.usedBytes;
    // As on a real disk, the block that the lock has may be filled.
    fs.setCapacity(size + (next > dead ? 5 : 0));
    const lock = await machine.lock(fs, next);
    assert.deepEqual(await fs.list(""), ["LOCK"]);
    const holder = JSON.parse(text(await readFile(fs, "LOCK"))) as { pid: number };
    assert.equal(holder.pid, next);
    await assert.rejects(machine.lock(fs, 7), { reason: "DATA_DIR_LOCKED" });
    assert.deepEqual(await fs.list(""), ["LOCK"]);
    await lock.release();
    await machine.lock(fs, 8);
  }
});

for (const op of ["write", "sync", "list", "rename"] as const) {
  test(`a try that fails at ${op} leaves no claim, so that the same process may try again`, async () => {
    const fs = new SimFileSystem(makeRandom(1));
    const machine = new Machine();
    fs.failNext({ op }, "ENOSPC");
    await assert.rejects(machine.lock(fs, 1), { reason: "DISK_FULL" });
    assert.deepEqual(await fs.list(""), []);
    await machine.lock(fs, 1);
    assert.deepEqual(await fs.list(""), ["LOCK"]);
  });
}

// Goal: two never have the folder, however they interleave, over a dead one's lock or none,
// and nobody is locked out by what dead ones left. Method: several try at once, some die at a
// random step; those that won are counted; afterwards one more tries alone.
for (const seed of seedsFromEnv(60)) {
  test(`at most one process has the folder (seed ${seed})`, async () => {
    const random = makeRandom(seed);
    const machine = new Machine();
    let fs = new SimFileSystem(random, { turnsMax: 6 });
    if (random() < 0.5) await machine.lock(fs, 1);
    machine.alive.clear();
    const holders = new Set<number>();
    const live = async (pid: number) => {
      for (let attempt = 0; attempt < 3; attempt += 1) {
        try {
          const lock = await machine.lock(fs, pid);
          holders.add(pid);
          assert.deepEqual([...holders], [pid], "two have the folder");
          for (let turns = random() * 30; turns > 0; turns -= 1) await undefined;
          holders.delete(pid);
          // Some end without giving it free.
          if (random() < 0.3) return machine.alive.delete(pid);
          await lock.release();
        } catch (error) {
          if (!hasReason(error, "DATA_DIR_LOCKED")) throw error;
        }
      }
      return machine.alive.delete(pid);
    };
    const pids = [2, 3, 4, 5].slice(0, 2 + Math.floor(random() * 3));
    await Promise.all(pids.map(live));
    if (random() < 0.5) {
      fs.crash();
      fs = fs.reopen();
    }
    await machine.lock(fs, 99);
  });
}

for (const seed of seedsFromEnv(60)) {
  test(`nobody is locked out by one that died while locking (seed ${seed})`, async () => {
    const random = makeRandom(seed);
    const machine = new Machine();
    let fs = new SimFileSystem(random);
    for (let pid = 1; pid < 6; pid += 1) {
      const end = 1 + Math.floor(random() * 8);
      fs.onStep((step) => {
        if (step === end) throw new SimCrash();
      });
      await machine.lock(fs, pid).catch((error) => assert.ok(error instanceof SimCrash));
      machine.alive.delete(pid);
      await settle();
      if (random() < 0.5) fs.crash();
      fs = fs.reopen();
    }
    await machine.lock(fs, 9);
    assert.deepEqual(await fs.list(""), ["LOCK"]);
  });
}
