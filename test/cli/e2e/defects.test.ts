import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeFolder, RealServer, removeFolder } from "../support/real-server.ts";
import { killLeftovers, runCli } from "../support/run-cli.ts";

// Goal: a defect is told from a failure, and never ends with 0. Method: code that runs before the
// program and breaks something.
let dir = "";
before(() => {
  dir = makeFolder();
});
after(() => {
  killLeftovers();
  removeFolder(dir);
});

function preload(name: string, code: string): Record<string, string> {
  const file = join(dir, `${name}.mjs`);
  writeFileSync(file, code);
  return { NODE_OPTIONS: `--import=${file}`, BUN_OPTIONS: `--preload=${file}` };
}

test("a promise that nobody handles ends a server with 70, and is logged", async () => {
  const env = preload(
    "reject",
    'process.on("SIGUSR2", () => void Promise.reject(new TypeError("planted")));',
  );
  const server = await RealServer.start(join(dir, "data"), ["--log-format", "json"], env);
  server.process.child.kill("SIGUSR2");
  const { code, stderr } = await server.process.ended;
  assert.equal(code, 70, stderr);
  assert.match(stderr, /"level":"error".*planted/);
});

test("an exception that nobody catches ends a server with 70", async () => {
  const env = preload("throw", 'process.on("SIGUSR2", () => { throw new Error("planted"); });');
  const server = await RealServer.start(join(dir, "data-2"), [], env);
  server.process.child.kill("SIGUSR2");
  const { code, stderr } = await server.process.ended;
  assert.equal(code, 70, stderr);
  assert.match(stderr, /planted/);
});

test("a defect of a command ends it with 70 and shows where it is", async () => {
  const trap = 'get() { throw new TypeError("planted"); }';
  const env = preload("arch", `Object.defineProperty(process, "arch", { ${trap} });`);
  const { code, stderr } = await runCli(["version", "-o", "json"], { env });
  assert.equal(code, 70);
  assert.match(stderr, /^proglog: A defect in proglog/);
  assert.match(stderr, /planted/);
});
