import assert from "node:assert/strict";
import { test } from "node:test";
import { type Completion, History, type Invocation, type Operation } from "./history.ts";
import { checkLinearizable, withoutGo } from "./porcupine.ts";

const skip = withoutGo();

/** Writes a history by hand, one topic unless it is said. */
class Script {
  readonly #history = new History(() => 0);

  get lines(): readonly string[] {
    return this.#history.lines();
  }

  begin(invocation: Pick<Invocation, "op"> & Partial<Invocation>): Operation {
    return this.#history.invoke({ client: "c", node: "n", topic: "t", ...invocation });
  }

  end(operation: Operation, completion: Partial<Completion>): void {
    this.#history.complete(operation, { outcome: "ok", ...completion });
  }

  /** Begins and ends it with nothing in between. */
  do(
    invocation: Pick<Invocation, "op"> & Partial<Invocation>,
    completion: Partial<Completion>,
  ): void {
    this.end(this.begin(invocation), completion);
  }

  produce(batch: number, first: number, count = 1): void {
    this.do({ op: "produce", batch, count }, { first });
  }

  final(all: [number, number][], start = 0): void {
    this.#history.final({ topic: "t", start, next: all.length, all });
  }
}

function good(title: string, write: (script: Script) => void): void {
  test(`is in order: ${title}`, { skip }, () => {
    const script = new Script();
    write(script);
    const { verdict, text } = checkLinearizable(script.lines, 10);
    assert.equal(verdict, "ok", text);
  });
}

function bad(title: string, write: (script: Script) => void): void {
  test(`is found: ${title}`, { skip }, () => {
    const script = new Script();
    write(script);
    const { verdict, text } = checkLinearizable(script.lines, 10);
    assert.equal(verdict, "violation", text);
    assert.match(text, /^violation in t: .*no place for:\n {2}line/);
  });
}

good("nothing at all", () => {});

good("one thing after the other", (script) => {
  script.produce(1, 0, 2);
  script.produce(2, 2);
  script.do({ op: "end" }, { start: 0, next: 3 });
  script.do({ op: "trim", before: 1 }, { start: 1 });
  script.do(
    { op: "read" },
    {
      from: 1,
      start: 1,
      next: 3,
      records: [
        [1, 1],
        [2, 0],
      ],
    },
  );
  script.do({ op: "resend", batch: 2, count: 1 }, { first: 2 });
  script.do({ op: "end" }, { start: 1, next: 3 });
  script.final(
    [
      [1, 0],
      [1, 1],
      [2, 0],
    ],
    1,
  );
});

good("operations at once, in either order", (script) => {
  const [one, two] = [1, 2].map((batch) => script.begin({ op: "produce", batch, count: 1 }));
  const end = script.begin({ op: "end" });
  assert.ok(one !== undefined && two !== undefined);
  script.end(two, { first: 0 });
  script.end(end, { start: 0, next: 1 });
  script.end(one, { first: 1 });
});

good("what has no answer happened late", (script) => {
  script.begin({ op: "produce", batch: 1, count: 1 });
  script.do({ op: "end" }, { start: 0, next: 0 });
  script.produce(2, 0);
  script.do({ op: "end" }, { start: 0, next: 2 });
  script.produce(3, 2);
});

good("what has no answer never happened", (script) => {
  const one = script.begin({ op: "produce", batch: 1, count: 1 });
  script.end(one, { outcome: "unknown" });
  script.produce(2, 0);
  script.final([[2, 0]]);
});

good("refusals that were right", (script) => {
  script.produce(1, 0);
  const refused = { outcome: "none", reason: "OFFSET_MISMATCH" } as const;
  script.do({ op: "produce", batch: 2, count: 1, expected: 0 }, refused);
  script.do({ op: "produce", batch: 3, count: 1, expected: 1 }, { first: 1 });
  script.do({ op: "trim", before: 3 }, { outcome: "none", reason: "OFFSET_OUT_OF_RANGE" });
  script.do({ op: "produce", batch: 4, count: 1 }, { outcome: "none", reason: "NOT_LEADER" });
});

good("many without an answer, told by the final content", (script) => {
  const records: [number, number][] = [];
  for (let batch = 1; batch <= 60; batch += 1) {
    script.begin({ op: "produce", batch, count: 1 });
    if (batch % 3 === 0) records.push([batch, 0]);
  }
  script.produce(100, 20);
  script.final([...records, [100, 0]]);
});

