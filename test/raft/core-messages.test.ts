import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { CoreMessageType } from "../../src/raft/core.ts";
import { CoreReader } from "../../src/raft/core-codec.ts";
import { CORE_MESSAGE_BYTES_MAX, CORE_MESSAGE_ENTRIES_MAX } from "../../src/raft/core-limits.ts";
import {
  isCoreMessage,
  messageCommit,
  messageContext,
  messageEntries,
  messageEntryCount,
  messageFrom,
  messageIndex,
  messageIsReject,
  messageLogTerm,
  messageSnapshot,
  messageTerm,
  messageTo,
  messageType,
  readHeartbeat,
  splitAppend,
  writeHeartbeat,
} from "../../src/raft/core-messages.ts";
import { WasmCore } from "../../src/raft/wasm-core.ts";
import { loadRaftModule } from "../../src/server/raft-module.ts";
import { bytesOf, write } from "../suites/raft-core-replication.ts";
import { CoreCluster } from "./core-cluster.ts";
import { seededWorld } from "./core-world.ts";
import { type MessageFields, makeMessage } from "./messages.ts";

const number = fc.oneof(fc.nat(20), fc.maxSafeNat());
const bytes = fc.uint8Array({ maxLength: 12 });
const ids = fc.array(number, { maxLength: 3 });
const conf = fc.record(
  {
    ...{ voters: ids, learners: ids, votersOutgoing: ids, learnersNext: ids },
    autoLeave: fc.boolean(),
  },
  { noNullPrototype: true },
);
const snapshots = fc.record(
  { index: number, term: number, data: bytes, conf },
  { noNullPrototype: true },
);
const fields = fc.record({
  ...{ type: fc.nat(255), to: number, from: number, term: number, logTerm: number },
  // The indexes of the entries are counted on from it.
  index: fc.oneof(fc.nat(20), fc.nat(2 ** 53 - 100)),
  ...{ commit: number, rejectHint: number, isReject: fc.boolean() },
  entries: fc.array(fc.record({ term: number, type: fc.nat(2), data: bytes }), { maxLength: 8 }),
});

test("everything that is in a message can be read out of it", () => {
  fc.assert(
    fc.property(fields, fc.option(bytes), fc.option(snapshots), (made, context, snapshot) => {
      const message = makeMessage({
        ...made,
        ...(context === null ? {} : { context }),
        ...(snapshot === null ? {} : { snapshot }),
      });
      assert.ok(isCoreMessage(message));
      assert.equal(messageType(message), made.type);
      assert.equal(messageTo(message), made.to);
      assert.equal(messageFrom(message), made.from);
      assert.equal(messageTerm(message), made.term);
      assert.equal(messageLogTerm(message), made.logTerm);
      assert.equal(messageIndex(message), made.index);
      assert.equal(messageCommit(message), made.commit);
      assert.equal(messageIsReject(message), made.isReject);
      assert.equal(messageEntryCount(message), made.entries.length);
      const entries = made.entries.map((entry, at) => ({ ...entry, index: made.index + 1 + at }));
      assert.deepEqual(messageEntries(message), entries);
      assert.deepEqual(messageContext(message), context ?? EMPTY_BYTES);
      assert.deepEqual(messageSnapshot(message), snapshot ?? undefined);
    }),
  );
});

test("what is cut off, too long or over a limit is no message", () => {
  const entries = [{ term: 3, type: 0, data: bytesOf("data") }];
  const snapshot = {
    ...{ index: 7, term: 3, data: bytesOf("state") },
    conf: { voters: [1], learners: [2], votersOutgoing: [], learnersNext: [], autoLeave: false },
  };
  const message = makeMessage({ type: 3, entries, context: bytesOf("context"), snapshot });
  assert.ok(isCoreMessage(message));
  for (let length = 0; length < message.length; length += 1) {
    assert.equal(isCoreMessage(message.subarray(0, length)), false, `${length} bytes`);
  }
  assert.equal(isCoreMessage(new Uint8Array([...message, 0])), false);

  const of = (change: MessageFields) => isCoreMessage(makeMessage(change));
  const empty = { term: 1, type: 0, data: EMPTY_BYTES };
  assert.ok(of({ type: 3, entries: new Array(CORE_MESSAGE_ENTRIES_MAX).fill(empty) }));
  assert.ok(!of({ type: 3, entries: new Array(CORE_MESSAGE_ENTRIES_MAX + 1).fill(empty) }));
  const large = (size: number) => [{ ...empty, data: new Uint8Array(size) }];
  const overhead = makeMessage({ type: 3, entries: large(0) }).length;
  assert.ok(of({ type: 3, entries: large(CORE_MESSAGE_BYTES_MAX - overhead) }));
  assert.ok(!of({ type: 3, entries: large(CORE_MESSAGE_BYTES_MAX - overhead + 1) }));
  assert.ok(!of({ type: 3, term: 2 ** 53 }));
});

