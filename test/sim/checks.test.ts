import assert from "node:assert/strict";
import { test } from "node:test";
import { type CoreEntry, CoreMessageType } from "../../src/raft/core.ts";
import { checkAnswers } from "./answers.ts";
import { parseRecord, type RecordId, recordsOfBatch, SeenContent } from "./content.ts";
import { GroupViews } from "./group-views.ts";
import { type Completion, History } from "./history.ts";
import { MemoryLog } from "./memory-log.ts";
import { Violations } from "./violation.ts";

// A check that cannot fail is a defect: what each must find is made by hand here, and what it must let pass.

const TOPIC = 3;

class Group {
  readonly violations = new Violations(() => 0);
  readonly views = new GroupViews(this.violations);

  constructor() {
    for (const [from, to] of [
      [1, 2],
      [2, 3],
    ] as const) {
      const message = new Uint8Array([CoreMessageType.heartbeat]);
      this.views.sent({ topicId: TOPIC, fromReplica: from, toReplica: to, message });
    }
    for (const replica of [1, 2, 3]) this.open(replica, []);
  }

  /** Opens a replica whose disk has entries of these terms from index 2 on. */
  open(replica: number, terms: number[], hard: { term?: number; vote?: number } = {}): void {
    const hardState = { term: 1, vote: 0, commit: 1, ...hard };
    this.views.replica(replica).opened(new MemoryLog(terms), hardState, 1);
  }

  /** The replica's core appends entries of these terms from `index` on. */
  append(replica: number, index: number, ...terms: number[]): void {
    this.views.replica(replica).append(terms.map((term, at) => entry(index + at, term)));
  }

  apply(replica: number, first: number, last: number): void {
    this.views.applies(this.views.replica(replica), first, last);
  }

  elect(replica: number, term: number): void {
    const view = this.views.replica(replica);
    view.hardState = { term, vote: replica, commit: 1 };
    view.isLeader = true;
    this.views.elected(view);
  }

  found(pattern: RegExp): void {
    const [first] = this.violations.found;
    assert.match(first ?? "nothing", pattern);
    assert.equal(this.violations.found.length, 1);
  }

  clean(): void {
    assert.deepEqual(this.violations.found, []);
  }
}

function entry(index: number, term: number): CoreEntry {
  return { index, term, type: 0, data: new Uint8Array(0) };
}

test("an ordinary life of a group is all right", () => {
  const group = new Group();
  group.elect(1, 2);
  for (const replica of [1, 2, 3]) group.append(replica, 2, 2, 2, 2);
  for (const replica of [1, 2]) group.views.replica(replica).promised(4, 2);
  group.views.replica(2).voted(2, 1);
  for (const replica of [1, 2]) group.apply(replica, 2, 4);
  group.append(3, 4, 2);
  group.open(2, [2, 2, 2], { term: 2, vote: 1 });
  group.apply(2, 2, 4);
  group.elect(2, 3);
  group.append(2, 5, 3);
  group.append(3, 5, 3);
  group.views.checkMatching();
  group.clean();
});

test("two leaders in one term are found", () => {
  const group = new Group();
  group.elect(1, 2);
  group.elect(2, 2);
  group.found(/topic 3 has two leaders in term 2: 1 and 2/);
});

test("two entries applied at one index are found", () => {
  const group = new Group();
  group.append(1, 2, 2);
  group.append(2, 2, 3);
  group.apply(1, 2, 2);
  group.apply(2, 2, 2);
  group.found(/applies entry 2 of term 3, another one that of term 2/);
});

test("entries that are applied twice, left out, or not there are found", () => {
  for (const [first, last, pattern] of [
    [2, 3, /applies 2 to 3 after 3/],
    [5, 5, /applies 5 to 5 after 3/],
  ] as const) {
    const group = new Group();
    group.append(1, 2, 2, 2, 2, 2);
    group.apply(1, 2, 3);
    group.apply(1, first, last);
    group.found(pattern);
  }
  const group = new Group();
  group.append(1, 2, 2);
  group.apply(1, 2, 3);
  group.found(/applies 3, its log ends at 2/);
});

test("a leader that lacks what was committed in an earlier term is found; one of an older term is not", () => {
  const group = new Group();
  group.elect(1, 3);
  group.append(1, 2, 3);
  group.apply(1, 2, 2);
  group.elect(2, 2);
  group.clean();
  group.elect(3, 4);
  group.found(/replica 3 of topic 3 leads term 4 without entry 2 of term 3/);
});

