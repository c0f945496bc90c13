import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { Followers, waitBeyond } from "../../src/topics/follow.ts";
import { settle } from "../support/sim-clock.ts";

const never = new AbortController().signal;

function wait(followers: Followers, offset: number, signal = never): Promise<void> {
  return waitBeyond((follower) => followers.follow(offset, follower), signal);
}

test("who waits beyond an offset is woken when it is passed, not before", async () => {
  const followers = new Followers(5);
  const woken: string[] = [];
  for (const offset of [4, 5, 7]) {
    void wait(followers, offset).then(() => woken.push(`${offset}`));
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
  void wait(followers, 0, never).then(() => seen.push(next));
  for (next = 1; next < 10; next += 1) followers.advance(next);
  assert.equal(followers.count, 1, "woken in the middle of the run");
  await settle();
  assert.deepEqual(seen, [10]);
});

test("giving up rejects with the signal's reason, and leaves nothing behind", async () => {
  const followers = new Followers(0);
  const controller = new AbortController();
  const waiting = wait(followers, 0, controller.signal);
  assert.equal(followers.count, 1);
  controller.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  assert.equal(followers.count, 0);
  await assert.rejects(wait(followers, 0, controller.signal), /enough/);
  followers.advance(1);
  await settle();
});

test("closing rejects those who wait and those who come later", async () => {
  const followers = new Followers(0);
  const waiting = wait(followers, 0, never);
  followers.close(new ProglogError("TOPIC_NOT_FOUND", "Cannot read: the topic is gone"));
  await assert.rejects(waiting, /is gone/);
  await assert.rejects(wait(followers, 0, never), /is gone/);
  assert.equal(followers.count, 0);
});
