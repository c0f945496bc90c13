import assert from "node:assert/strict";
import { test } from "node:test";
import { type CheckResult, runClientProgram } from "./support/client-program.ts";

// The runner must see every way in which a client program can go wrong. Each
// program here is a line of JavaScript.
function run(source: string, timeoutMs = 60_000): Promise<CheckResult[]> {
  return runClientProgram([process.execPath, "-e", source], { timeoutMs });
}

function failureOf(results: readonly CheckResult[], name: string): string | undefined {
  const found = results.find((result) => result.name === name);
  assert.ok(found !== undefined, `no ${name} in ${JSON.stringify(results)}`);
  return found.failure;
}

test("a program whose checks pass passes", async () => {
  const results = await run(`console.log("starting\\nok produce\\nok tail")`);
  assert.deepEqual(results, [
    { name: "produce", failure: undefined },
    { name: "tail", failure: undefined },
    { name: "exit-code", failure: undefined },
    { name: "server", failure: undefined },
  ]);
});

test("a check that failed is told with its reason", async () => {
  const results = await run(`console.log("not ok tail: no record: none"); process.exit(1)`);
  assert.equal(failureOf(results, "tail"), "no record: none");
  assert.equal(failureOf(results, "exit-code"), undefined);
});

test("a program that fails without a failed check fails with what it printed", async () => {
  const results = await run(`console.log("ok produce"); console.error("boom"); process.exit(3)`);
  assert.match(failureOf(results, "exit-code") ?? "", /ended with 3.*boom/);
});

test("a program that ends with 0 in spite of a failed check fails", async () => {
  const results = await run(`console.log("not ok produce: no")`);
  assert.match(failureOf(results, "exit-code") ?? "", /ended with 0/);
});

test("a program that does not end is killed, with its children", async () => {
  const child = `require("child_process").spawn("sleep", ["1000"], { stdio: "inherit" })`;
  const results = await run(`${child}; console.log("ok produce")`, 1_000);
  assert.match(failureOf(results, "exit-code") ?? "", /killed after 1000 ms/);
});

test("a program that cannot be started is an error", async () => {
  await assert.rejects(runClientProgram(["no-such-program"], { timeoutMs: 1_000 }), /ENOENT/);
});

test("the server is restarted on the same address when the program asks", async () => {
  const results = await run(`
    const { connect } = require("net");
    const [host, port] = process.argv.at(-1).split(":");
    const dial = (done) => connect(port, host, done);
    dial(() => console.log("restart?")).on("close", () => console.log("ok closed"));
    process.stdin.once("data", (line) => {
      if (String(line) === "restarted\\n") dial(() => console.log("ok again") || process.exit(0));
    });
  `);
  assert.equal(failureOf(results, "closed"), undefined);
  assert.equal(failureOf(results, "again"), undefined);
});
