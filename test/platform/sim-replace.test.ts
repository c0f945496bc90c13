import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toPosition } from "../../src/base/units.ts";
import type { FileSystem } from "../../src/platform/file-system.ts";
import { bytes, getText, withFile } from "../support/files.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";

// Goal: the disk finds the classic mistakes. Method: replace a file the right way and four wrong
// ways, with a crash at a random step; only the right way may pass all seeds.
describe("replacing a file", () => {
  const SEEDS = seedsFromEnv(300);

  test("by new file, sync, rename and sync of the folder survives every crash", async () => {
    for (const seed of SEEDS) assert.equal(await crashWhileReplacing(seed, "right"), "", `${seed}`);
  });

  for (const way of ["no sync", "no folder sync", "in place", "sync after rename"] as const) {
    test(`is found out when it is done wrong: ${way}`, async () => {
      let failures = 0;
      for (let seed = 1; seed <= 300; seed += 1) {
        if ((await crashWhileReplacing(seed, way)) !== "") failures += 1;
      }
      assert.ok(failures > 5, `${failures} of 300 seeds`);
    });
  }
});

type Way = "right" | "no sync" | "no folder sync" | "in place" | "sync after rename";

/** @returns what was wrong with the file afterwards; empty: nothing */
async function crashWhileReplacing(seed: number, way: Way): Promise<string> {
  const random = makeRandom(seed);
  const fs = new SimFileSystem(random);
  await replaceFile(fs, "v0 ".repeat(400), "right");
  const crashAt = integerFrom(random, 1, 30) + fs.steps;
  fs.onStep((step) => {
    if (step === crashAt) throw new SimCrash();
  });
  let done = 0;
  try {
    for (let version = 1; version <= 3; version += 1) {
      await replaceFile(fs, `v${version} `.repeat(400), way);
      done = version;
    }
  } catch (error) {
    if (!(error instanceof SimCrash)) throw error;
  }
  fs.crash();
  const found = await getText(fs.reopen(), "name");
  const allowed = [done, done + 1].map((version) => `v${version} `.repeat(400));
  return allowed.includes(found) ? "" : `after ${done}: ${found.slice(0, 20)} (${found.length})`;
}

async function replaceFile(fs: FileSystem, text: string, way: Way): Promise<void> {
  const name = way === "in place" ? "name" : "name.pending";
  await withFile(fs.open(name, { mode: "create" }), async (file) => {
    await file.truncate(0);
    await file.write([bytes(text)], toPosition(0));
    if (way === "sync after rename") await fs.rename(name, "name");
    if (way !== "no sync") await file.sync();
  });
  if (way === "right" || way.startsWith("no")) await fs.rename(name, "name");
  if (way !== "no folder sync") await fs.syncDir("");
}
