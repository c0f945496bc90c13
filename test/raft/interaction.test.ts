import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Environment } from "./interaction/environment.ts";
import { loadInteraction } from "./interaction/module.ts";
import { parseScript } from "./interaction/script.ts";

const SCRIPTS_MIN = 28;

const loaded = loadInteraction();

describe("etcd's interaction scripts, through WebAssembly", {
  skip: typeof loaded === "string" ? loaded : false,
}, () => {
  if (typeof loaded === "string") return;
  test("they are all there", () => {
    assert.ok(loaded.scripts.length >= SCRIPTS_MIN, `${loaded.scripts.length} scripts`);
  });

  for (const { name, text } of loaded.scripts) {
    test(name, () => {
      const environment = new Environment(loaded.module);
      for (const command of parseScript(text)) {
        const printed = environment.run(command);
        assert.equal(printed, command.expected, `line ${command.line}: ${command.name}`);
      }
    });
  }
});
