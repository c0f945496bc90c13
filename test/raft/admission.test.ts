import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { Admission, type AdmissionLane } from "../../src/raft/admission.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";

const LIMITS = { bytesMax: 100, laneBytesMax: 40, waitingBytesMax: 60, waitingCountMax: 5 };

test("within the limits a turn comes at once", () => {
  const lane = new Admission(LIMITS).lane();
  let started = 0;
  const start = () => {
    started += 1;
  };
  assert.equal(lane.request(20, start), undefined);
  assert.equal(lane.request(20, start), undefined);
  assert.equal(started, 2);
  assert.equal(lane.inFlightBytes, 40);
});

test("beyond a lane's limit turns wait, in order, also small ones behind a large one", () => {
  const lane = new Admission(LIMITS).lane();
  const started: string[] = [];
  lane.request(40, () => started.push("first"));
  lane.request(30, () => started.push("large"));
  lane.request(1, () => started.push("small"));
  assert.deepEqual(started, ["first"]);
  lane.leave(40);
  assert.deepEqual(started, ["first", "large", "small"]);
});

test("what is larger than a limit gets its turn alone", () => {
  const lane = new Admission(LIMITS).lane();
  const started: number[] = [];
  lane.request(1, () => started.push(1));
  lane.request(1_000, () => started.push(1_000));
  assert.deepEqual(started, [1]);
  lane.leave(1);
  assert.deepEqual(started, [1, 1_000]);
  lane.request(1, () => started.push(2));
  assert.deepEqual(started, [1, 1_000]);
  lane.leave(1_000);
  assert.deepEqual(started, [1, 1_000, 2]);
});

test("beyond the limits of waiting one is refused with what waits", () => {
  const lane = new Admission(LIMITS).lane();
  lane.request(40, () => {});
  lane.request(50, () => {});
  assert.throws(
    () => lane.request(11, () => {}),
    (error) => hasReason(error, "RATE_LIMITED") && error.metadata["waitingBytes"] === "50",
  );
  for (let count = 1; count < LIMITS.waitingCountMax; count += 1) lane.request(1, () => {});
  assert.throws(
    () => lane.request(1, () => {}),
    (error) => hasReason(error, "RATE_LIMITED"),
  );
});

test("nobody overtakes a lane that waits for the common limit", () => {
  const admission = new Admission(LIMITS);
  const [a, b, c, d] = [admission.lane(), admission.lane(), admission.lane(), admission.lane()];
  const started: string[] = [];
  for (const lane of [a, b]) lane.request(40, () => {});
  c.request(30, () => started.push("c"));
  d.request(5, () => started.push("d"));
  assert.deepEqual(started, []);
  a.leave(40);
  assert.deepEqual(started, ["c", "d"]);
});

test("a turn that is withdrawn never comes, and those behind it move up", () => {
  const lane = new Admission(LIMITS).lane();
  const started: string[] = [];
  lane.request(40, () => {});
  const turn = lane.request(30, () => started.push("withdrawn"));
  lane.request(20, () => started.push("next"));
  assert.ok(turn !== undefined);
  lane.withdraw(turn);
  lane.withdraw(turn);
  lane.leave(40);
  assert.deepEqual(started, ["next"]);
});

test("while it is held all wait, and then come in order", () => {
  const admission = new Admission(LIMITS);
  const lane = admission.lane();
  const started: number[] = [];
  lane.request(1, () => started.push(1));
  admission.isHeld = true;
  lane.request(1, () => started.push(2));
  lane.leave(1);
  lane.request(1, () => started.push(3));
  assert.deepEqual(started, [1]);
  admission.isHeld = false;
  assert.deepEqual(started, [1, 2, 3]);
});

test("thousands who leave as soon as they are started need no deep stack", () => {
  const admission = new Admission({ ...LIMITS, waitingCountMax: 100_000, waitingBytesMax: 1e9 });
  const lane = admission.lane();
  let started = 0;
  lane.request(40, () => {});
  for (let count = 0; count < 15_000; count += 1) {
    lane.request(40, () => {
      started += 1;
      lane.leave(40);
    });
  }
  lane.leave(40);
  assert.equal(started, 15_000);
  assert.equal(admission.inFlightBytes, 0);
});

// Goal: limits hold and nobody is forgotten. Method: random requests, leaves and withdrawals on some lanes.
for (const seed of seedsFromEnv(50)) {
  test(`limits hold, lanes are in order, and all get their turn (seed ${seed})`, () => {
    const random = makeRandom(seed);
    const admission = new Admission({ ...LIMITS, waitingCountMax: 1_000, waitingBytesMax: 1e6 });
    const lanes = [admission.lane(), admission.lane(), admission.lane()];
    const started: { lane: AdmissionLane; bytes: number }[] = [];
    const asked = new Map<AdmissionLane, number[]>(lanes.map((lane) => [lane, []]));
    let number = 0;
    for (let step = 0; step < 400; step += 1) {
      const lane = lanes[integerFrom(random, 0, 2)] as AdmissionLane;
      if (random() < 0.5) {
        const bytes = integerFrom(random, 1, 60);
        number += 1;
        const mine = number;
        asked.get(lane)?.push(mine);
        const turn = lane.request(bytes, () => {
          assert.equal(asked.get(lane)?.shift(), mine, "out of order within a lane");
          started.push({ lane, bytes });
        });
        if (turn !== undefined && random() < 0.2) {
          lane.withdraw(turn);
          asked.get(lane)?.splice(asked.get(lane)?.indexOf(mine) ?? 0, 1);
        }
      } else {
        const [done] = started.splice(integerFrom(random, 0, Math.max(0, started.length - 1)), 1);
        done?.lane.leave(done.bytes);
      }
      const sum = (of: typeof started) => of.reduce((total, { bytes }) => total + bytes, 0);
      assert.equal(admission.inFlightBytes, sum(started));
      if (started.length > 1) assert.ok(sum(started) <= LIMITS.bytesMax);
      for (const each of lanes) {
        const mine = started.filter((one) => one.lane === each);
        if (mine.length > 1) assert.ok(sum(mine) <= LIMITS.laneBytesMax);
      }
    }
    for (let done = started.pop(); done !== undefined; done = started.pop()) {
      done.lane.leave(done.bytes);
    }
    assert.equal(admission.waitingCount, 0, "somebody waits for ever");
    assert.equal(admission.inFlightBytes, 0);
  });
}
