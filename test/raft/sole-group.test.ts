import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason, ProglogError } from "../../src/base/errors.ts";
import { FakeCall } from "../support/fake-call.ts";
import { settle } from "../support/sim-clock.ts";
import { settled } from "./settled.ts";
import { openSole, startSole } from "./sole-world.ts";

const FULL = new ProglogError("DISK_FULL", "Cannot append: the disk is full");

function entry(index: number, text = "", kind = 0) {
  return { index, term: 1, kind, payload: new TextEncoder().encode(text) };
}

test("nothing is applied or acknowledged before it is journalled, then all in order", async () => {
  const { journal, machine, propose } = await startSole();
  const calls = ["A", "B", "C"].map((text) => propose(text));
  assert.equal(await settled(calls[0] as Promise<string>), "waits");
  assert.deepEqual(machine.entries, []);
  assert.equal(journal.waiting.length, 3, "all wait for one flush");
  journal.flush(2);
  assert.equal(await settled(calls[1] as Promise<string>), "did B");
  assert.equal(await settled(calls[2] as Promise<string>), "waits");
  journal.flush();
  assert.equal(await settled(calls[2] as Promise<string>), "did C");
  assert.deepEqual(machine.entries, ["3:A", "4:B", "5:C"]);
});

test("vote, term and the first entry of a term are one write, which nothing overtakes", async () => {
  const { journal, group, propose } = openSole();
  const recovered = group.recover().then(() => "recovered");
  await settle();
  const [first, ...others] = journal.waiting;
  assert.deepEqual(others, []);
  assert.deepEqual(first?.write.hardState, { term: 2, vote: 7, commit: 1 });
  assert.equal(first?.write.entries.length, 1);
  assert.ok(first?.write.mustSync);
  assert.equal(group.isLeaderReady, false);
  assert.equal(await settled(propose("EARLY")), "DISK_FULL");
  journal.flush();
  assert.equal(await settled(recovered), "recovered");
  assert.ok(group.isLeaderReady);
});

test("what the journal has is applied before anything else, from the applied index on", async () => {
  const stored = [entry(2, "A"), entry(3, "B"), entry(4, "C")];
  const sole = openSole({ stored, appliedIndex: 2 });
  assert.equal(await settled(sole.propose("EARLY")), "DISK_FULL");
  await sole.recover();
  assert.deepEqual(sole.machine.entries, ["3:B", "4:C"]);
  const call = sole.propose("D");
  sole.journal.flush();
  assert.equal(await settled(call), "did D");
  assert.deepEqual(sole.machine.entries, ["3:B", "4:C", "6:D"]);
});

test("an entry that is missing or of an unknown kind stops recovery", async () => {
  const cases = [
    { stored: [entry(2), entry(4)], commit: 3 },
    { stored: [entry(2)], commit: 4 },
    { stored: [entry(2), entry(3, "", 9), entry(4)], commit: 1 },
  ];
  for (const { stored, commit } of cases) {
    const { group, recover } = openSole({ stored, commit });
    await assert.rejects(recover(), (error) => hasReason(error, "JOURNAL_CORRUPT"));
    assert.ok(group.isRecovering);
  }
});

test("a machine that throws in recovery stops recovery", async () => {
  const { machine, group, failures, recover } = openSole({ stored: [entry(2, "A")] });
  machine.poison = "A";
  await assert.rejects(recover(), /cannot apply A/);
  assert.match(String(failures[0]), /cannot apply A/);
  assert.ok(group.isRecovering);
});

test("a full journal refuses before anything is journalled, and leaves no gap", async () => {
  const { journal, machine, propose, tick } = await startSole();
  const [a, b, c] = [propose("A"), propose("B"), propose("C")];
  journal.flush(1);
  journal.refuse(FULL);
  assert.deepEqual(
    [await settled(a), await settled(b), await settled(c)],
    ["did A", "DISK_FULL", "DISK_FULL"],
  );
  journal.isDiskFull = true;
  assert.equal(await settled(propose("D")), "DISK_FULL");
  assert.equal(journal.waiting.length, 0, "a refused proposal was journalled");
  const trim = propose("TRIM", { makesRoom: true });
  await tick();
  assert.ok(journal.waiting.every(({ isUrgent }) => isUrgent));
  journal.flush();
  assert.equal(await settled(trim), "did TRIM");
  journal.isDiskFull = false;
  const e = propose("E");
  journal.flush();
  assert.equal(await settled(e), "did E");
  assert.deepEqual(machine.entries, ["3:A", "6:TRIM", "7:E"]);
});

test("while some of the refused are not back, nothing takes their place", async () => {
  const { journal, machine, propose, tick } = await startSole();
  const [a, b] = [propose("A"), propose("B")];
  const [first, second] = journal.waiting.splice(0);
  first?.done(FULL);
  assert.equal(await settled(propose("TOO EARLY")), "DISK_FULL");
  second?.done(FULL);
  assert.deepEqual([await settled(a), await settled(b)], ["DISK_FULL", "DISK_FULL"]);
  assert.equal(journal.waiting.length, 0);
  await tick();
  const c = propose("C");
  journal.flush();
  assert.equal(await settled(c), "did C");
  assert.deepEqual(machine.entries, ["5:C"]);
});

