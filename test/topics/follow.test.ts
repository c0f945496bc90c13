import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { Followers } from "../../src/topics/follow.ts";
import { settle } from "../support/sim-clock.ts";
import { recordsBeyond } from "../support/topic-reads.ts";

test("who waits beyond an offset is woken when it is passed, not before", async () => {
  const followers = new Followers(5);
  const woken: string[] = [];
  for (const offset of [4, 5, 7]) {
    void recordsBeyond(followers, offset).then(() => woken.push(`${offset}`));
  }
  await settle();
  assert.deepEqual(woken, ["4"]);
  followers.advance(7);
  await settle();
  assert.deepEqual(woken, ["4", "5"]);
  followers.advance(8);
  await settle();
  assert.deepEqual(woken, ["4", "5", "7"]);
  assert.equal(followers.count, 0);
});

test("a run of entries wakes once, with all of it there", async () => {
  const followers = new Followers(0);
  let next = 0;
  const seen: number[] = [];
  void recordsBeyond(followers, 0).then(() => seen.push(next));
  for (next = 1; next < 10; next += 1) followers.advance(next);
  assert.equal(followers.count, 1, "woken in the middle of the run");
  await settle();
  assert.deepEqual(seen, [10]);
});

test("who gives up is told nothing, before records come and after", async () => {
  const followers = new Followers(0);
  const told = () => assert.fail("told after it gave up");
  const giveUp = followers.follow(0, { wake: told, fail: told });
  assert.equal(followers.count, 1);
  giveUp();
  assert.equal(followers.count, 0);
  followers.advance(1);
  await settle();
  giveUp();
});

test("closing rejects those who wait and those who come later", async () => {
  const followers = new Followers(0);
  const waiting = recordsBeyond(followers, 0);
  followers.close(new ProglogError("TOPIC_NOT_FOUND", "Cannot read: the topic is gone"));
  await assert.rejects(waiting, /is gone/);
  await assert.rejects(recordsBeyond(followers, 0), /is gone/);
  assert.equal(followers.count, 0);
});
