import assert from "node:assert/strict";
import { test } from "node:test";
import { confOf, isMajority } from "../../src/raft/membership.ts";

test("a majority is more than half of the voters, and of the old ones while they change", () => {
  const are =
    (...ids: readonly number[]) =>
    (id: number) =>
      ids.includes(id);
  assert.ok(isMajority(confOf([1]), are(1)));
  assert.ok(!isMajority(confOf([1, 2]), are(1)));
  assert.ok(isMajority(confOf([1, 2, 3]), are(1, 3)));
  assert.ok(!isMajority(confOf([1, 2, 3], [4, 5]), are(1, 4, 5)), "learners do not count");
  const joint = { ...confOf([1, 4, 5]), votersOutgoing: [1, 2, 3] };
  assert.ok(isMajority(joint, are(1, 2, 4)));
  assert.ok(!isMajority(joint, are(1, 4, 5)));
  assert.ok(!isMajority(joint, are(1, 2, 3)));
});
