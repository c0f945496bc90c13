import assert from "node:assert/strict";
import { test } from "node:test";
import { ProglogError } from "../../src/base/errors.ts";
import { follow } from "../../src/rpc/follow.ts";
import { measureConsumed } from "../../src/rpc/hot/consumed-wire.ts";
import type { MeasuredRun, Portion } from "../../src/rpc/read-topic.ts";
import { FakeCall } from "../support/fake-call.ts";
import type { FakeTopic } from "../support/fake-topic.ts";
import { FakeTopics } from "../support/fake-topics.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { bodies } from "./api.ts";

const HEARTBEAT_MS = 10_000;

function offsetsOf({ run, measure }: MeasuredRun): number[] {
  return [...run.offsets.subarray(0, measure.count)];
}

/** A stream on a clock that the test moves. */
class Following {
  readonly clock = new SimClock();
  readonly topic: FakeTopic = new FakeTopics().topic("default");
  readonly call = new FakeCall();
  readonly draining = new AbortController();
  stream: AsyncGenerator<Portion> = this.open(0);

  open(offset: number, endOffset?: number): AsyncGenerator<Portion> {
    this.stream = follow(this.topic, {
      offset,
      limits: { recordsMax: 10_000, bytesMax: 1_000_000, measure: measureConsumed, endOffset },
      firstMs: 0,
      silenceMs: HEARTBEAT_MS,
      sharesTail: false,
      clock: this.clock,
      call: this.call,
      draining: this.draining.signal,
    });
    return this.stream;
  }

  /** Asks for the next message; `due` is set when it has come. */
  next(): { due: string | undefined } {
    const state: { due: string | undefined } = { due: undefined };
    this.stream.next().then(
      (found) => {
        if (found.done === true) state.due = "end";
        else state.due = `[${found.value.runs.flatMap(offsetsOf).join(" ")}]`;
      },
      (thrown: { reason?: string }) => {
        state.due = thrown.reason ?? String(thrown);
      },
    );
    return state;
  }

  assertNothingLeft(): void {
    assert.equal(this.topic.openWaits, 0);
    assert.equal(this.clock.timerCount, 0);
  }
}

test("the first message comes at once, also when there is nothing", async () => {
  const following = new Following();
  const first = following.next();
  await settle();
  assert.equal(first.due, "[]");
});

test("a silence ends with a heartbeat, at its time and not before", async () => {
  const following = new Following();
  following.next();
  await settle();
  const second = following.next();
  await following.clock.advance(HEARTBEAT_MS - 1);
  assert.equal(second.due, undefined);
  await following.clock.advance(1);
  assert.equal(second.due, "[]");
  const third = following.next();
  await following.clock.advance(HEARTBEAT_MS / 2);
  following.topic.append(...bodies(1));
  await settle();
  assert.equal(third.due, "[0]");
  const fourth = following.next();
  await following.clock.advance(HEARTBEAT_MS - 1);
  assert.equal(fourth.due, undefined, "a record ends a silence as a heartbeat does");
  await following.clock.advance(1);
  assert.equal(fourth.due, "[]");
});

test("a tail waits without looking: one wait, however many heartbeats", async () => {
  const following = new Following();
  following.next();
  await settle();
  for (let count = 0; count < 20; count += 1) {
    const heartbeat = following.next();
    await following.clock.advance(HEARTBEAT_MS);
    assert.equal(heartbeat.due, "[]");
  }
  assert.equal(following.topic.waitCount, 1);
  assert.ok(following.topic.readCount <= 21, `${following.topic.readCount} reads`);
});

test("records that came while the client was busy come together", async () => {
  const following = new Following();
  following.next();
  await settle();
  for (let count = 0; count < 5; count += 1) following.topic.append(...bodies(2));
  await settle();
  const next = following.next();
  await settle();
  assert.equal(next.due, "[0 1 2 3 4 5 6 7 8 9]");
});

test("the end offset ends the stream: at once, in the middle, and when it comes", async () => {
  const following = new Following();
  following.topic.append(...bodies(5));
  following.open(1, 3);
  const first = following.next();
  await settle();
  const second = following.next();
  await settle();
  assert.deepEqual([first.due, second.due], ["[1 2]", "end"]);
  following.open(4, 2);
  const none = following.next();
  await settle();
  const over = following.next();
  await settle();
  assert.deepEqual([none.due, over.due], ["[]", "end"]);
  following.open(4, 7);
  following.next();
  await settle();
  const later = following.next();
  await settle();
  assert.equal(later.due, undefined);
  following.topic.append(...bodies(9));
  await settle();
  assert.equal(later.due, "[5 6]");
  const last = following.next();
  await settle();
  assert.equal(last.due, "end");
  following.assertNothingLeft();
});

test("removed records are passed over, also at the end of the stream", async () => {
  const following = new Following();
  following.topic.append(...bodies(6));
  for (const offset of [0, 1, 4, 5]) following.topic.remove(offset);
  following.open(0, 6);
  const first = following.next();
  await settle();
  assert.equal(first.due, "[2 3]");
  const last = following.next();
  await settle();
  assert.equal(last.due, "end");
});

test("nothing is said of records that came and were removed, until the next heartbeat", async () => {
  const following = new Following();
  following.next();
  await settle();
  const next = following.next();
  await settle();
  following.topic.append(...bodies(2));
  following.topic.remove(0);
  following.topic.remove(1);
  await settle();
  assert.equal(next.due, undefined);
  await following.clock.advance(HEARTBEAT_MS);
  assert.equal(next.due, "[]");
});

for (const [what, stop, reason] of [
  [
    "a drain",
    (f: Following) => f.draining.abort(new ProglogError("DRAINING", "Stopping")),
    "DRAINING",
  ],
  ["a deleted topic", (f: Following) => f.topic.end(), "TOPIC_NOT_FOUND"],
] as const) {
  test(`${what} ends the stream with ${reason}`, async () => {
    const following = new Following();
    following.next();
    await settle();
    const next = following.next();
    await settle();
    stop(following);
    await settle();
    assert.equal(next.due, reason);
    following.assertNothingLeft();
  });
}

test("a reader overtaken by a trim is told, nothing is skipped silently", async () => {
  const following = new Following();
  following.topic.append(...bodies(20_000));
  following.next();
  await settle();
  await following.topic.trim(15_000);
  const next = following.next();
  await settle();
  assert.equal(next.due, "OFFSET_OUT_OF_RANGE");
});

test("a stream that is left leaves nothing behind", async () => {
  const following = new Following();
  following.next();
  await settle();
  following.next();
  await settle();
  assert.equal(following.topic.openWaits, 1);
  following.call.abort(new ProglogError("CANCELED", "The client is gone"));
  await settle();
  following.assertNothingLeft();
});
