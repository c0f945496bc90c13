import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { isAlive, processIdentity } from "../../src/platform/process-identity.ts";

const me = processIdentity();
const isLinux = process.platform === "linux";

test("isAlive() refuses numbers that are none", () => {
  for (const pid of [0, -1, 1.5, Number.NaN, 2 ** 53]) assert.equal(isAlive({ ...me, pid }), false);
});

test("isAlive() is false after the machine was started again", { skip: !isLinux }, () => {
  assert.notEqual(me.bootId, "");
  assert.equal(isAlive({ ...me, bootId: "another" }), false);
});

test("isAlive() is false when the number went to another process", { skip: !isLinux }, () => {
  assert.match(me.startTime, /^\d+$/);
  assert.equal(isAlive({ ...me, startTime: `${Number(me.startTime) - 1}` }), false);
});

test("isAlive() is true when in doubt", () => {
  assert.equal(isAlive({ bootId: "", pid: process.pid, startTime: "" }), true);
});

test("this process is alive, and says the same of itself each time", () => {
  assert.equal(isAlive(me), true);
  assert.equal(me.pid, process.pid);
  assert.deepEqual(processIdentity(), me);
});

test("a child is alive until it ends", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  try {
    await once(child, "spawn");
    const identity = { ...me, pid: child.pid ?? 0, startTime: "" };
    assert.equal(isAlive(identity), true);
    assert.equal(isAlive({ ...identity, startTime: me.startTime }), !isLinux);
  } finally {
    await end(child);
  }
  assert.equal(isAlive({ ...me, pid: child.pid ?? 0, startTime: "" }), false);
});

// A server whose parent never asks how it ended, as in a container without an init process.
test("a process that ended is not alive, although its parent has not asked yet", {
  skip: !isLinux,
}, async () => {
  const script = "sleep 0 & echo $!; exec sleep 60";
  const parent = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const [line] = await once(parent.stdout, "data");
    const pid = Number(String(line));
    assert.ok(pid > 0);
    const stat = () => readFile(`/proc/${pid}/stat`, "utf8");
    while (!/\) Z /.test(await stat())) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(isAlive({ ...me, pid, startTime: "" }), false);
  } finally {
    await end(parent);
  }
});

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