test("any bytes are a message or not, and reading those that are ends", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (any) => {
      if (!isCoreMessage(any)) return;
      messageEntries(any);
      messageContext(any);
      messageSnapshot(any);
    }),
    { numRuns: 1000 },
  );
});

test("heartbeats are read and written byte for byte as the core does", async () => {
  const core = WasmCore.create(await loadRaftModule(), seededWorld(1));
  const cluster = new CoreCluster(core, [1, 2, 3]);
  const seen: Uint8Array[] = [];
  const others: Uint8Array[] = [];
  cluster.filter = (message) => {
    (readHeartbeat(message) === undefined ? others : seen).push(message);
    return true;
  };
  cluster.elect(1);
  write(cluster, 1, "a");
  cluster.group(1).readIndex(bytesOf("read"));
  cluster.tick(2);
  const { heartbeat, heartbeatResponse } = CoreMessageType;
  assert.deepEqual(new Set(seen.map(messageType)), new Set([heartbeat, heartbeatResponse]));
  assert.ok(seen.some((message) => messageContext(message).length === 8));
  assert.ok(seen.some((message) => messageContext(message).length === 0));
  for (const message of seen) {
    const read = readHeartbeat(message);
    assert.ok(read !== undefined);
    assert.deepEqual(writeHeartbeat(read), message);
  }
  assert.ok(others.length > 0);
  assert.ok(
    others.every((message) => ![heartbeat, heartbeatResponse].includes(messageType(message) as 8)),
  );
});

const appends = fc.record({
  ...{ to: number, from: number, term: number, logTerm: number, commit: number },
  index: fc.nat(1000),
  entries: fc.array(
    fc.tuple(fc.record({ term: number, type: fc.nat(2), data: bytes }), fc.nat(100)),
    { maxLength: 20 },
  ),
});

test("the parts of an append message hold its entries, each below the limit or alone", () => {
  fc.assert(
    fc.property(appends, fc.nat(150), ({ entries, ...head }, bytesMax) => {
      const type = CoreMessageType.append;
      const message = makeMessage({ ...head, type, entries: entries.map(([entry]) => entry) });
      const sizes = entries.map(([, size]) => size);
      const parts = splitAppend(message, sizes, bytesMax);
      assert.deepEqual(parts.flatMap(messageEntries), messageEntries(message));
      let done = 0;
      for (const part of parts) {
        assert.ok(isCoreMessage(part));
        assert.equal(messageIndex(part), head.index + done);
        assert.equal(messageLogTerm(part), entries[done - 1]?.[0].term ?? head.logTerm);
        assert.deepEqual(
          [messageType(part), messageTo(part), messageFrom(part), messageTerm(part)],
          [type, head.to, head.from, head.term],
        );
        assert.equal(messageCommit(part), head.commit);
        const count = messageEntryCount(part);
        assert.ok(count > 0 || parts.length === 1);
        const mine = sizes.slice(done, done + count);
        assert.ok(count <= 1 || mine.reduce((sum, size) => sum + size, 0) <= bytesMax);
        done += count;
      }
    }),
  );
});

test("a follower takes the parts as it would the whole, in any order and with repeats", async () => {
  const module = await loadRaftModule();
  for (const order of [
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [0, 0, 2, 1, 3, 1],
  ]) {
    const cluster = new CoreCluster(WasmCore.create(module, seededWorld(1)), [1, 2, 3]);
    cluster.elect(1);
    const held: Uint8Array[] = [];
    cluster.filter = (message) => {
      if (messageTo(message) !== 2 || messageEntryCount(message) < 4) return true;
      held.push(message);
      return false;
    };
    write(cluster, 1, "a", "b", "c", "d");
    const [message] = held;
    assert.ok(message !== undefined);
    const parts = splitAppend(message, [10, 10, 10, 10], 10);
    assert.equal(parts.length, 4);
    for (const at of order) cluster.group(2).step(parts[at] ?? EMPTY_BYTES);
    cluster.filter = () => true;
    cluster.tick(3);
    assert.deepEqual(cluster.replica(2).appliedData(), ["a", "b", "c", "d"]);
    write(cluster, 1, "e");
    assert.deepEqual(cluster.replica(2).log.all(), cluster.replica(1).log.all());
  }
});

test("the reader never reads beyond the end", () => {
  const reads = [
    (reader: CoreReader) => reader.u8(),
    (reader: CoreReader) => reader.u32(),
    (reader: CoreReader) => reader.u64(),
    (reader: CoreReader) => reader.data(),
    (reader: CoreReader) => reader.confState(),
    (reader: CoreReader) => reader.entries(1),
    (reader: CoreReader) => reader.list(),
  ];
  for (const read of reads) {
    assert.throws(() => read(new CoreReader(EMPTY_BYTES)), { name: "MalformedBytesError" });
    const much = Uint8Array.of(255, 255, 255, 127, 0, 0);
    if (read(new CoreReader(new Uint8Array(40))) === undefined) assert.fail();
    if (read !== reads[0] && read !== reads[1]) {
      assert.throws(() => read(new CoreReader(much)), { name: "MalformedBytesError" });
    }
  }
});
