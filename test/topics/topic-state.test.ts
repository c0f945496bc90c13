import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MalformedBytesError } from "../../src/base/bytes.ts";
import type { TopicCommand } from "../../src/topics/commands.ts";
import { IN_FLIGHT_MAX, PRODUCERS_MAX } from "../../src/topics/producers.ts";
import { TopicState } from "../../src/topics/topic-state.ts";
import { runGolden } from "../support/golden.ts";
import { TopicTwin } from "./topic-twin.ts";

/** A step whose numbers are near what the topic holds when its turn comes. */
interface Step {
  readonly kind: "append" | "open" | "trim";
  readonly clockUs: number;
  readonly id: string | undefined;
  readonly epochBack: number;
  readonly sequenceShift: number;
  readonly expectedShift: number | undefined;
  readonly token: number | undefined;
  readonly recordCount: number;
  /** Skipped Raft indexes: entries of other kinds. */
  readonly gap: number;
}

function mostly<T>(usual: T, others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    { weight: 40, arbitrary: fc.constant("append" as const) },
    { weight: 1, arbitrary: fc.constant("open" as const) },
    { weight: 2, arbitrary: fc.constant("trim" as const) },
  ),
  clockUs: fc.nat({ max: 50 }),
  id: fc.constantFrom("a", "a", "a", "b", undefined),
  epochBack: mostly(0, [1, -1]),
  sequenceShift: mostly(0, [-1, -2, -31, -32, -33, -40, 1]),
  expectedShift: mostly(undefined, [0, 0, -1, 1]),
  token: mostly(undefined, [1, 2, 3]),
  recordCount: fc.integer({ min: 1, max: 3 }),
  gap: fc.nat({ max: 1 }),
});

/** Enough of them that a producer outruns the answers that are remembered. */
const manySteps = fc.array(step, { minLength: 50, maxLength: 250, size: "max" });

function commandOf(step: Step, twin: TopicTwin): TopicCommand {
  const { clockUs } = step;
  switch (step.kind) {
    case "open":
      return { kind: "open", clockUs, producerId: step.id ?? "c" };
    case "trim":
      return { kind: "trim", clockUs, beforeOffset: Math.max(0, twin.next + step.sequenceShift) };
    case "append": {
      const opened = twin.opens.filter((open) => open.id === step.id);
      const epoch = opened.at(-1 - step.epochBack)?.epoch ?? 1_000_000;
      const sequence = twin.ofProducer(step.id ?? "", epoch).length + step.sequenceShift;
      const expected =
        step.expectedShift === undefined ? undefined : twin.next + step.expectedShift;
      return {
        kind: "append",
        clockUs,
        expectedNextOffset: expected === undefined ? undefined : Math.max(0, expected),
        producer:
          step.id === undefined
            ? undefined
            : { id: step.id, epoch, sequence: Math.max(0, sequence) },
        fencingToken: step.token,
        recordCount: step.recordCount,
      };
    }
  }
}

// Goal: the state machine gives the answers that the history of a topic gives. Method: random
// commands whose conditions nearly hold, and a twin that looks everything up in the history.
test("a topic's state answers as its history does, and refuses for the first reason that counts", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(manySteps, (steps) => {
      const state = TopicState.empty({});
      const twin = new TopicTwin();
      let raftIndex = 1;
      for (const next of steps) {
        raftIndex += 1 + next.gap;
        const command = commandOf(next, twin);
        const reason = command.kind === "append" ? twin.reason(command) : "OFFSET_OUT_OF_RANGE";
        const wanted = twin.apply(command, raftIndex);
        const before = state.encode();
        const got = state.apply(command, raftIndex);
        if (wanted === "refused") {
          assert.equal(got.kind === "refused" ? got.reason : got.kind, reason);
          assert.deepEqual(state.encode(), before, "a refused command changed the state");
          seen.add(reason ?? "");
        } else {
          assert.deepEqual(got, wanted);
          if (wanted.kind === "appended" && wanted.duplicate) {
            assert.deepEqual(state.encode(), before, "a retry changed the state");
            seen.add("retry");
          }
        }
        assert.equal(state.nextOffset, twin.next);
        assert.equal(state.startOffset, twin.start);
      }
    }),
    { numRuns: 100, seed: 7 },
  );
  const all = ["SEQUENCE_TOO_OLD", "FENCED", "PRODUCER_UNKNOWN", "PRODUCER_FENCED"];
  all.push("SEQUENCE_GAP", "OFFSET_MISMATCH", "OFFSET_OUT_OF_RANGE", "retry");
  for (const reason of all) assert.ok(seen.has(reason), `the commands never led to ${reason}`);
});

// Goal: replicas agree, whenever they last restarted. Method: one state applies everything, the other is taken
// through its snapshot before every command; both must give the same bytes all along.
test("the same commands make the same snapshot bytes, also through a snapshot", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const state = TopicState.empty({ retentionBytes: 5 });
      let other = TopicState.decode(state.encode());
      const twin = new TopicTwin();
      for (const [at, next] of steps.entries()) {
        const command = commandOf(next, twin);
        twin.apply(command, at + 2);
        other = TopicState.decode(other.encode());
        assert.deepEqual(other.apply(command, at + 2), state.apply(command, at + 2));
        assert.deepEqual(other.encode(), state.encode());
      }
    }),
    { numRuns: 100 },
  );
});

