import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { Reads } from "../../src/raft/reads.ts";
import { FakeCall } from "../support/fake-call.ts";
import { settle } from "../support/sim-clock.ts";
import { settled } from "./settled.ts";

function setUp() {
  const asked: Uint8Array[] = [];
  const time = { tick: 0 };
  const reads = new Reads({
    ...{ replicaId: 3, firstContext: 1_000_000, retryTicks: 5, silentTicks: 4, ticksMax: 20 },
    tick: () => time.tick,
    ask: (context) => asked.push(context),
  });
  const pass = (ticks: number) => {
    for (let at = 0; at < ticks; at += 1) {
      time.tick += 1;
      reads.tick();
    }
  };
  const wait = (call?: FakeCall) => {
    const promise = reads.wait(call);
    promise.catch(() => {});
    return promise;
  };
  return { reads, asked, pass, wait };
}

test("readers of one turn share a question, later ones have the next one", async () => {
  const { reads, asked, wait } = setUp();
  const [first, second] = [wait(), wait()];
  await settle();
  assert.equal(asked.length, 1);
  const late = wait();
  await settle();
  assert.equal(asked.length, 1, "the present one may be answered already");
  reads.confirmed(7, asked[0] as Uint8Array);
  await settle();
  assert.equal(asked.length, 2);
  assert.notDeepEqual(asked[0], asked[1]);
  reads.applied(6);
  assert.equal(await settled(first), "waits");
  reads.applied(7);
  assert.equal(await settled(first), "undefined");
  assert.equal(await settled(second), "undefined");
  assert.equal(await settled(late), "waits");
  reads.confirmed(7, asked[1] as Uint8Array);
  reads.applied(7);
  assert.equal(await settled(late), "undefined");
  assert.ok(reads.isIdle);
});

test("what was not answered is asked again, and an answer to the old question is none", async () => {
  const { reads, asked, pass, wait } = setUp();
  const read = wait();
  await settle();
  pass(5);
  assert.equal(asked.length, 2);
  reads.confirmed(9, asked[0] as Uint8Array);
  reads.applied(9);
  assert.equal(await settled(read), "waits");
  reads.confirmed(9, asked[1] as Uint8Array);
  reads.applied(9);
  assert.equal(await settled(read), "undefined");
});

test("nobody waits for ever for a confirmation", async () => {
  const { reads, pass, wait } = setUp();
  const read = wait();
  await settle();
  pass(20);
  assert.equal(await settled(read), "waits");
  pass(6);
  assert.equal(await settled(read), "NO_QUORUM");
  assert.ok(reads.isIdle);
});

test("who gives up is told why, and is not asked for", async () => {
  const { asked, wait } = setUp();
  const call = new FakeCall();
  const read = wait(call);
  call.abort(new ProglogError("CANCELED", "gone"));
  assert.equal(await settled(read), "CANCELED");
  assert.equal(asked.length, 0);
  assert.equal(await settled(wait(call)), "CANCELED");
});

test("whose deadline comes is told when that is for want of a leader", async () => {
  const { reads, asked, pass, wait } = setUp();
  const late = new ProglogError("DEADLINE_EXCEEDED", "Too late");
  const [short, long, confirmed] = [new FakeCall(), new FakeCall(), new FakeCall()];
  const unanswered = wait(long);
  pass(3);
  const early = wait(short);
  pass(1);
  short.abort(late);
  long.abort(late);
  assert.equal(await settled(early), "DEADLINE_EXCEEDED", "it is too early to say");
  assert.equal(await settled(unanswered), "NO_QUORUM");
  const slow = wait(confirmed);
  pass(10);
  reads.confirmed(7, asked.at(-1) as Uint8Array);
  confirmed.abort(late);
  assert.equal(await settled(slow), "DEADLINE_EXCEEDED", "only the disk here is slow");
});

test("when it stops all are told, wherever they are", async () => {
  const { reads, asked, wait } = setUp();
  const confirmed = wait();
  await settle();
  reads.confirmed(9, asked[0] as Uint8Array);
  const under = wait();
  await settle();
  const gathered = wait();
  reads.stop(new ProglogError("DRAINING", "stopped"));
  for (const read of [confirmed, under, gathered]) assert.equal(await settled(read), "DRAINING");
  assert.ok(reads.isIdle);
});
