import assert from "node:assert/strict";
import { test } from "node:test";
import type { TopicCommand } from "../../src/topics/commands.ts";
import { ForgottenState } from "../../src/topics/forgotten.ts";
import { PRODUCERS_MAX } from "../../src/topics/producers.ts";
import { TopicState } from "../../src/topics/topic-state.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";

const NO_CONDITIONS = {
  expectedNextOffset: undefined,
  producer: undefined,
  fencingToken: undefined,
};

function append(conditions: object): TopicCommand {
  return { kind: "append", clockUs: 5, recordCount: 1, ...NO_CONDITIONS, ...conditions };
}

test("appends with conditions of forgotten state are told, the others are not", () => {
  const of = (id: string, epoch: number) => append({ producer: { id, epoch, sequence: 0 } });
  const forgotten = new ForgottenState(10);
  const decided = (command: TopicCommand) => forgotten.decided(command);
  assert.equal(decided(append({ fencingToken: 0 })), "fencing token");
  assert.equal(decided(of("p", 10)), "producers");
  assert.equal(decided(of("p", 11)), undefined);
  assert.equal(decided({ kind: "open", clockUs: 5, producerId: "p" }), undefined);
  assert.equal(decided(of("p", 10)), undefined, "it is fenced by its own later epoch");
  assert.equal(decided(of("q", 10)), "producers");
  assert.equal(decided(append({})), undefined);
  assert.equal(decided(append({ expectedNextOffset: 7 })), undefined);
  assert.equal(decided({ kind: "trim", clockUs: 5, beforeOffset: 3 }), undefined);
});

// Goal: what is not told comes out the same with and without the forgotten state, also when the table of
// producers is full of forgotten ones. Method: one state with a full table and a token, one without, and the same
// random commands for both, more producers than the table holds.
for (const seed of seedsFromEnv(3)) {
  test(`commands that are not told come out the same without the forgotten state (seed ${seed})`, () => {
    const random = makeRandom(seed);
    const whole = TopicState.empty({});
    let index = 2;
    for (let old = 0; old < PRODUCERS_MAX; old += 1) {
      whole.apply({ kind: "open", clockUs: 5, producerId: `${old}` }, index);
      index += 1;
    }
    whole.apply(append({ fencingToken: 9 }), index);
    const { settings, startOffset, nextOffset, lastAppendTimeUs } = whole;
    const rebuilt = new TopicState({ settings, startOffset, nextOffset, lastAppendTimeUs });
    const forgotten = new ForgottenState(index);
    const epochs = new Map<string, number[]>();
    let told = 0;
    const evicted = { count: 0 };
    for (let left = 20_000; left > 0; left -= 1) {
      index += 1;
      const id = `${integerFrom(random, 0, PRODUCERS_MAX + 1_000)}`;
      const known = epochs.get(id) ?? [];
      const epoch = known[integerFrom(random, 0, known.length)] ?? integerFrom(random, 2, 30_000);
      const producer = { id, epoch, sequence: integerFrom(random, 0, 1) };
      const expectedNextOffset = random() < 0.2 ? whole.nextOffset : undefined;
      const isOpen = random() < 0.6;
      const command: TopicCommand = isOpen
        ? { kind: "open", clockUs: 5, producerId: id }
        : append({ producer, expectedNextOffset });
      // One that is told ends it: here it is left out instead.
      if (forgotten.decided(command) !== undefined) {
        told += 1;
        continue;
      }
      const outcome = whole.apply(command, index);
      const again = rebuilt.apply(command, index);
      assert.deepEqual(again, outcome);
      if (isOpen) epochs.set(id, [...known, index]);
      else if (outcome.kind === "refused" && known.at(-1) === epoch) {
        if (outcome.reason === "PRODUCER_UNKNOWN") evicted.count += 1;
      }
    }
    assert.ok(told > 0 && evicted.count > 0, `${told} told, ${evicted.count} evicted`);
  });
}
