import assert from "node:assert/strict";
import { test } from "node:test";
import { History, recordIdOf } from "./checker-history.ts";

// Goal: the checker of the cluster tests finds what it is for. Method: histories with one fault each.

const TOPIC = "t";

/** A producer with two acknowledged batches of two records, and what a reader saw. */
function historyOf(seen: readonly number[], ordered: readonly number[] = [1]): History {
  const history = new History([TOPIC], ordered);
  const first = history.begin(TOPIC, 1, 2);
  history.acknowledge(first, 0);
  history.acknowledge(history.begin(TOPIC, 1, 2), 2);
  see(history, seen);
  return history;
}

function see(history: History, numbers: readonly number[], server = "n1"): void {
  for (const [offset, number] of numbers.entries()) {
    history.see(TOPIC, { server, offset }, { id: recordIdOf(1, number), appendTime: 5 });
  }
}

test("finds nothing where all is as it was acknowledged", () => {
  const history = historyOf([0, 1, 2, 3]);
  see(history, [0, 1, 2], "n2");
  const tally = history.judge();
  assert.deepEqual(history.violations, []);
  assert.deepEqual(tally, {
    ...{ acknowledged: 4, unknown: 0, refused: 0, seen: 4 },
    ...{ lost: 0, duplicated: 0, reordered: 0 },
  });
});

test("finds an acknowledged record that is lost", () => {
  const history = historyOf([0, 1, 2]);
  assert.equal(history.judge().lost, 1);
  assert.match(history.violations.join(), /acknowledged at 2, and is at 2,$/);
});

test("finds a record that is there twice", () => {
  const history = historyOf([0, 1, 2, 3, 1]);
  assert.equal(history.judge().duplicated, 1);
  assert.match(history.violations.join(), /1:1 is there twice, at 1 and 4/);
});

test("finds records in another order, by offsets and by numbers", () => {
  const history = historyOf([2, 3, 0, 1]);
  assert.equal(history.judge().reordered, 3);
  const free = historyOf([2, 3, 0, 1], []);
  assert.equal(free.judge().reordered, 2);
});

test("finds that servers differ", () => {
  const history = historyOf([0, 1, 2, 3]);
  see(history, [0, 2], "n2");
  assert.match(history.violations.join(), /n2 has 1:2 at 1, where 1:1 was seen before/);
});

test("finds a gap, and a time that goes back", () => {
  const history = historyOf([0, 1, 2, 3]);
  history.see(TOPIC, { server: "n1", offset: 5 }, { id: recordIdOf(1, 9), appendTime: 4 });
  assert.match(history.violations[0] ?? "", /n1 returned offset 5 before 4/);
  assert.match(history.violations[1] ?? "", /append time goes back at 5/);
});

test("finds a batch that was sent later and stands before", () => {
  const history = new History([TOPIC], []);
  history.acknowledge(history.begin(TOPIC, 1, 1), 4);
  history.acknowledge(history.begin(TOPIC, 2, 1), 3);
  assert.match(history.violations.join(), /got offset 3, but 4 was acknowledged before/);
});

test("lets a batch without an answer be there whole or not at all, and a refused one not", () => {
  const history = new History([TOPIC], []);
  history.leaveUnknown(history.begin(TOPIC, 1, 2));
  history.leaveUnknown(history.begin(TOPIC, 1, 2));
  see(history, [2, 3]);
  assert.equal(history.judge().unknown, 4);
  assert.deepEqual(history.violations, []);
  history.leaveUnknown(history.begin(TOPIC, 1, 2));
  history.refuse(history.begin(TOPIC, 1, 1));
  see(history, [2, 3, 5, 6]);
  history.judge();
  assert.match(history.violations.join("\n"), /2 records from 1:4 is there in part, at ,2/);
  assert.match(history.violations.join("\n"), /1 records from 1:6 was refused, and is at 3/);
});
