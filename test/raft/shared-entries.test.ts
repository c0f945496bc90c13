import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { MIB } from "../../src/base/units.ts";
import { FakeCall } from "../support/fake-call.ts";
import { settled, setUp } from "./host.ts";

// Commands in capitals may share an entry, see host.ts.

const FULL = new ProglogError("DISK_FULL", "Cannot append: the disk is full");

test("commands that come before the journal asks for them share an entry, each with its own outcome", async () => {
  const { journal, host, propose } = await setUp();
  const calls = ["A", "B", "C"].map((text) => propose(text));
  assert.equal(journal.waiting.length, 0, "an entry was made before the journal asked for it");
  journal.flush();
  assert.deepEqual(await Promise.all(calls), ["did A", "did B", "did C"]);
  const later = propose("D");
  journal.flush();
  assert.equal(await later, "did D");
  assert.deepEqual(host.applied, ["2:A+B+C", "3:D"]);
});

test("what comes while an entry is on its way is in the next one", async () => {
  const { journal, host, propose } = await setUp();
  const first = propose("A");
  journal.fill();
  const [second, third] = [propose("B"), propose("C")];
  journal.flush();
  assert.deepEqual(await Promise.all([first, second, third]), ["did A", "did B", "did C"]);
  assert.deepEqual(host.applied, ["2:A", "3:B+C"]);
});

test("a command that shares no entry keeps its place among those that do", async () => {
  const { journal, host, propose } = await setUp();
  const calls = ["A", "B", "trim", "C", "open", "D"].map((text) => propose(text));
  journal.flush();
  await Promise.all(calls);
  assert.deepEqual(host.applied, ["2:A+B", "3:trim", "4:C", "5:open", "6:D"]);
});

test("a command that is given up before its entry is made is not in it, and lets others in", async () => {
  const { journal, host, propose } = await setUp({ laneBytesMax: 4 });
  const [given, kept] = [new FakeCall(), new FakeCall()];
  const a = propose("AA", { caller: given });
  const b = propose("BB", { caller: kept });
  const waiting = propose("CC");
  given.abort();
  assert.equal(await settled(a), "CANCELED none");
  journal.fill();
  kept.abort();
  assert.equal(await settled(b), "CANCELED unknown");
  journal.flush();
  journal.flush();
  assert.equal(await settled(waiting), "did CC");
  assert.deepEqual(host.applied, ["2:BB", "3:CC"]);
});

test("when all of an entry's commands are given up there is no entry", async () => {
  const { journal, host, voter, propose } = await setUp();
  const given = new FakeCall();
  const a = propose("A", { caller: given });
  given.abort();
  const drained = voter.drain().then(() => "drained");
  assert.equal(await settled(a), "CANCELED none");
  journal.flush();
  assert.equal(await settled(drained), "drained");
  assert.deepEqual(host.applied, []);
});

test("a disk that fills up before the entry is made refuses its commands, and leaves no gap", async () => {
  const { journal, host, propose } = await setUp();
  const calls = [propose("A"), propose("B")];
  journal.isDiskFull = true;
  const trim = propose("trim", { makesRoom: true });
  assert.deepEqual(await Promise.all(calls.map(settled)), ["DISK_FULL", "DISK_FULL"]);
  assert.equal(journal.waiting.length, 1);
  assert.equal(journal.waiting[0]?.entry.index, 2);
  assert.equal(journal.waiting[0]?.isUrgent, true);
  journal.flush();
  assert.equal(await settled(trim), "did trim");
  assert.deepEqual(host.applied, ["2:trim"]);
});

test("an entry that the journal refuses refuses all its commands, and its index is given again", async () => {
  const { journal, host, propose } = await setUp();
  const first = propose("A");
  journal.fill();
  const [b, c] = [propose("B"), propose("C")];
  journal.flush(1);
  journal.refuse(FULL);
  assert.deepEqual(
    [await settled(first), await settled(b), await settled(c)],
    ["did A", "DISK_FULL", "DISK_FULL"],
  );
  const d = propose("D");
  journal.flush();
  assert.equal(await settled(d), "did D");
  assert.deepEqual(host.applied, ["2:A", "3:D"]);
});

test("while some of the refused are not back, what was gathered is refused, too", async () => {
  const { journal, host, propose } = await setUp();
  const [a, b] = [propose("a"), propose("b")];
  const gathered = propose("C");
  const [first, second] = journal.waiting.splice(0);
  first?.done(FULL);
  journal.fill();
  assert.equal(await settled(gathered), "DISK_FULL");
  second?.done(FULL);
  assert.deepEqual([await settled(a), await settled(b)], ["DISK_FULL", "DISK_FULL"]);
  assert.deepEqual(host.applied, []);
});

test("after a stop those that are gathered learn that nothing happened, those in an entry that it may have", async () => {
  const { journal, host, voter, propose } = await setUp();
  const [a, b] = [propose("A"), propose("B")];
  journal.fill();
  const c = propose("C");
  voter.stop(new ProglogError("DISK_FAILED", "The disk failed"));
  assert.deepEqual(
    [await settled(a), await settled(b), await settled(c)],
    ["DISK_FAILED unknown", "DISK_FAILED unknown", "DISK_FAILED"],
  );
  journal.flush();
  assert.deepEqual(host.applied, []);
});

test("draining waits for what is gathered", async () => {
  const { journal, voter, propose } = await setUp();
  const a = propose("A");
  const drained = voter.drain().then(() => "drained");
  assert.equal(await settled(drained), "waits");
  assert.equal(await settled(propose("B")), "DRAINING");
  journal.flush();
  assert.deepEqual([await settled(a), await settled(drained)], ["did A", "drained"]);
});

test("an entry takes so many bytes of commands and no more, but any single one", async () => {
  const { journal, host, voter } = await setUp({ laneBytesMax: 10 * MIB });
  const sizes = [MIB / 2, MIB / 2, 1, 3 * MIB, 1];
  const calls = sizes.map((bytes, at) => voter.propose("ABCDE".charAt(at), { bytes }));
  journal.flush();
  await Promise.all(calls);
  assert.deepEqual(host.applied, ["2:A+B", "3:C", "4:D", "5:E"]);
});

test("an outcome too few stops the group: nobody is told what is another's", async () => {
  const { journal, host, propose } = await setUp();
  host.apply = () => ["did A"];
  const calls = [propose("A"), propose("B")];
  journal.flush();
  assert.deepEqual(await Promise.all(calls.map(settled)), ["waits", "waits"]);
  assert.match(String(host.failures[0]), /1 outcomes/);
});
