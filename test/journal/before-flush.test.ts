import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import type { Journal } from "../../src/journal/journal.ts";
import { settle } from "../support/sim-clock.ts";
import {
  append,
  appendTelling,
  entriesOf,
  entry,
  type Outcome,
  openWithReplicas,
  outcomeOf,
  payloadOf,
} from "./journal-harness.ts";

const opened = () => openWithReplicas(1);

/** Appends an entry when the journal asks. @returns what came of it, and when it was asked */
function appendWhenAsked(journal: Journal, index: number) {
  const found: { asked: number; outcome: Outcome | undefined } = { asked: 0, outcome: undefined };
  journal.beforeFlush(() => {
    found.asked += 1;
    found.outcome = outcomeOf(append(journal, [entry(1, index, payloadOf(1, index, 20))]));
  });
  return found;
}

test("who has something for the next flush is asked once, at once when nothing is on its way", async () => {
  const { journal } = await opened();
  const before = journal.flushCount;
  const found = appendWhenAsked(journal, 2);
  assert.equal(found.asked, 0, "asked before the call had returned");
  await settle();
  assert.equal(found.asked, 1);
  assert.equal(found.outcome?.state, "done");
  assert.equal(journal.flushCount, before + 1);
  await append(journal, [entry(1, 3, "x")]);
  assert.equal(found.asked, 1);
});

test("while a flush is on its way nobody is asked; what is appended then goes out with the next one", async () => {
  const { fs, journal } = await opened();
  const letGo = fs.hold({ op: "write", path: /^journal\// });
  const first = outcomeOf(append(journal, [entry(1, 2, "first")]));
  await settle();
  const second = outcomeOf(append(journal, [entry(1, 3, "second")]));
  const found = appendWhenAsked(journal, 4);
  await settle();
  assert.deepEqual([first.state, second.state, found.asked], ["waiting", "waiting", 0]);
  const before = journal.flushCount;
  letGo();
  await settle();
  assert.deepEqual([first.state, second.state, found.outcome?.state], ["done", "done", "done"]);
  assert.equal(journal.flushCount, before + 2, "a flush of its own");
});

test("what was asked for is in the next flush although callers of the last one are still to be told", async () => {
  const { fs, journal } = await opened();
  const told: string[] = [];
  const letGo = fs.hold({ op: "write", path: /^journal\// });
  appendTelling(journal, entry(1, 2, "first"), () => told.push("first"));
  await settle();
  journal.beforeFlush(() => {
    told.push("asked");
    appendTelling(journal, entry(1, 3, "second"), () => told.push("second"));
  });
  letGo();
  await settle();
  assert.deepEqual(told, ["asked", "first", "second"]);
});

test("when the disk turns out to be full it is asked at once, and refused as all else is", async () => {
  const { fs, journal, clock } = await opened();
  fs.failNext({ op: "write", path: /^journal\// }, "ENOSPC");
  let first: Outcome | undefined;
  let found: ReturnType<typeof appendWhenAsked> | undefined;
  journal.beforeFlush(() => {
    first = outcomeOf(append(journal, [entry(1, 2, "first")]));
    // When the flush with it has been begun.
    queueMicrotask(() => {
      found = appendWhenAsked(journal, 3);
    });
  });
  await settle();
  assert.equal(journal.isDiskFull, true);
  assert.deepEqual([found?.asked, found?.outcome?.state], [1, "failed"]);
  assert.ok(hasReason(found?.outcome?.error, "DISK_FULL"));
  assert.equal(first?.state, "waiting");
  await clock.advance(1000);
  assert.equal(first?.state, "done");
  await append(journal, [entry(1, 3, "later")]);
  assert.deepEqual(await entriesOf(journal, 1), ["2/1 first", "3/1 later"]);
});

test("after a failure it is asked, and told that nothing was written", async () => {
  const { fs, journal, failures } = await opened();
  const letGo = fs.hold({ op: "write", path: /^journal\// });
  const first = outcomeOf(append(journal, [entry(1, 2, "first")]));
  await settle();
  const found = appendWhenAsked(journal, 3);
  letGo();
  fs.failNext({ op: "write", path: /^journal\// }, "EIO");
  await settle();
  const late = appendWhenAsked(journal, 4);
  await settle();
  assert.equal(failures.length, 1);
  assert.equal(first.state, "done");
  assert.deepEqual([found.asked, late.asked], [1, 1]);
  // Several in one turn: none of them was taken, and that is no gap.
  const more = [5, 6, 7].map((index) => outcomeOf(append(journal, [entry(1, index, "x")])));
  await settle();
  for (const outcome of [found.outcome, late.outcome, ...more]) {
    assert.equal(outcome?.state, "failed");
    assert.ok(hasReason(outcome.error, "DISK_FAILED"));
  }
});
