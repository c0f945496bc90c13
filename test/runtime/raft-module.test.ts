import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { BUILD_FLAGS } from "../../scripts/lib-build.ts";

const ENTRY = resolve("test/runtime/raft-module-entry.ts");
const SECONDS_MAX = 60;

describe("the Raft core's module is found", () => {
  const dir = mkdtempSync(join(tmpdir(), "proglog-module-"));
  after(() => rmSync(dir, { recursive: true, force: true }));
  // From a folder where nothing lies that could be found by chance.
  const run = (command: string, args: readonly string[]): string =>
    execFileSync(command, args, { cwd: dir, encoding: "utf8", timeout: SECONDS_MAX * 1000 });

  test("by the sources on Node", () => {
    assert.equal(run(process.execPath, [ENTRY]), "leader");
  });

  test("by the sources on Bun", () => {
    assert.equal(run("bun", [ENTRY]), "leader");
  });

  test("by an executable that is built as ours is", () => {
    const outfile = join(dir, "program");
    run("bun", ["build", "--compile", ...BUILD_FLAGS, ENTRY, `--outfile=${outfile}`]);
    assert.equal(run(outfile, []), "leader");
  });
});
