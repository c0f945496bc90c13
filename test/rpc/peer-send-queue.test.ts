import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { readLength } from "../../src/rpc/lean/envelope.ts";
import { SendQueue } from "../../src/rpc/peer/send-queue.ts";
import { append } from "./peer-world.ts";

const GREETING = Uint8Array.of(0x18, 1);
const GREETING_BYTES = 5 + GREETING.length;
const LIMITS = {
  queueBytesMax: 10_000,
  windowBytes: 2_000,
  requestBytesTarget: 1_000,
  requestMessagesMax: 3,
};

/** A queue, and the bytes that it wrote. */
function open(limits: Partial<typeof LIMITS> = {}) {
  const written: Uint8Array[] = [];
  const queue = new SendQueue({ ...LIMITS, ...limits });
  const start = () => queue.open((bytes) => written.push(bytes), GREETING);
  const total = () => written.reduce((sum, { length }) => sum + length, 0);
  return { queue, written, start, total };
}

const message = (bytes: number) => append(1, new Uint8Array(bytes));
const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

test("what was added before the stream was open goes out after the greeting", async () => {
  const { queue, written, start } = open();
  assert.ok(queue.add(message(10)));
  await endOfTurn();
  assert.equal(written.length, 0);
  start();
  assert.equal(written.length, 2);
  assert.deepEqual([...(written[0]?.subarray(5) ?? [])], [...GREETING]);
});

test("what is added in one turn goes out as one request, up to what one may have", async () => {
  const { queue, written, start } = open();
  start();
  for (let count = 0; count < 7; count += 1) assert.ok(queue.add(message(10)));
  assert.equal(written.length, 1, "not before the end of the turn");
  await endOfTurn();
  assert.equal(written.length, 1 + 3, "three, three and one");
  for (const bytes of written) assert.equal(readLength(bytes, 0), bytes.length - 5);
});

test("a request is about as large as it may be", async () => {
  const { queue, written, start } = open({ requestMessagesMax: 100, windowBytes: 100_000 });
  start();
  for (let count = 0; count < 20; count += 1) queue.add(message(300));
  await endOfTurn();
  assert.ok(written.length >= 1 + 8);
  for (const { length } of written) assert.ok(length <= 1_005, `${length}`);
});

test("no more is sent than may be under way, until the peer has received it", async () => {
  const { queue, start, total } = open();
  start();
  for (let count = 0; count < 12; count += 1) assert.ok(queue.add(message(700)));
  await endOfTurn();
  const sent = total();
  assert.ok(sent >= 2_000 && sent < 3_000, `${sent}`);
  assert.ok(queue.received(GREETING_BYTES));
  assert.equal(total(), sent, "still as much under way");
  assert.ok(queue.received(sent));
  assert.ok(total() > sent);
});

test("a message larger than all that may be under way goes when less than that is", async () => {
  const { queue, start, total } = open({ queueBytesMax: 30_000 });
  start();
  queue.add(message(1_500));
  queue.add(message(9_000));
  queue.add(message(9_000));
  await endOfTurn();
  assert.ok(total() > 10_000 && total() < 12_000, `${total()}`);
  // A receiver does not say the last bytes until more came: that must not stop what follows.
  assert.ok(queue.received(total() - 1_000));
  assert.ok(total() > 19_000);
});

test("what does not fit in the queue is dropped, but for one message alone", async () => {
  const { queue } = open();
  assert.ok(queue.add(message(20_000)), "alone");
  assert.ok(!queue.add(message(1)));
  queue.close();
  assert.ok(queue.add(message(9_000)));
  assert.ok(!queue.add(message(2_000)));
  assert.ok(queue.add(message(100)), "one that fits still does");
});

test("a peer that says it has received what was never sent is not believed", () => {
  const { queue, start } = open();
  start();
  assert.ok(!queue.received(GREETING_BYTES + 1));
  assert.ok(queue.received(GREETING_BYTES));
  assert.ok(!queue.received(1), "less than before");
});

test("a sign of life is asked for whatever is under way", async () => {
  const { queue, start, written } = open({ windowBytes: 1 });
  start();
  queue.add(message(100));
  await endOfTurn();
  const before = written.length;
  queue.ping(EMPTY_BYTES);
  assert.equal(written.length, before + 1);
});

test("what waited when the stream broke is not sent on the next one", async () => {
  const { queue, start, written } = open();
  queue.add(message(100));
  queue.close();
  start();
  await endOfTurn();
  assert.equal(written.length, 1);
});
