import assert from "node:assert/strict";
import { test } from "node:test";
import { neededIndex } from "../../src/cluster/needed-index.ts";

const KEPT = { keptFrom: 100, appliedIndex: 200 };
const leader = { state: "replicate", match: 205, next: 206 } as const;

function needed(
  ...others: readonly { state: "probe" | "replicate" | "snapshot"; match: number; next: number }[]
) {
  return neededIndex([leader, ...others], KEPT);
}

test("what all have may go, but nothing that is not in the checkpoint", () => {
  assert.equal(needed({ state: "replicate", match: 205, next: 206 }), 200);
  assert.equal(neededIndex([], KEPT), 200);
});

test("what a replica lacks stays, whether it is heard of or not", () => {
  assert.equal(needed({ state: "replicate", match: 150, next: 190 }), 150);
  assert.equal(needed({ state: "probe", match: 130, next: 131 }), 130);
  assert.equal(needed({ state: "probe", match: 100, next: 101 }), 100);
});

test("what comes after a snapshot stays until its replica has it", () => {
  assert.equal(needed({ state: "snapshot", match: 0, next: 181 }), 180);
  assert.equal(needed({ state: "snapshot", match: 20, next: 151 }), 150);
});

test("who lacks what is gone holds nothing up", () => {
  assert.equal(needed({ state: "probe", match: 99, next: 100 }), 200);
  assert.equal(
    needed({ state: "probe", match: 5, next: 6 }, { state: "replicate", match: 160, next: 161 }),
    160,
  );
  assert.equal(needed({ state: "snapshot", match: 0, next: 90 }), 200);
});

test("as long as a leader does not know what the others have, nothing more goes", () => {
  assert.equal(needed({ state: "probe", match: 0, next: 201 }), 100);
});
