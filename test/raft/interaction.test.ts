import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Environment } from "./interaction/environment.ts";
import { type InteractionModule, loadInteraction } from "./interaction/module.ts";
import { parseScript } from "./interaction/script.ts";

/** None is left out: all of etcd's scripts of v3.7.0 pass. */
const SCRIPTS_MIN = 28;

const loaded = loadInteraction();
if (typeof loaded === "string") {
  test("etcd's interaction scripts, through WebAssembly", { skip: loaded }, () => {});
} else {
  describe("etcd's interaction scripts, through WebAssembly", () => runScripts(loaded));
}

function runScripts({ module, scripts }: InteractionModule): void {
  test("they are all there", () => {
    assert.ok(scripts.length >= SCRIPTS_MIN, `${scripts.length} scripts`);
  });

  for (const { name, text } of scripts) {
    test(name, () => {
      const environment = new Environment(module);
      const commands = parseScript(text);
      assert.ok(commands.length > 1);
      for (const command of commands) {
        const printed = environment.run(command);
        assert.equal(printed, command.expected, `line ${command.line}: ${command.name}`);
      }
    });
  }
}
