import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason, ProglogError } from "../../src/base/errors.ts";
import { FakeCall } from "../support/fake-call.ts";
import { settle } from "../support/sim-clock.ts";
import { FakeJournal } from "./fake-journal.ts";
import { settled, setUp } from "./host.ts";

const FULL = new ProglogError("DISK_FULL", "Cannot append: the disk is full");

test("nothing is applied or acknowledged before it is journalled, then all in order", async () => {
  const { journal, host, propose } = await setUp();
  const calls = ["a", "b", "c"].map((text) => propose(text));
  assert.equal(await settled(calls[0] as Promise<string>), "waits");
  assert.deepEqual(host.applied, []);
  assert.equal(journal.waiting.length, 3, "all wait for one flush");
  journal.flush(2);
  assert.equal(await settled(calls[1] as Promise<string>), "did b");
  assert.equal(await settled(calls[2] as Promise<string>), "waits");
  journal.flush();
  assert.equal(await settled(calls[2] as Promise<string>), "did c");
  assert.deepEqual(host.applied, ["2:a", "3:b", "4:c"]);
});

test("what the journal has is applied before anything else, from the applied index on", async () => {
  const journal = new FakeJournal();
  for (const [at, text] of ["a", "b", "c"].entries()) {
    const payload = new TextEncoder().encode(text);
    journal.stored.push({ index: at + 2, term: 1, kind: 0, payload });
  }
  const { voter, host, propose } = await setUp({ journal, lastIndex: 4, appliedIndex: 2 });
  assert.equal(await settled(propose("early")), "DISK_FULL");
  await voter.recover();
  assert.deepEqual(host.applied, ["3:b", "4:c"]);
  const call = propose("d");
  journal.flush();
  assert.equal(await settled(call), "did d");
  assert.deepEqual(host.applied, ["3:b", "4:c", "5:d"]);
});

test("an entry that is missing or of an unknown kind stops recovery", async () => {
  const entry = (index: number, kind = 0) => ({ index, term: 1, kind, payload: new Uint8Array() });
  for (const stored of [[entry(2), entry(4)], [entry(2)], [entry(2), entry(3, 9), entry(4)]]) {
    const journal = new FakeJournal();
    journal.stored.push(...stored);
    const { voter } = await setUp({ journal, lastIndex: 4 });
    await assert.rejects(voter.recover(), (error) => hasReason(error, "JOURNAL_CORRUPT"));
    assert.ok(voter.isRecovering);
  }
});

test("a full journal refuses before anything is journalled, and indexes stay dense", async () => {
  const { journal, host, propose } = await setUp();
  const [a, b, c] = [propose("a"), propose("b"), propose("c")];
  journal.flush(1);
  journal.refuse(FULL);
  assert.deepEqual(
    [await settled(a), await settled(b), await settled(c)],
    ["did a", "DISK_FULL", "DISK_FULL"],
  );
  journal.isDiskFull = true;
  assert.equal(await settled(propose("d")), "DISK_FULL");
  assert.equal(journal.waiting.length, 0, "a refused proposal was journalled");
  const trim = propose("trim", { makesRoom: true });
  journal.flush();
  assert.equal(await settled(trim), "did trim");
  journal.isDiskFull = false;
  const e = propose("e");
  journal.flush();
  assert.equal(await settled(e), "did e");
  assert.deepEqual(host.applied, ["2:a", "3:trim", "4:e"]);
});

test("while some of the refused are not back, nothing takes their place", async () => {
  const { journal, propose } = await setUp();
  const [a, b] = [propose("a"), propose("b")];
  const [first, second] = journal.waiting.splice(0);
  first?.done(FULL);
  assert.equal(await settled(propose("too early")), "DISK_FULL");
  second?.done(FULL);
  assert.deepEqual([await settled(a), await settled(b)], ["DISK_FULL", "DISK_FULL"]);
  const c = propose("c");
  assert.equal(journal.waiting[0]?.entry.index, 2);
  journal.flush();
  assert.equal(await settled(c), "did c");
});

test("what makes room is not kept by the journal when entries before it are refused", async () => {
  const { journal, host, propose } = await setUp();
  const [a, trim] = [propose("a"), propose("trim", { makesRoom: true })];
  journal.refuse(FULL);
  assert.deepEqual([await settled(a), await settled(trim)], ["DISK_FULL", "DISK_FULL"]);
  const again = propose("trim", { makesRoom: true });
  journal.flush();
  assert.equal(await settled(again), "did trim");
  assert.deepEqual(host.applied, ["2:trim"]);
});

