import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

// Goal: a client that reads nothing, and goes away after its answers were reset for that,
// stops nobody. Method: a process of its own, which is killed when it stands still.

const PROGRAM = join(import.meta.dirname, "reset-unread.ts");
const KILL_AFTER_MS = 20_000;

for (const then of ["leave", "read"]) {
  test(`a server lives on when a client of unread answers that were reset goes on to ${then}`, async () => {
    const run = promisify(execFile)(process.execPath, [PROGRAM, then], {
      timeout: KILL_AFTER_MS,
      killSignal: "SIGKILL",
    });
    assert.equal((await run).stdout, "alive\n");
  });
}
