import assert from "node:assert/strict";
import { test } from "node:test";
import { atEndOfTurn } from "../../src/platform/end-of-turn.ts";
import { IS_BUN } from "../../src/platform/http-runtime.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("what is due at the end of the turn runs in order, and before anything new", async () => {
  const seen: string[] = [];
  await turn();
  setImmediate(() => seen.push("next turn"));
  for (const name of ["a", "b"]) {
    atEndOfTurn(() => {
      seen.push(name);
      if (name === "a") atEndOfTurn(() => seen.push("asked for meanwhile"));
    });
  }
  seen.push("now");
  await turn();
  assert.deepEqual(seen, ["now", "a", "b", "asked for meanwhile", "next turn"]);
});

const skip = IS_BUN && "Bun's test runner lets nobody catch what is thrown";

test("one that throws takes nothing from those behind it", { skip }, async () => {
  const seen: string[] = [];
  const thrown: unknown[] = [];
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", (error) => thrown.push(error));
  try {
    atEndOfTurn(() => seen.push("a"));
    atEndOfTurn(() => {
      throw new Error("b");
    });
    atEndOfTurn(() => seen.push("c"));
    await turn();
    await turn();
  } finally {
    for (const other of others) process.on("uncaughtException", other);
  }
  assert.deepEqual(seen, ["a", "c"]);
  assert.equal(thrown.length, 1);
});