test("recovery pauses while the host has no room, and goes on by itself", async () => {
  const journal = new FakeJournal();
  journal.stored.push({ index: 2, term: 1, kind: 0, payload: new TextEncoder().encode("a") });
  const { voter, host } = await setUp({ journal, lastIndex: 2 });
  host.room = Promise.withResolvers();
  const recovered = voter.recover().then(() => "recovered");
  assert.equal(await settled(recovered), "waits");
  const { room } = host;
  host.room = undefined;
  room.resolve();
  assert.equal(await settled(recovered), "recovered");
  assert.deepEqual(host.applied, ["2:a"]);
});

test("bytes stay in flight until the host has written them, but are acknowledged before", async () => {
  const { journal, host, propose } = await setUp({ laneBytesMax: 2 });
  host.slow = Promise.withResolvers();
  const [a, b, c] = [propose("a"), propose("b"), propose("c")];
  journal.flush();
  assert.deepEqual([await settled(a), await settled(b)], ["did a", "did b"]);
  assert.equal(journal.waiting.length, 0, "c came in although a and b are still in memory");
  host.slow.resolve();
  host.slow = undefined;
  await settle();
  journal.flush();
  assert.equal(await settled(c), "did c");
});

test("a host without space refuses appends, not what makes room", async () => {
  const { journal, host, propose } = await setUp();
  host.isDiskFull = true;
  assert.equal(await settled(propose("a")), "DISK_FULL");
  const trim = propose("trim", { makesRoom: true });
  assert.equal(journal.waiting[0]?.isUrgent, true);
  journal.flush();
  assert.equal(await settled(trim), "did trim");
});

test("giving up while waiting withdraws, giving up later only stops watching", async () => {
  const { journal, host, propose } = await setUp({ laneBytesMax: 4 });
  const [early, late] = [new FakeCall(), new FakeCall()];
  const a = propose("aaaa", { caller: late });
  const b = propose("bbbb", { caller: early });
  const c = propose("cccc");
  early.abort();
  late.abort(new ProglogError("DEADLINE_EXCEEDED", "Too late"));
  assert.equal(await settled(b), "CANCELED none");
  assert.equal(await settled(a), "DEADLINE_EXCEEDED unknown");
  assert.equal(await settled(propose("d", { caller: early })), "CANCELED none");
  journal.flush();
  await settle();
  journal.flush();
  assert.equal(await settled(c), "did cccc");
  assert.deepEqual(host.applied, ["2:aaaa", "3:cccc"]);
});

test("a command is encoded when its turn has come, with the clock of then, not before", async () => {
  const { journal, host, propose } = await setUp({ laneBytesMax: 1 });
  void propose("a");
  const waiting = propose("b");
  assert.equal(host.encodedCount, 1);
  journal.flush();
  await settle();
  assert.equal(host.encodedCount, 2);
  journal.flush();
  await waiting;
});

test("draining lets those in who have asked, refuses others, and ends when all is settled", async () => {
  const { journal, voter, propose } = await setUp({ laneBytesMax: 1 });
  const [a, b] = [propose("a"), propose("b")];
  const drained = voter.drain().then(() => "drained");
  assert.equal(await settled(propose("c")), "DRAINING");
  journal.flush();
  assert.equal(await settled(drained), "waits");
  journal.flush();
  assert.deepEqual(
    [await settled(drained), await settled(a), await settled(b)],
    ["drained", "did a", "did b"],
  );
});

test("after a stop nothing is applied or acknowledged, and each learns what may have happened", async () => {
  const { journal, host, voter, propose } = await setUp({ laneBytesMax: 1 });
  const [a, b] = [propose("a"), propose("b")];
  voter.stop(new ProglogError("DISK_FAILED", "The disk failed"));
  assert.equal(await settled(a), "DISK_FAILED unknown");
  assert.equal(await settled(b), "DISK_FAILED");
  journal.flush();
  assert.deepEqual(host.applied, []);
  assert.equal(await settled(propose("c")), "DISK_FAILED");
  assert.equal(await settled(voter.drain().then(() => "drained")), "drained");
});

test("a host that throws stops the group: the owner is told, nothing behind is applied", async () => {
  const { journal, host, voter, propose } = await setUp();
  host.poison = "b";
  const [a, b, c] = [propose("a"), propose("b"), propose("c")];
  journal.flush();
  assert.equal(await settled(a), "did a");
  assert.deepEqual([await settled(b), await settled(c)], ["waits", "waits"]);
  assert.match(String(host.failures[0]), /cannot apply b/);
  assert.equal(host.failures.length, 1);
  voter.stop(new ProglogError("INTERNAL", "The group stopped"));
  assert.deepEqual([await settled(b), await settled(c)], ["INTERNAL unknown", "INTERNAL unknown"]);
  assert.deepEqual(host.applied, ["2:a"]);
});

test("too many who wait are refused at once", async () => {
  const { propose } = await setUp({ laneBytesMax: 1 });
  void propose("a");
  for (let count = 0; count < 3; count += 1) void propose("b");
  assert.equal(await settled(propose("c")), "RATE_LIMITED");
});
