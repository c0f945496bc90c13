import assert from "node:assert/strict";
import { test } from "node:test";
import { Throttle } from "../../src/cluster/throttle.ts";
import { Admission } from "../../src/raft/admission.ts";
import { SimClock } from "../support/sim-clock.ts";

function setUp(usedBytes: number) {
  const clock = new SimClock();
  const journal = { usedBytes };
  const limits = { bytesMax: 1e9, laneBytesMax: 1e9, waitingBytesMax: 1e9, waitingCountMax: 1e9 };
  const admission = new Admission(limits);
  const throttle = new Throttle({ journal, admission, clock, journalBytesMax: 100 });
  const lane = admission.lane();
  let started = 0;
  /** Milliseconds out of `durationMs` in which a request would have come in at once. */
  const openMs = async (durationMs: number) => {
    let open = 0;
    for (let ms = 0; ms < durationMs; ms += 1) {
      const before = started;
      const turn = lane.request(1, () => {
        started += 1;
      });
      if (started > before) open += 1;
      if (turn !== undefined) lane.withdraw(turn);
      throttle.poke();
      await clock.advance(1);
    }
    return open;
  };
  return { clock, journal, throttle, openMs };
}

test("a short journal holds nothing back", async () => {
  const { clock, openMs } = setUp(100);
  assert.equal(await openMs(100), 100);
  assert.equal(clock.timerCount, 0);
});

test("the longer the journal, the less comes in", async () => {
  let before = 1_000;
  for (const usedBytes of [110, 125, 150, 175, 190]) {
    const { openMs } = setUp(usedBytes);
    const open = await openMs(1_000);
    assert.ok(open < before && open > 0, `${open} of 1,000 ms at ${usedBytes}, ${before} before`);
    before = open;
  }
});

test("at twice the limit nothing comes in, until the journal is shorter", async () => {
  const { journal, throttle, clock, openMs } = setUp(200);
  throttle.poke();
  assert.equal(await openMs(500), 0);
  journal.usedBytes = 90;
  await clock.advance(100);
  assert.equal(await openMs(100), 100);
  assert.equal(clock.timerCount, 0);
});

test("a journal that reaches the end within a slice holds all at once", async () => {
  const { journal, throttle, clock, openMs } = setUp(101);
  throttle.poke();
  await clock.advance(5);
  journal.usedBytes = 250;
  throttle.poke();
  assert.equal(await openMs(200), 0);
});

test("just below the end something always comes in, or nobody would look again", async () => {
  const { openMs } = setUp(199.999);
  assert.ok((await openMs(1_000)) > 0);
});

test("a throttle that is closed lets all in", async () => {
  const { throttle, clock, openMs } = setUp(300);
  throttle.poke();
  throttle.close();
  assert.equal(await openMs(50), 50);
  assert.equal(clock.timerCount, 0);
});
