import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError as Failure, type ProglogError } from "../../src/base/errors.ts";
import { LogTail, TailBudget } from "../../src/raft/log-tail.ts";
import { LostEntries } from "../../src/raft/lost-entries.ts";
import type { RaftJournal } from "../../src/raft/raft-journal.ts";
import { StagedPayloads } from "../../src/raft/staged-payloads.ts";
import { StorageJobs } from "../../src/raft/storage-jobs.ts";
import { StorageQueue, type StorageWrite } from "../../src/raft/storage-queue.ts";

const FULL = new Failure("DISK_FULL", "Cannot append: no room");

test("the core is told of its jobs in their order, whatever order they end in", () => {
  const told: number[] = [];
  const jobs = new StorageJobs(({ job }) => told.push(job));
  const [first, second, third] = [1, 2, 3].map((job) => {
    return jobs.begin({ job, beganTick: job, isDone: false });
  });
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  jobs.done(second);
  assert.deepEqual(told, []);
  assert.equal(jobs.oldestTick, 1);
  jobs.done(first);
  assert.deepEqual(told, [1, 2]);
  assert.equal(jobs.oldestTick, 3);
  jobs.done(third);
  assert.deepEqual(told, [1, 2, 3]);
  assert.ok(jobs.isIdle);
});

test("what a full disk refused waits, and everything behind it, in the same order", () => {
  const handed: { term: number; done: (error?: ProglogError) => void }[] = [];
  const held: number[] = [];
  const done: string[] = [];
  const journal = {
    appendRaft: (
      { hardState }: Parameters<RaftJournal["appendRaft"]>[0],
      answer: (error?: ProglogError) => void,
    ) => handed.push({ term: hardState?.term ?? 0, done: answer }),
  } as unknown as RaftJournal;
  const queue = new StorageQueue<never>({
    ...{ journal, replicaId: 1 },
    onHeld: ({ hardState }) => held.push(hardState.term),
  });
  const write = (term: number): StorageWrite<never> => ({
    ...{ entries: [], snapshot: undefined, mustSync: false, isUrgent: false },
    hardState: { term, vote: 0, commit: 0 },
    done: (error) => done.push(error === undefined ? `${term}` : `${term} ${error.reason}`),
  });
  queue.add(write(1));
  queue.add(write(2));
  queue.add(write(3));
  const [first, second, third] = handed.splice(0);
  second?.done(FULL);
  queue.add(write(4));
  assert.equal(handed.length, 0, "it would come before what was refused");
  third?.done(FULL);
  first?.done();
  assert.deepEqual([held, done], [[2, 3], ["1"]]);
  queue.retry();
  assert.deepEqual(
    handed.map(({ term }) => term),
    [2, 3, 4],
  );
  assert.ok(!queue.isHeld);
  for (const { done: answer } of handed.splice(0)) answer();
  assert.deepEqual(done, ["1", "2", "3", "4"]);
  queue.add(write(5));
  handed[0]?.done(new Failure("DISK_FAILED", "broken"));
  assert.deepEqual(done.at(-1), "5 DISK_FAILED");
});

function tailOf(bytesMax = 100, budget = new TailBudget(1000)) {
  const tail = new LogTail<string>(budget, bytesMax);
  const add = (index: number, size = 10, waiting?: string) => {
    const payload = new Uint8Array(size);
    tail.add({ index, term: 1, kind: 0, payloadBytes: size, payload, waiting });
    return tail.at(index);
  };
  return { tail, add, budget };
}

test("the tail has no gaps, is cut at its end and dropped at its front, and counts its bytes", () => {
  const { tail, add, budget } = tailOf();
  for (const index of [5, 6, 7, 8]) add(index);
  assert.throws(() => add(10), /gap/);
  assert.equal(tail.at(4), undefined);
  assert.equal(tail.at(9), undefined);
  assert.deepEqual(
    tail.cutFrom(7).map(({ index }) => index),
    [7, 8],
  );
  add(7);
  tail.dropThrough(5);
  assert.equal(tail.at(5), undefined);
  assert.equal(tail.at(7)?.index, 7);
  assert.equal(tail.bytes, 20);
  assert.deepEqual(tail.cutFrom(20), []);
  assert.deepEqual(
    tail.cutFrom(1).map(({ index }) => index),
    [6, 7],
  );
  assert.ok(tail.isEmpty);
  assert.equal(budget.bytes, 0);
  add(40);
  assert.equal(tail.at(40)?.index, 40);
});

test("payloads leave memory only when there is too much, and nobody waits for them", () => {
  const { tail, add } = tailOf(25);
  const [first, second] = [add(1), add(2, 10, "caller")];
  assert.ok(first !== undefined && second !== undefined);
  tail.relieve(first);
  assert.ok(first.payload !== undefined);
  add(3);
  tail.relieve(second);
  assert.ok(second.payload !== undefined);
  tail.relieve(first);
  assert.equal(first.payload, undefined);
  assert.equal(first.payloadBytes, 10);
  assert.equal(tail.bytes, 20);
});

test("applied entries are kept up to a bound, for who is a little behind", () => {
  const { tail, add } = tailOf();
  for (const index of [1, 2, 3, 4, 5]) add(index);
  tail.dropApplied(3, 35);
  assert.equal(tail.at(2), undefined);
  assert.equal(tail.at(3)?.index, 3);
  tail.dropApplied(5, 0);
  assert.ok(tail.isEmpty);
});

test("entries that lost their place are found by what is applied there", () => {
  const lost = new LostEntries<string>();
  lost.add({ index: 5, term: 1, waiting: "a" });
  lost.add({ index: 5, term: 2, waiting: "b" });
  lost.add({ index: 7, term: 2, waiting: "c" });
  assert.deepEqual(
    lost.takeAt(5).map(({ waiting }) => waiting),
    ["a", "b"],
  );
  assert.deepEqual(lost.takeAt(5), []);
  assert.deepEqual(
    lost.takeThrough(7).map(({ waiting }) => waiting),
    ["c"],
  );
  assert.ok(lost.isEmpty);
});

test("a payload is only given to the entry that it came with", () => {
  const staged = new StagedPayloads();
  const payload = new Uint8Array([1]);
  staged.add(5, 2, payload);
  assert.ok(staged.hasOther(5, 3));
  assert.ok(!staged.hasOther(5, 2));
  assert.ok(!staged.hasOther(6, 2));
  assert.equal(staged.take(5, 3), undefined);
  assert.equal(staged.take(5, 2), payload);
  staged.clear();
  assert.equal(staged.take(5, 2), undefined);
});
