import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { essenceOf } from "./support/answers.ts";
import { changes, cuts, mutate, split } from "./support/mutations.ts";
import { runs } from "./support/runs.ts";
import { SCRIPTS } from "./support/scripts.ts";
import { ask, LEAVINGS, talk } from "./support/talk.ts";
import { Target } from "./support/target.ts";

/** Clients at once. */
const CLIENTS_MAX = 12;

/** Shorter ones are a refusal. */
const MEANINGFUL_ANSWER_LENGTH = 20;

const client = fc
  .record({
    script: fc.constantFrom(...SCRIPTS),
    changes: changes(6),
    cuts,
    leaving: fc.constantFrom(...LEAVINGS),
    isDeaf: fc.boolean(),
  })
  .map(({ script, changes, cuts, leaving, isDeaf }) => ({
    name: script.name,
    pieces: split(mutate(script.bytes, changes), cuts),
    leaving,
    isDeaf,
  }));

// Goal: no client can break the server for the others. Method: clients say what real ones
// say, damaged, in odd packets, and leave in the middle; then nothing is left of them, and
// a good client is served.
for (const lean of [true, false]) {
  test(`damaged conversations harm nobody (${lean ? "lean path" : "library"})`, async (t) => {
    const target = await Target.start(t, { lean });
    await fc.assert(
      fc.asyncProperty(
        fc.array(client, { minLength: 1, maxLength: CLIENTS_MAX }),
        async (clients) => {
          await Promise.all(clients.map(({ pieces, ...how }) => talk(target.port, pieces, how)));
          await target.settled();
          await target.assertWell();
        },
      ),
      runs(100),
    );
  });
}

// Goal: nothing hangs on how the network cuts what clients send. Method: cut at every
// byte, and compare with the answer to the whole.
for (const { name, bytes } of SCRIPTS.filter(({ isAnswered }) => isAnswered)) {
  test(`the answer is the same wherever the bytes are cut: ${name}`, async (t) => {
    const target = await Target.start(t);
    await target.assertWell(); // which produces something to consume
    const whole = await ask(target.port, [bytes], essenceOf);
    assert.ok(whole !== undefined && whole.length > MEANINGFUL_ANSWER_LENGTH, whole);
    for (let from = 1; from < bytes.length; from += CLIENTS_MAX) {
      const places = Array.from({ length: CLIENTS_MAX }, (_, index) => from + index);
      const answers = await Promise.all(
        places.map((at) =>
          ask(target.port, [bytes.subarray(0, at), bytes.subarray(at)], essenceOf),
        ),
      );
      for (const [index, answer] of answers.entries()) {
        assert.equal(answer, whole, `cut at byte ${from + index}`);
      }
    }
    await target.settled();
    await target.assertWell();
  });
}
