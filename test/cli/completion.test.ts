import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { completionScript } from "../../src/cli/completion-scripts.ts";

// Goal: what the shell offers is what the parser takes. Method: ask a real shell.
function completed(line: string): string[] {
  const words = line.split(" ");
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const script = `${completionScript("bash", COMMANDS)}
COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}
_proglog
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync("bash", ["--norc", "-c", script], { encoding: "utf8", cwd: "/" });
  return output.split("\n").filter((word) => word !== "");
}

test("bash completes nouns, verbs, flags and choices", () => {
  assert.deepEqual(completed("proglog con"), ["consume", "config"]);
  assert.deepEqual(completed("proglog topic "), [
    "create",
    "list",
    "get",
    "describe",
    "update",
    "delete",
    "trim",
  ]);
  assert.deepEqual(completed("proglog topic cr"), ["create"]);
  assert.deepEqual(completed("proglog cluster re"), ["remove", "rebalance"]);
  assert.deepEqual(completed("proglog --server h:1 topic tr"), ["trim"]);
  assert.ok(completed("proglog consume orders --fo").includes("--follow"));
  assert.ok(!completed("proglog consume orders --fo").includes("--output"));
  assert.deepEqual(completed("proglog topic list -o "), ["table", "json"]);
  assert.deepEqual(completed("proglog topic create orders --max-rec"), ["--max-record-bytes"]);
});

test("every script names every command and every flag", () => {
  for (const shell of ["bash", "zsh", "fish"] as const) {
    const script = completionScript(shell, COMMANDS);
    for (const command of COMMANDS) {
      for (const word of command.words) assert.ok(script.includes(word), `${shell} ${word}`);
      for (const { name } of command.flags) assert.ok(script.includes(name), `${shell} ${name}`);
    }
  }
});
