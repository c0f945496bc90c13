import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { TEST_CORE } from "../support/raft-core.ts";
import { settle } from "../support/sim-clock.ts";
import { settled } from "./settled.ts";
import { openSole, type SoleOptions, startSole } from "./sole-world.ts";

const FULL = new ProglogError("DISK_FULL", "Cannot append: the disk is full");
const ADD = [{ type: "add-learner", replicaId: 8 }] as const;

async function started(core: SoleOptions["core"] & {} = TEST_CORE) {
  const sole = await startSole({ core });
  /** Lets time pass while the disk works. */
  const run = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 10) {
      sole.journal.flush();
      await sole.clock.advance(10);
    }
  };
  const change = () => {
    const changed = sole.group.changeConf(ADD).then(() => "changed");
    changed.catch(() => {});
    return changed;
  };
  return { ...sole, run, change };
}

test("a group of one gets another member, with all that it had", async () => {
  const { journal, machine, group, propose, run, change } = await started();
  const [a, b] = [propose("A"), propose("b")];
  const changed = change();
  await settle();
  assert.equal(await settled(propose("C")), "NOT_LEADER none", "nothing is proposed meanwhile");
  await run(500);
  assert.equal(await settled(a), "did A");
  assert.equal(await settled(b), "NOT_LEADER none");
  assert.equal(await settled(changed), "changed");
  assert.deepEqual(group.conf.learners, [8]);
  assert.ok(group.isLeaderReady);
  const d = propose("D");
  await run(100);
  assert.equal(await settled(d), "did D");
  assert.deepEqual(journal.waiting, []);
  assert.equal(machine.applied.length, 2);
});

test("reads that come meanwhile are answered, and keep nothing from happening", async () => {
  const { group, propose, run, change } = await started();
  const a = propose("A");
  const changed = change();
  await settle();
  const read = group.readIndex().then(() => "read");
  await settle();
  await run(3000);
  assert.equal(await settled(a), "did A");
  assert.equal(await settled(changed), "changed");
  assert.equal(await settled(read), "read");
});

test("a disk that hangs meanwhile ends the attempt: the group leads on, and may try again", async () => {
  const { group, clock, propose, run, change } = await started();
  const a = propose("A");
  const changed = change();
  await clock.advance(3000);
  assert.equal(await settled(changed), "CONF_CHANGE_PENDING");
  assert.equal(group.role, "leader");
  const b = propose("B");
  await run(100);
  assert.deepEqual([await settled(a), await settled(b)], ["did A", "did B"]);
  const again = change();
  await run(500);
  assert.equal(await settled(again), "changed");
});

test("with a full disk a group of one stays as it is, makes room, and then gets its member", async () => {
  const { journal, machine, group, propose, run, change, clock } = await started();
  const a = propose("A");
  journal.refuse(FULL);
  journal.isDiskFull = true;
  assert.equal(await settled(a), "DISK_FULL");
  const changed = change();
  // Not even the reserve has room.
  await clock.advance(2000);
  assert.equal(await settled(changed), "CONF_CHANGE_PENDING");
  assert.equal(group.role, "leader");
  const trim = propose("TRIM", { makesRoom: true });
  await run(200);
  assert.equal(await settled(trim), "did TRIM");
  journal.isDiskFull = false;
  const again = change();
  await run(500);
  assert.equal(await settled(again), "changed");
  assert.deepEqual(machine.entries, ["4:TRIM"]);
});

test("two who change the members at once do not harm each other", async () => {
  const { group, run, change } = await started();
  const [one, other] = [change(), change()];
  await run(500);
  const outcomes = [await settled(one), await settled(other)];
  assert.ok(outcomes.includes("changed"), `${outcomes}`);
  assert.equal(group.role, "leader");
});

test("who stops the group meanwhile ends it", async () => {
  const { journal, group, machine, failures, propose, run, change } = await started();
  const a = propose("A");
  const changed = change();
  await settle();
  group.stop(new ProglogError("DRAINING", "The group stopped"));
  await run(2000);
  assert.equal(await settled(a), "DRAINING unknown");
  assert.notEqual(await settled(changed), "waits");
  assert.notEqual(await settled(changed), "changed");
  assert.deepEqual([machine.applied, failures, journal.waiting], [[], [], []]);
});

test("a module that cannot be had changes nothing, and is asked for again", async () => {
  let tries = 0;
  const core = async () => {
    tries += 1;
    if (tries === 1) throw new Error("no module");
    return TEST_CORE;
  };
  const { group, run, propose, change } = await started(core);
  await assert.rejects(group.changeConf(ADD), /no module/);
  assert.equal(group.role, "leader");
  const a = propose("A");
  await run(20);
  assert.equal(await settled(a), "did A");
  const again = change();
  await run(500);
  assert.equal(await settled(again), "changed");
});

for (const learners of [[], [8]]) {
  test(`a disk that fills up before a life's first entry is there does not hold up the start (${learners.length} learners)`, async () => {
    const sole = openSole({ learners, ...(learners.length > 0 ? { core: TEST_CORE } : {}) });
    const { journal, group, tick, propose, clock } = sole;
    const recovered = group.recover().then(() => "recovered");
    await settle();
    await tick();
    await tick();
    journal.isDiskFull = true;
    assert.equal(await settled(recovered), "waits");
    await tick();
    assert.equal(await settled(recovered), "recovered");
    assert.equal(await settled(propose("A")), "DISK_FULL");
    journal.isDiskFull = false;
    for (let flushes = 0; flushes < 3; flushes += 1) {
      journal.flush();
      await clock.advance(10);
    }
    assert.ok(group.isLeaderReady);
  });
}