test("a log that has lost what it acknowledged is found", () => {
  const group = new Group();
  group.append(1, 2, 2, 2, 2);
  group.views.replica(1).promised(3, 2);
  group.open(1, [2, 2], { term: 2 });
  group.clean();
  group.open(1, [2], { term: 2 });
  group.found(/has lost entry 3 of term 2, which it had acknowledged/);
});

test("a suffix that a new leader replaced may be lost again", () => {
  const group = new Group();
  group.append(1, 2, 2, 2);
  group.views.replica(1).promised(3, 2);
  group.append(1, 3, 4);
  group.open(1, [2, 2], { term: 4 });
  group.clean();
});

test("a term or a vote that was told and is forgotten is found", () => {
  const group = new Group();
  group.views.replica(1).voted(5, 2);
  group.open(1, [], { term: 5, vote: 2 });
  group.clean();
  group.open(1, [], { term: 5, vote: 0 });
  group.found(/has forgotten its vote for 2 in term 5/);
  const other = new Group();
  other.views.replica(1).voted(5, 2);
  other.open(1, [], { term: 4 });
  other.found(/has forgotten term 5: it starts in 4/);
});

test("two votes in one term are found", () => {
  const group = new Group();
  group.views.replica(1).voted(5, 2);
  group.views.replica(1).voted(5, 3);
  group.found(/votes for 2 and 3 in term 5/);
});

test("logs that match after an entry that differs are found", () => {
  const group = new Group();
  group.append(1, 2, 2, 2, 4);
  group.append(2, 2, 2, 3, 4);
  group.views.checkMatching();
  group.found(/logs of 1 and 2 match after entry 3, which differs/);
});

class Answers {
  readonly violations = new Violations(() => 0);
  readonly history = new History(() => 0);

  produce(batch: number, completion?: Completion): void {
    const operation = this.history.invoke({
      client: "c",
      node: "n",
      topic: "t",
      op: "produce",
      batch,
      count: 2,
    });
    if (completion !== undefined) this.history.complete(operation, completion);
  }

  judge(all: readonly RecordId[]): readonly string[] {
    checkAnswers(this, { key: "t" }, all);
    return this.violations.found;
  }
}

const WHOLE: readonly RecordId[] = [
  [1, 0],
  [1, 1],
];

test("answers that fit what is there are all right", () => {
  const answers = new Answers();
  answers.produce(1, { outcome: "ok", first: 0 });
  answers.produce(2, { outcome: "unknown" });
  answers.produce(3);
  answers.produce(4, { outcome: "none", reason: "NOT_LEADER" });
  assert.deepEqual(answers.judge([...WHOLE, [3, 0], [3, 1]]), []);
});

test("batches that are lost, elsewhere, twice, refused and there, or nobody's are found", () => {
  const wrong: [Completion | undefined, RecordId[], RegExp][] = [
    [{ outcome: "ok", first: 0 }, [], /acknowledged at 0 of t, is at undefined/],
    [{ outcome: "ok", first: 2 }, [...WHOLE], /acknowledged at 2 of t, is at 0/],
    [{ outcome: "ok", first: 0 }, [...WHOLE, ...WHOLE], /batch 1 is in t twice/],
    [{ outcome: "none", reason: "X" }, [...WHOLE], /batch 1 was refused \(X\), is at 0 of t/],
  ];
  for (const [completion, all, pattern] of wrong) {
    const answers = new Answers();
    answers.produce(1, completion);
    assert.match(answers.judge(all)[0] ?? "nothing", pattern);
  }
  assert.match(new Answers().judge(WHOLE)[0] ?? "nothing", /nobody sent batch 1 to t/);
});

test("two records that were seen at one offset are found, and damaged ones", () => {
  const violations = new Violations(() => 0);
  const seen = new SeenContent(violations);
  seen.note("t", 0, [1, 0], "one");
  seen.note("t", 0, [1, 0], "another");
  seen.note("u", 0, [2, 0], "another");
  assert.deepEqual(violations.found, []);
  seen.note("t", 0, [2, 0], "a third");
  assert.match(violations.found[0] ?? "", /a third has record 2,0 at offset 0 of t, where 1,0 was/);
  const [body = new Uint8Array(0)] = recordsOfBatch(9, 1);
  assert.deepEqual(parseRecord(body), { id: [9, 0], count: 1 });
  body[body.length - 1] = 0;
  assert.throws(() => parseRecord(body), /A damaged record/);
});