bad("an acknowledged batch is lost", (script) => {
  script.produce(1, 0);
  script.do({ op: "end" }, { start: 0, next: 0 });
});

bad("an acknowledged batch is not in the final content", (script) => {
  script.produce(1, 0);
  script.produce(2, 1);
  script.final([[1, 0]]);
});

bad("a read that missed what was acknowledged before it", (script) => {
  script.produce(1, 0);
  const two = script.begin({ op: "produce", batch: 2, count: 1 });
  script.end(two, { first: 1 });
  script.do({ op: "read" }, { from: 0, start: 0, next: 1, records: [[1, 0]] });
  script.produce(3, 2);
});

bad("an end that goes back", (script) => {
  const one = script.begin({ op: "produce", batch: 1, count: 1 });
  script.do({ op: "end" }, { start: 0, next: 1 });
  script.do({ op: "end" }, { start: 0, next: 0 });
  script.end(one, { first: 0 });
});

bad("two batches at one offset", (script) => {
  script.produce(1, 0);
  script.produce(2, 0);
});

bad("a gap", (script) => {
  script.produce(1, 0);
  script.produce(2, 2);
});

bad("a batch that was read where another one was acknowledged", (script) => {
  script.produce(1, 0);
  script.do({ op: "read" }, { from: 0, start: 0, next: 1, records: [[2, 0]] });
});

bad("records of a batch in the wrong order", (script) => {
  script.produce(1, 0, 2);
  script.final([
    [1, 1],
    [1, 0],
  ]);
});

bad("a batch that was refused and is there", (script) => {
  script.do(
    { op: "produce", batch: 1, count: 1 },
    { outcome: "none", reason: "DEADLINE_EXCEEDED" },
  );
  script.final([[1, 0]]);
});

bad("a batch that is there twice", (script) => {
  script.produce(1, 0);
  script.final([
    [1, 0],
    [1, 0],
  ]);
});

bad("a batch let in though its condition did not hold", (script) => {
  script.produce(1, 0);
  script.do({ op: "produce", batch: 2, count: 1, expected: 0 }, { first: 1 });
});

bad("a batch refused though its condition held", (script) => {
  script.produce(1, 0);
  const refused = { outcome: "none", reason: "OFFSET_MISMATCH" } as const;
  script.do({ op: "produce", batch: 2, count: 1, expected: 1 }, refused);
});

bad("a retry that was appended again", (script) => {
  script.produce(1, 0);
  script.do({ op: "resend", batch: 1, count: 1 }, { first: 1 });
});

bad("records that a trim removed and that came back", (script) => {
  script.produce(1, 0);
  script.do({ op: "trim", before: 1 }, { start: 1 });
  script.do({ op: "end" }, { start: 0, next: 1 });
});

bad("a trim beyond the end", (script) => {
  script.do({ op: "trim", before: 1 }, { start: 1 });
});

bad("a batch without an answer that was seen before it was sent", (script) => {
  script.do({ op: "end" }, { start: 0, next: 1 });
  script.begin({ op: "produce", batch: 1, count: 1 });
});

test("topics are judged by themselves, and all that went wrong is named", { skip }, () => {
  const script = new Script();
  script.do({ op: "end", topic: "a" }, { start: 0, next: 1 });
  script.do({ op: "end", topic: "b" }, { start: 0, next: 0 });
  script.do({ op: "end", topic: "c" }, { start: 0, next: 1 });
  const { verdict, text } = checkLinearizable(script.lines, 10);
  assert.equal(verdict, "violation");
  assert.match(text, /violation in a:[\s\S]*violation in c:/);
  assert.doesNotMatch(text, /violation in b/);
});

test("a history that cannot be read is a failure", { skip }, () => {
  for (const line of ["{", '{"event":"return","id":1}', '{"event":"what"}']) {
    assert.throws(() => checkLinearizable([line], 10), /ended with 2: unreadable: line 1/);
  }
});

test("a check that takes too long says so", { skip }, () => {
  const script = new Script();
  const begun = Array.from({ length: 40 }, (_, at) => {
    return script.begin({ op: "trim", before: 41 - at });
  });
  script.do({ op: "end" }, { start: 1, next: 0 });
  for (const operation of begun) script.end(operation, { outcome: "unknown" });
  script.final([]);
  assert.equal(checkLinearizable(script.lines, 1).verdict, "time limit");
});
