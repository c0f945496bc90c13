import assert from "node:assert/strict";
import { test } from "node:test";
import { viewOf, writeU64 } from "../../src/base/bytes.ts";
import { type CoreMessage, CoreMessageType } from "../../src/raft/core.ts";
import { CoreWriter } from "../../src/raft/core-codec.ts";
import { messageEntries, messageIndex, messageType } from "../../src/raft/core-messages.ts";
import { describePayload } from "../../src/raft/entry-kinds.ts";
import { LogTail, TailBudget } from "../../src/raft/log-tail.ts";
import { Outbox } from "../../src/raft/outbox.ts";
import { FakeDisk, FakeRaftJournal } from "../support/fake-raft-journal.ts";
import { SimClock, settle } from "../support/sim-clock.ts";

const TO = 2;
const TERM = 4;
const HOLD_MS = 5;

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** An append message with entries of that term, one each payload, from `index` on. */
function append(index: number, payloads: readonly string[], term = TERM): CoreMessage {
  const head = new Uint8Array(58);
  const view = viewOf(head);
  head[0] = 3;
  for (const [at, value] of [TO, 1, term, term, index - 1, 0, 0].entries()) {
    writeU64(view, 2 + 8 * at, value);
  }
  const entries = payloads.map((text, at) => {
    return { index: index + at, term, type: 0, data: describePayload(bytesOf(text).length) };
  });
  return Uint8Array.from([...head, ...new CoreWriter().entries(entries).bytes]);
}

function heartbeat(): CoreMessage {
  const message = append(1, []);
  message[0] = 8;
  return message;
}

function setUp(
  options: { messageBytesMax?: number; waitingMax?: number; commitHoldMs?: number } = {},
) {
  const { messageBytesMax = 100, waitingMax = 10, commitHoldMs = HOLD_MS } = options;
  const disk = new FakeDisk();
  disk.add(1, { index: 1, term: 1 });
  const clock = new SimClock();
  const journal = new FakeRaftJournal(disk, clock);
  const tail = new LogTail<never>(new TailBudget(1000), 1000);
  const sent: string[] = [];
  const dropped: number[] = [];
  const parts = { isOpen: true };
  const outbox = new Outbox({
    ...{ journal, replicaId: 1, tail, messageBytesMax, waitingMax, clock, commitHoldMs },
    send: (_to, message, payloads) => {
      if (!parts.isOpen) return false;
      const texts = payloads?.map((payload) => new TextDecoder().decode(payload));
      const isAppend = messageType(message) === CoreMessageType.append;
      sent.push(isAppend ? `${messageIndex(message) + 1}:${texts?.join("+") ?? ""}` : "other");
      assert.equal(texts === undefined ? 0 : messageEntries(message).length, texts?.length ?? 0);
      return true;
    },
    onDropped: (to) => dropped.push(to),
  });
  const remember = (index: number, text: string, term = TERM) => {
    const payload = bytesOf(text);
    const payloadBytes = payload.length;
    tail.add({ index, term, kind: 0, payloadBytes, payload, waiting: undefined });
  };
  const store = (index: number, text: string, term = TERM) => {
    const entry = { index, term, kind: 0, payload: [bytesOf(text)] };
    disk.apply({ replicaId: 1, entries: [entry] });
  };
  return { clock, disk, tail, outbox, sent, dropped, parts, remember, store };
}

test("payloads that are in memory leave at once", () => {
  const { outbox, sent, remember } = setUp();
  remember(2, "a");
  remember(3, "bc");
  outbox.post(append(2, ["a", "bc"]));
  assert.deepEqual(sent, ["2:a+bc"]);
});

test("those in the journal are read; later ones wait for them, other messages do not", async () => {
  const { outbox, sent, remember, store } = setUp();
  store(2, "cold");
  remember(3, "warm");
  outbox.post(append(2, ["cold"]));
  outbox.post(append(3, ["warm"]));
  outbox.post(heartbeat());
  assert.deepEqual(sent, ["other"]);
  await settle();
  assert.deepEqual(sent, ["other", "2:cold", "3:warm"]);
  outbox.post(append(3, ["warm"]));
  assert.deepEqual(sent.at(-1), "3:warm");
});

