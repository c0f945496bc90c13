import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

/** Syntax that Node 22, the oldest that we promise, cannot read, though the newer ones can. */
const TOO_NEW: readonly (readonly [RegExp, string])[] = [
  [/^\s*(?:await )?using \w+ =/m, "explicit resource management: use try and finally"],
  [/\bimport defer\b/, "deferred imports"],
  [/\(\?[ims]+(?:-[ims]*)?:/, "modifiers within a regular expression"],
];

// Goal: sources run unbuilt on the oldest Node that README promises. The tests themselves run on a
// newer one, so its syntax is looked for; NODE_OLDEST names an executable to try it for real.
test("no source uses syntax that Node 22 does not know", () => {
  const faults: string[] = [];
  for (const name of readdirSync("src", { recursive: true }).map(String)) {
    if (!name.endsWith(".ts")) continue;
    const text = readFileSync(join("src", name), "utf8");
    for (const [pattern, what] of TOO_NEW) {
      if (pattern.test(text)) faults.push(`${name}: ${what}`);
    }
  }
  assert.deepEqual(faults, []);
});

const oldest = process.env["NODE_OLDEST"];
test("the oldest Node runs the program", {
  skip: oldest === undefined && "NODE_OLDEST names no executable",
}, () => {
  const said = execFileSync(oldest ?? "", ["src/main.ts", "version"], { encoding: "utf8" });
  assert.match(said, /Node\.js v?22\./);
});