test("a snapshot that is cut, longer, or of an unknown version is malformed", () => {
  const state = TopicState.empty({ maxRecordBytes: 2048 });
  state.apply({ kind: "open", clockUs: 1, producerId: "p" }, 2);
  state.apply(append({ id: "p", epoch: 2, sequence: 0 }, 5), 3);
  const bytes = state.encode();
  for (let cut = 0; cut < bytes.length; cut += 1) {
    assert.throws(() => TopicState.decode(bytes.subarray(0, cut)), MalformedBytesError);
  }
  assert.throws(() => TopicState.decode(Uint8Array.of(...bytes, 0)), /too many/);
  assert.throws(() => TopicState.decode(Uint8Array.of(2, ...bytes.subarray(1))), /version 2/);
});

test("the producer idle for longest is forgotten for one more, refused, and opened again with a new epoch", () => {
  const state = TopicState.empty({});
  let index = 1;
  const open = (producerId: string) => {
    index += 1;
    state.apply({ kind: "open", clockUs: 0, producerId }, index);
    return index;
  };
  const send = (id: string, epoch: number, sequence: number) => {
    index += 1;
    const outcome = state.apply(append({ id, epoch, sequence }), index);
    return outcome.kind === "refused" ? outcome.reason : outcome.kind;
  };
  const epochs = Array.from({ length: PRODUCERS_MAX }, (_, at) => open(`p${at}`));
  assert.equal(send("p0", epochs[0] ?? 0, 0), "appended");
  open("one-more");
  assert.equal(state.producerCount, PRODUCERS_MAX);
  // p0 was opened first but used last, so p1 had to go; its retries are refused, not taken for new.
  assert.equal(send("p1", epochs[1] ?? 0, 0), "PRODUCER_UNKNOWN");
  assert.equal(send("p0", epochs[0] ?? 0, 1), "appended");
  const restored = TopicState.decode(state.encode());
  restored.apply({ kind: "open", clockUs: 0, producerId: "two-more" }, index + 1);
  const afterRestore = restored.apply(
    append({ id: "p2", epoch: epochs[2] ?? 0, sequence: 0 }),
    1e6,
  );
  assert.equal(afterRestore.kind, "refused", "a snapshot kept another order of idleness");
  const again = open("p1");
  assert.ok(again > (epochs[1] ?? 0));
  assert.equal(send("p1", epochs[1] ?? 0, 0), "PRODUCER_FENCED");
  assert.equal(send("p1", again, 0), "appended");
});

test("so many answers are remembered as may be in flight, and no more", () => {
  const state = TopicState.empty({});
  state.apply({ kind: "open", clockUs: 0, producerId: "p" }, 2);
  for (let sequence = 0; sequence <= IN_FLIGHT_MAX; sequence += 1) {
    state.apply(append({ id: "p", epoch: 2, sequence }), 3 + sequence);
  }
  const first = state.apply(append({ id: "p", epoch: 2, sequence: 0 }), 100);
  const second = state.apply(append({ id: "p", epoch: 2, sequence: 1 }), 101);
  assert.equal(first.kind === "refused" && first.reason, "SEQUENCE_TOO_OLD");
  assert.equal(second.kind === "appended" && second.firstOffset, 1);
});

test("outcomes and state are those of the golden file", async () => {
  let state = TopicState.empty({});
  await runGolden(new URL("testdata/topic-state.txt", import.meta.url), {
    new: (input) => {
      state = TopicState.empty(JSON.parse(input === "" ? "{}" : input));
      return "ok";
    },
    apply: (input) =>
      input
        .trimEnd()
        .split("\n")
        .map((line) => applyLine(state, line))
        .join("\n"),
    snapshot: () => {
      const bytes = state.encode();
      assert.deepEqual(TopicState.decode(bytes).encode(), bytes);
      return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    },
  });
});

/** `INDEX KIND key=value ...`, such as `5 append clock=9 producer=p/2/0 expect=3 token=1 records=2`. */
function applyLine(state: TopicState, line: string): string {
  const [index, kind, ...pairs] = line.split(" ");
  const values = new Map(pairs.map((pair) => pair.split("=") as [string, string]));
  const numberOf = (key: string) => (values.has(key) ? Number(values.get(key)) : undefined);
  const clockUs = numberOf("clock") ?? 0;
  const outcome = state.apply(commandFrom(), Number(index));
  const { kind: what, ...rest } = outcome;
  return `${what} ${JSON.stringify(rest)}`;

  function commandFrom(): TopicCommand {
    if (kind === "open") return { kind, clockUs, producerId: values.get("id") ?? "" };
    if (kind === "trim") return { kind, clockUs, beforeOffset: numberOf("before") ?? 0 };
    if (kind === "settings") {
      const changes = JSON.parse(values.get("set") ?? "{}");
      return { kind, clockUs, changes, cleared: JSON.parse(values.get("clear") ?? "[]") };
    }
    assert.equal(kind, "append");
    const [id = "", epoch, sequence] = values.get("producer")?.split("/") ?? [];
    return {
      kind: "append",
      clockUs,
      expectedNextOffset: numberOf("expect"),
      fencingToken: numberOf("token"),
      producer: values.has("producer")
        ? { id, epoch: Number(epoch), sequence: Number(sequence) }
        : undefined,
      recordCount: numberOf("records") ?? 1,
    };
  }
}

function append(
  producer: { id: string; epoch: number; sequence: number },
  fencingToken?: number,
): TopicCommand {
  return {
    kind: "append",
    clockUs: 0,
    expectedNextOffset: undefined,
    producer,
    fencingToken,
    recordCount: 1,
  };
}