test("what makes room waits behind entries before it that are refused, and is journalled", async () => {
  const { journal, machine, propose, tick } = await startSole();
  const [a, trim] = [propose("A"), propose("TRIM", { makesRoom: true })];
  journal.refuse(FULL);
  journal.isDiskFull = true;
  assert.deepEqual([await settled(a), await settled(trim)], ["DISK_FULL", "waits"]);
  await tick();
  journal.flush();
  assert.equal(await settled(trim), "did TRIM");
  assert.deepEqual(machine.entries, ["4:TRIM"]);
});

test("recovery pauses while the machine has no room, and goes on by itself", async () => {
  const { journal, machine, recover } = openSole({ stored: [entry(2, "A")] });
  machine.hasRoom = false;
  const recovered = recover().then(() => "recovered");
  assert.equal(await settled(recovered), "waits");
  machine.hasRoom = true;
  await settle();
  assert.deepEqual(machine.entries, ["2:A"]);
  journal.flush();
  assert.equal(await settled(recovered), "recovered");
});

test("bytes stay in flight until the machine has written them, but are acknowledged before", async () => {
  const { journal, machine, propose } = await startSole({ laneBytesMax: 2 });
  machine.slow = Promise.withResolvers();
  const [a, b, c] = [propose("A"), propose("B"), propose("C")];
  journal.flush();
  assert.deepEqual([await settled(a), await settled(b)], ["did A", "did B"]);
  assert.equal(journal.waiting.length, 0, "C came in although A and B are still in memory");
  machine.slow.resolve();
  machine.slow = undefined;
  await settle();
  journal.flush();
  assert.equal(await settled(c), "did C");
});

test("a machine without space refuses appends, not what makes room", async () => {
  const { journal, machine, propose } = await startSole();
  machine.isDiskFull = true;
  assert.equal(await settled(propose("A")), "DISK_FULL");
  const trim = propose("TRIM", { makesRoom: true });
  assert.equal(journal.waiting[0]?.isUrgent, true);
  journal.flush();
  assert.equal(await settled(trim), "did TRIM");
});

test("giving up while waiting withdraws, giving up later only stops watching", async () => {
  const { journal, machine, propose } = await startSole({ laneBytesMax: 4 });
  const [early, late] = [new FakeCall(), new FakeCall()];
  const a = propose("AAAA", { caller: late });
  const b = propose("BBBB", { caller: early });
  const c = propose("CCCC");
  early.abort();
  late.abort(new ProglogError("DEADLINE_EXCEEDED", "Too late"));
  assert.equal(await settled(b), "CANCELED none");
  assert.equal(await settled(a), "DEADLINE_EXCEEDED unknown");
  assert.equal(await settled(propose("D", { caller: early })), "CANCELED none");
  journal.flush();
  await settle();
  journal.flush();
  assert.equal(await settled(c), "did CCCC");
  assert.deepEqual(machine.entries, ["3:AAAA", "4:CCCC"]);
});

test("a command is encoded when its turn has come, with the clock of then, not before", async () => {
  const { journal, machine, propose } = await startSole({ laneBytesMax: 1 });
  void propose("A");
  const waiting = propose("B");
  assert.equal(machine.encodedCount, 1);
  journal.flush();
  await settle();
  assert.equal(machine.encodedCount, 2);
  journal.flush();
  await waiting;
});

test("draining lets those in who have asked, refuses others, and ends when all is settled", async () => {
  const { journal, group, propose } = await startSole({ laneBytesMax: 1 });
  const [a, b] = [propose("A"), propose("B")];
  const drained = group.drain().then(() => "drained");
  assert.equal(await settled(propose("C")), "DRAINING");
  journal.flush();
  assert.equal(await settled(drained), "waits");
  journal.flush();
  assert.deepEqual(
    [await settled(drained), await settled(a), await settled(b)],
    ["drained", "did A", "did B"],
  );
});

test("after a stop nothing is applied or acknowledged, and each learns what may have happened", async () => {
  const { journal, machine, group, propose } = await startSole({ laneBytesMax: 1 });
  const [a, b] = [propose("A"), propose("B")];
  group.stop(new ProglogError("DISK_FAILED", "The disk failed"));
  assert.equal(await settled(a), "DISK_FAILED unknown");
  assert.equal(await settled(b), "DISK_FAILED");
  journal.flush();
  assert.deepEqual(machine.entries, []);
  assert.equal(await settled(propose("C")), "DISK_FAILED");
  assert.equal(await settled(group.drain().then(() => "drained")), "drained");
});

test("a machine that throws stops the group: the owner is told, nothing behind is applied", async () => {
  const { journal, machine, group, failures, propose } = await startSole();
  machine.poison = "B";
  const [a, b, c] = [propose("A"), propose("B"), propose("C")];
  journal.flush();
  assert.equal(await settled(a), "did A");
  assert.deepEqual([await settled(b), await settled(c)], ["waits", "waits"]);
  assert.match(String(failures[0]), /cannot apply B/);
  assert.equal(failures.length, 1);
  group.stop(new ProglogError("INTERNAL", "The group stopped"));
  assert.deepEqual([await settled(b), await settled(c)], ["INTERNAL unknown", "INTERNAL unknown"]);
  assert.deepEqual(machine.entries, ["3:A"]);
});

test("too many who wait are refused at once", async () => {
  const { propose } = await startSole({ laneBytesMax: 1 });
  void propose("A");
  for (let count = 0; count < 3; count += 1) void propose("B");
  assert.equal(await settled(propose("C")), "RATE_LIMITED");
});
