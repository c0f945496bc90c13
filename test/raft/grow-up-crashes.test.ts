import assert from "node:assert/strict";
import { test } from "node:test";
import { seedsFromEnv } from "../support/prng.ts";
import { DiskPair } from "./disk-pair.ts";

/** Time in which one who was cut off is back and all is done. */
const LONG_MS = 60_000;

/**
 * A group of one takes commands and gets a second voter, while the power of one of the two is cut before the disk's
 * operation of that number.
 * @returns false when there is no such operation: it was all done before
 */
async function grow(seed: number, crashed: 0 | 1, step: number): Promise<boolean> {
  const pair = new DiskPair(seed);
  const [first, second] = pair.members;
  const victim = pair.members[crashed];
  const acknowledged: string[] = [];
  let next = 1;
  const propose = (): void => {
    const text = `${next % 3 === 0 ? "C" : "c"}${next}`;
    next += 1;
    first.group?.propose(text, { bytes: text.length }).then(
      () => acknowledged.push(text),
      () => {},
    );
  };
  const isWhole = () => first.group?.conf.voters.length === 2;
  const change = (): void => {
    const type = first.group?.conf.learners.length === 0 ? "add-learner" : "add-voter";
    const changing = isWhole() ? undefined : first.group?.changeConf([{ type, replicaId: 2 }]);
    changing?.catch(() => {});
  };
  victim.crashAt(step);
  for (const member of pair.members) void member.start();
  let wasCrashed = false;
  for (let ms = 0; ms < LONG_MS && (ms < 60 || !isWhole()); ms += 5) {
    for (let count = 0; count < 3; count += 1) propose();
    if (ms % 20 === 15) change();
    await pair.clock.advance(5);
    if (!victim.fs.isStopped) continue;
    wasCrashed = true;
    void victim.restart();
    await pair.clock.advance(200);
  }
  victim.fs.onStep(undefined);
  const isSettled = () => {
    const isLed = pair.members.some(({ group }) => group?.isLeaderReady);
    return isLed && first.machine.index === second.machine.index;
  };
  for (let ms = 0; ms < LONG_MS && (ms < 500 || !isSettled()); ms += 100) {
    await pair.clock.advance(100);
  }
  const what = `SEED=${seed}, node ${victim.id} cut off at step ${step}`;
  assert.ok(isWhole(), `${what}: the second voter was never added`);
  assert.ok(acknowledged.length > 0, what);
  for (const { machine, failures, id } of pair.members) {
    assert.deepEqual(failures, [], `${what}: node ${id}`);
    for (const text of acknowledged) assert.ok(machine.applied.includes(text), `${what}: ${text}`);
    assert.equal(new Set(machine.applied).size, machine.applied.length, what);
  }
  assert.deepEqual(first.machine.applied, second.machine.applied, what);
  for (const { node, fs } of pair.members) {
    node?.stop();
    fs.crash();
  }
  return wasCrashed;
}

for (const seed of seedsFromEnv(1)) {
  for (const crashed of [0, 1] as const) {
    test(`a group of one becomes one of two, whenever node ${crashed + 1} is cut off (SEED=${seed})`, async () => {
      let steps = 1;
      while (await grow(seed, crashed, steps)) steps += 1;
      assert.ok(steps > 20, `only ${steps} steps`);
    });
  }
}
