import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { MIB } from "../../src/base/units.ts";
import { FakeCall } from "../support/fake-call.ts";
import { settled } from "./settled.ts";
import { startSole } from "./sole-world.ts";

// Commands in capitals share no entry, see recorder.ts.

const FULL = new ProglogError("DISK_FULL", "Cannot append: the disk is full");

test("commands that come before the journal asks for them share an entry, each with its own outcome", async () => {
  const { journal, machine, propose } = await startSole();
  const calls = ["a", "b", "c"].map((text) => propose(text));
  assert.equal(journal.waiting.length, 0, "an entry was made before the journal asked for it");
  journal.flush();
  assert.deepEqual(await Promise.all(calls), ["did a", "did b", "did c"]);
  const later = propose("d");
  journal.flush();
  assert.equal(await later, "did d");
  assert.deepEqual(machine.entries, ["3:a+b+c", "4:d"]);
});

test("what comes while an entry is on its way is in the next one", async () => {
  const { journal, machine, propose } = await startSole();
  const first = propose("a");
  journal.fill();
  const [second, third] = [propose("b"), propose("c")];
  journal.flush();
  assert.deepEqual(await Promise.all([first, second, third]), ["did a", "did b", "did c"]);
  assert.deepEqual(machine.entries, ["3:a", "4:b+c"]);
});

test("a command that shares no entry keeps its place among those that do", async () => {
  const { journal, machine, propose } = await startSole();
  const calls = ["a", "b", "TRIM", "c", "OPEN", "d"].map((text) => propose(text));
  journal.flush();
  await Promise.all(calls);
  assert.deepEqual(machine.entries, ["3:a+b", "4:TRIM", "5:c", "6:OPEN", "7:d"]);
});

test("a command that is given up before its entry is made is not in it, and lets others in", async () => {
  const { journal, machine, propose } = await startSole({ laneBytesMax: 4 });
  const [given, kept] = [new FakeCall(), new FakeCall()];
  const a = propose("aa", { caller: given });
  const b = propose("bb", { caller: kept });
  const waiting = propose("cc");
  given.abort();
  assert.equal(await settled(a), "CANCELED none");
  journal.fill();
  kept.abort();
  assert.equal(await settled(b), "CANCELED unknown");
  journal.flush();
  journal.flush();
  assert.equal(await settled(waiting), "did cc");
  assert.deepEqual(machine.entries, ["3:bb", "4:cc"]);
});

test("when all of an entry's commands are given up there is no entry", async () => {
  const { journal, machine, group, propose } = await startSole();
  const given = new FakeCall();
  const a = propose("a", { caller: given });
  given.abort();
  const drained = group.drain().then(() => "drained");
  assert.equal(await settled(a), "CANCELED none");
  journal.flush();
  assert.equal(await settled(drained), "drained");
  assert.deepEqual(machine.entries, []);
});

test("a disk that fills up before the entry is made refuses its commands, and leaves no gap", async () => {
  const { journal, machine, propose } = await startSole();
  const calls = [propose("a"), propose("b")];
  journal.isDiskFull = true;
  const trim = propose("TRIM", { makesRoom: true });
  assert.deepEqual(await Promise.all(calls.map(settled)), ["DISK_FULL", "DISK_FULL"]);
  assert.equal(journal.waiting.length, 1);
  assert.equal(journal.waiting[0]?.write.entries[0]?.index, 3);
  assert.equal(journal.waiting[0]?.isUrgent, true);
  journal.flush();
  assert.equal(await settled(trim), "did TRIM");
  assert.deepEqual(machine.entries, ["3:TRIM"]);
});

test("an entry that the journal refuses refuses all its commands, and becomes one without any", async () => {
  const { journal, machine, propose, tick } = await startSole();
  const first = propose("a");
  journal.fill();
  const [b, c] = [propose("b"), propose("c")];
  journal.flush(1);
  journal.refuse(FULL);
  assert.deepEqual(
    [await settled(first), await settled(b), await settled(c)],
    ["did a", "DISK_FULL", "DISK_FULL"],
  );
  await tick();
  const d = propose("d");
  journal.flush();
  assert.equal(await settled(d), "did d");
  assert.deepEqual(machine.entries, ["3:a", "5:d"]);
});

test("while some of the refused are not back, what was gathered is refused, too", async () => {
  const { journal, machine, propose } = await startSole();
  const [a, b] = [propose("A"), propose("B")];
  const gathered = propose("c");
  const [first, second] = journal.waiting.splice(0);
  first?.done(FULL);
  journal.fill();
  assert.equal(await settled(gathered), "DISK_FULL");
  second?.done(FULL);
  assert.deepEqual([await settled(a), await settled(b)], ["DISK_FULL", "DISK_FULL"]);
  assert.deepEqual(machine.entries, []);
});

test("after a stop those that are gathered learn that nothing happened, those in an entry that it may have", async () => {
  const { journal, machine, group, propose } = await startSole();
  const [a, b] = [propose("a"), propose("b")];
  journal.fill();
  const c = propose("c");
  group.stop(new ProglogError("DISK_FAILED", "The disk failed"));
  assert.deepEqual(
    [await settled(a), await settled(b), await settled(c)],
    ["DISK_FAILED unknown", "DISK_FAILED unknown", "DISK_FAILED"],
  );
  journal.flush();
  assert.deepEqual(machine.entries, []);
});

test("draining waits for what is gathered", async () => {
  const { journal, group, propose } = await startSole();
  const a = propose("a");
  const drained = group.drain().then(() => "drained");
  assert.equal(await settled(drained), "waits");
  assert.equal(await settled(propose("b")), "DRAINING");
  journal.flush();
  assert.deepEqual([await settled(a), await settled(drained)], ["did a", "drained"]);
});

test("an entry takes so many bytes of commands and no more, but any single one", async () => {
  const { journal, machine, group } = await startSole({ laneBytesMax: 10 * MIB });
  const sizes = [MIB / 2, MIB / 2, 1, 3 * MIB, 1];
  const calls = sizes.map((bytes, at) => group.propose("abcde".charAt(at), { bytes }));
  journal.flush();
  await Promise.all(calls);
  assert.deepEqual(machine.entries, ["3:a+b", "4:c", "5:d", "6:e"]);
});

test("an outcome too few stops the group: nobody is told what is another's", async () => {
  const { journal, machine, failures, propose } = await startSole();
  machine.apply = () => ["did a"];
  const calls = [propose("a"), propose("b")];
  journal.flush();
  assert.deepEqual(await Promise.all(calls.map(settled)), ["waits", "waits"]);
  assert.match(String(failures[0]), /1 outcomes/);
});