test("what comes while the last one of a line is sent is not forgotten", async () => {
  const { outbox, sent, store } = setUp();
  for (const index of [2, 3, 4, 5]) store(index, `${index}`);
  for (const index of [2, 3, 4, 5]) {
    outbox.post(append(index, [`${index}`]));
    for (let at = 0; at < index; at += 1) await undefined;
  }
  await settle();
  assert.deepEqual(sent, ["2:2", "3:3", "4:4", "5:5"]);
});

test("a message whose payload is another one's now is dropped, and what waits behind it", async () => {
  const { outbox, sent, dropped, remember, store, tail } = setUp();
  remember(2, "new", TERM + 1);
  outbox.post(append(2, ["old"]));
  assert.deepEqual([sent, dropped], [[], []], "the core knows better by now");
  tail.clear();
  store(2, "new", TERM + 1);
  store(3, "next", TERM + 1);
  outbox.post(append(2, ["old"]));
  outbox.post(append(3, ["next"], TERM + 1));
  await settle();
  assert.deepEqual(sent, []);
  assert.deepEqual(dropped, [TO]);
  outbox.post(append(3, ["next"], TERM + 1));
  await settle();
  assert.deepEqual(sent, ["3:next"]);
});

test("an entry whose payload was taken away does not leave under its old description", async () => {
  const { outbox, sent, remember, tail } = setUp();
  remember(2, "payload");
  const entry = tail.at(2);
  assert.ok(entry !== undefined);
  tail.empty(entry, 1);
  outbox.post(append(2, ["payload"]));
  await settle();
  assert.deepEqual(sent, []);
});

test("large messages are cut, so that none has more than allowed unless it is one entry", () => {
  const { outbox, sent, remember } = setUp({ messageBytesMax: 4 });
  const texts = ["aa", "bb", "cccccc", "d", "e"];
  for (const [at, text] of texts.entries()) remember(2 + at, text);
  outbox.post(append(2, texts));
  assert.deepEqual(sent, ["2:aa+bb", "4:cccccc", "5:d+e"]);
});

test("too many that wait are dropped, and the core is told", async () => {
  const { outbox, sent, dropped, store } = setUp({ waitingMax: 2 });
  for (const index of [2, 3, 4, 5]) {
    store(index, `${index}`);
    outbox.post(append(index, [`${index}`]));
  }
  assert.deepEqual(dropped, [TO]);
  await settle();
  assert.deepEqual(sent, ["2:2"]);
});

test("what the network does not take is told to the core", () => {
  const { outbox, dropped, parts, remember } = setUp();
  remember(2, "a");
  parts.isOpen = false;
  outbox.post(append(2, ["a"]));
  outbox.post(heartbeat());
  assert.deepEqual(dropped, [TO]);
});

test("how far all is committed is told once in a while when nothing else is", async () => {
  const { outbox, sent, clock } = setUp();
  outbox.post(append(2, []));
  await clock.advance(HOLD_MS - 1);
  outbox.post(append(3, []));
  assert.deepEqual(sent, []);
  await clock.advance(1);
  assert.deepEqual(sent, ["3:"], "the last one, when the first has waited long enough");
  await clock.advance(HOLD_MS);
  assert.equal(sent.length, 1);
  outbox.post(append(4, []));
  await clock.advance(HOLD_MS);
  assert.deepEqual(sent, ["3:", "4:"]);
});

test("entries say it too, and other messages take it along", async () => {
  const { outbox, sent, clock, remember } = setUp();
  remember(2, "a");
  outbox.post(append(2, []));
  outbox.post(append(2, ["a"]));
  await clock.advance(HOLD_MS);
  assert.deepEqual(sent, ["2:a"]);
  outbox.post(append(3, []));
  outbox.post(heartbeat());
  assert.deepEqual(sent, ["2:a", "3:", "other"]);
  await clock.advance(HOLD_MS);
  assert.equal(sent.length, 3);
});

test("what is held for one replica does not go with what another one gets, nor after the end", async () => {
  const { outbox, sent, clock } = setUp();
  const toOther = heartbeat();
  writeU64(viewOf(toOther), 2, TO + 1);
  outbox.post(append(2, []));
  outbox.post(toOther);
  assert.deepEqual(sent, ["other"]);
  outbox.close();
  await clock.advance(HOLD_MS);
  assert.deepEqual(sent, ["other"]);
});

test("a group may tell at once how far all is committed", () => {
  const { outbox, sent } = setUp({ commitHoldMs: 0 });
  outbox.post(append(2, []));
  assert.deepEqual(sent, ["2:"]);
});
