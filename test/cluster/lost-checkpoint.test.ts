import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { toOffset } from "../../src/base/units.ts";
import { checkFrame, encodeRemoved } from "../../src/storage/frame.ts";
import { Log } from "../../src/storage/log.ts";
import type { ProduceBatch } from "../../src/topics/topics.ts";
import { makeRandom } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { readAll, startNode, texts } from "./harness.ts";
import { expectedTexts, flip, type Started, startOn, stoppedNode } from "./stopped-node.ts";

const CHECKPOINT = "topics/1/checkpoint";

type Files = Map<string, Uint8Array>;

test("a lost checkpoint loses nothing while the journal has every entry", async () => {
  const first = await startNode();
  const topic = first.node.topics.topic("default");
  const { epoch } = await topic.openProducer("p");
  const batch = { records: texts("a", "b"), producer: { id: "p", epoch, sequence: 0 } };
  const ack = await topic.produce(batch);
  await topic.produce({ records: texts("c") });
  await topic.trim(1);
  await settle();
  const files = first.fs.reopen().dump();
  files.delete(CHECKPOINT);
  const { node, messages } = await startOn(files);
  assert.match(messages.join(), /checkpoint is lost; the journal has all/);
  assert.deepEqual(await readAll(node, "default"), ["b", "c"]);
  const again = await node.topics.topic("default").produce(batch);
  assert.deepEqual(again, { ...ack, duplicate: true });
  await node.close();
});

for (const [what, harm] of [
  ["lost", (files: Map<string, Uint8Array>) => files.delete(CHECKPOINT)],
  ["damaged", (files: Map<string, Uint8Array>) => flip(files, CHECKPOINT, 20)],
] as const) {
  test(`with a ${what} checkpoint the records are there, and it is said what is not`, async () => {
    const { files, epoch } = await stoppedNode();
    harm(files);
    const { node, messages, disk } = await startOn(files);
    assert.match(messages.join(), /its records are whole, but its producers, fencing token/);
    assert.deepEqual(await readAll(node, "default"), expectedTexts(30));
    const topic = node.topics.topic("default");
    // A forgotten producer is refused, not taken for a new one; its next epoch is higher.
    const producer = { id: "p", epoch, sequence: 30 };
    await assert.rejects(topic.produce({ records: texts("x"), producer }), (error) =>
      hasReason(error, "PRODUCER_UNKNOWN"),
    );
    assert.ok((await topic.openProducer("p")).epoch > epoch);
    assert.equal((await topic.produce({ records: texts("next") })).firstOffset, 60);
    await node.close();
    const later = await startOn(disk.dump());
    assert.deepEqual(later.messages, [], "the checkpoint was not written again");
    assert.deepEqual(await readAll(later.node, "default"), [...expectedTexts(30), "next"]);
    await later.node.close();
  });
}

test("with a lost checkpoint what the files have beyond the journal's mark comes from the journal", async () => {
  const { life } = await stoppedNode();
  const second = await startNode({ fs: life.fs.reopen(), seed: 2 });
  const topic = second.node.topics.topic("default");
  for (let at = 30; at < 35; at += 1) await topic.produce({ records: texts(`${at}a`, `${at}b`) });
  await settle();
  const files = second.fs.reopen().dump();
  files.delete(CHECKPOINT);
  const { node } = await startOn(files);
  assert.deepEqual(await readAll(node, "default"), expectedTexts(35));
  await node.close();
});

test("a batch that ends in the middle is cut when the journal has it, and is damage when not", async () => {
  const { life, files: stopped } = await stoppedNode();
  const newest = (files: Map<string, Uint8Array>) =>
    [...files.keys()]
      .filter((path) => /topics\/1\/.*\.log/.test(path))
      .sort()
      .at(-1) ?? "";
  const cutLastRecord = (files: Map<string, Uint8Array>) => {
    const path = newest(files);
    const index = files.get(path.replace(".log", ".idx")) ?? new Uint8Array();
    const position = new DataView(index.buffer, index.byteOffset + index.length - 8).getUint32(
      0,
      true,
    );
    files.set(path, (files.get(path) ?? new Uint8Array()).slice(0, position));
    files.delete(CHECKPOINT);
  };
  const second = await startNode({ fs: life.fs.reopen(), seed: 2 });
  await second.node.topics.topic("default").produce({ records: texts("30a", "30b") });
  await settle();
  const files = second.fs.reopen().dump();
  cutLastRecord(files);
  const { node } = await startOn(files);
  assert.deepEqual(await readAll(node, "default"), expectedTexts(31));
  await node.close();
  cutLastRecord(stopped);
  const before = new Map(stopped);
  const { node: third, disk } = await startOn(stopped);
  assert.throws(
    () => third.topics.topic("default"),
    (error) => hasReason(error, "STORE_CORRUPT") && /journal begins after/.test(error.message),
  );
  await third.close();
  for (const [path, bytes] of before) {
    if (path.startsWith("topics/")) assert.deepEqual(disk.dump().get(path), bytes, path);
  }
});

/** What a node leaves that was killed after `work` on top of `stoppedNode`: its checkpoint is older. */
async function killedAfter(
  work: (produce: (batch: ProduceBatch) => Promise<unknown>, epoch: number) => Promise<void>,
): Promise<Files> {
  const { life, epoch } = await stoppedNode();
  const { node, fs } = await startNode({ fs: life.fs.reopen(), seed: 2 });
  const topic = node.topics.topic("default");
  await work((batch) => topic.produce(batch), epoch);
  await settle();
  return fs.reopen().dump();
}

/** Starts without the checkpoint: the topic must be refused, nothing of it touched, and whole with it. */
async function assertSetAside(files: Files, all: readonly string[], why: RegExp): Promise<void> {
  const lost = new Map(files);
  assert.ok(lost.delete(CHECKPOINT));
  const { node, messages, disk } = await startOn(lost);
  assert.throws(
    () => node.topics.topic("default"),
    (error) => hasReason(error, "STORE_CORRUPT") && why.test(error.message),
  );
  assert.doesNotMatch(messages.join(), /are whole/);
  await node.topics.create("other", {});
  await node.close();
  const left = disk.dump();
  for (const [path, bytes] of lost) {
    if (path.startsWith("topics/1/")) assert.deepEqual(left.get(path), bytes, path);
  }
  const bytes = files.get(CHECKPOINT) ?? assert.fail("no checkpoint");
  const mended = await startOn(new Map([...left, [CHECKPOINT, bytes]]));
  assert.deepEqual(await readAll(mended.node, "default"), all);
  await mended.node.close();
}

/** Starts without the checkpoint: nothing that was acknowledged may be missing. */
async function startWithout(files: Files): Promise<Started> {
  const lost = new Map(files);
  assert.ok(lost.delete(CHECKPOINT));
  return await startOn(lost);
}

// What was acknowledged was judged by state that is lost; judged anew it would be refused, and the other way round.
test("a topic is set aside when entries were decided by producers that only the lost checkpoint knew", async () => {
  const files = await killedAfter(async (produce, epoch) => {
    for (let sequence = 30; sequence < 35; sequence += 1) {
      const producer = { id: "p", epoch, sequence };
      await produce({ records: texts(`${sequence}a`, `${sequence}b`), producer });
    }
    const stale = produce({ records: texts("stale"), fencingToken: 3 });
    await assert.rejects(stale, (error) => hasReason(error, "FENCED"));
    await produce({ records: texts("plain") });
  });
  const why = /producers.*log import.*Nothing was changed/;
  await assertSetAside(files, [...expectedTexts(35), "plain"], why);
});

test("a topic is set aside when entries were decided by a fencing token that is lost", async () => {
  const files = await killedAfter(async (produce) => {
    await produce({ records: texts("plain") });
    await produce({ records: texts("newer"), fencingToken: 6 });
  });
  await assertSetAside(files, [...expectedTexts(30), "plain", "newer"], /fencing token/);
});

test("a topic is set aside also when it is one of several batches in an entry, and was refused", async () => {
  const files = await killedAfter(async (produce) => {
    const sent = [
      produce({ records: texts("one", "two") }),
      produce({ records: texts("stale"), fencingToken: 3 }),
      produce({ records: texts("three") }),
    ];
    const [, refused] = await Promise.allSettled(sent);
    assert.equal(refused?.status, "rejected");
  });
  await assertSetAside(files, [...expectedTexts(30), "one", "two", "three"], /fencing token/);
});

test("what producers did that were opened after the lost checkpoint is decided as it was", async () => {
  const { life, epoch } = await stoppedNode();
  const { node, fs } = await startNode({ fs: life.fs.reopen(), seed: 2 });
  const topic = node.topics.topic("default");
  const opened = await topic.openProducer("q");
  const batch = { records: texts("q0"), producer: { id: "q", epoch: opened.epoch, sequence: 0 } };
  const ack = await topic.produce(batch);
  const gap = { ...batch, producer: { ...batch.producer, sequence: 5 } };
  await assert.rejects(topic.produce(gap), (error) => hasReason(error, "SEQUENCE_GAP"));
  // Its old epoch is fenced, whatever else was forgotten of it.
  assert.ok((await topic.openProducer("p")).epoch > epoch);
  const old = { records: texts("old"), producer: { id: "p", epoch, sequence: 30 } };
  await assert.rejects(topic.produce(old), (error) => hasReason(error, "PRODUCER_FENCED"));
  await topic.produce({ records: texts("plain") });
  await settle();
  const again = await startWithout(fs.reopen().dump());
  assert.deepEqual(await readAll(again.node, "default"), [...expectedTexts(30), "q0", "plain"]);
  const retried = await again.node.topics.topic("default").produce(batch);
  assert.deepEqual(retried, { ...ack, duplicate: true });
  await again.node.close();
});

test("conditions that the records themselves decide come out as they were", async () => {
  const files = await killedAfter(async (produce) => {
    const sent = [
      produce({ records: texts("a"), expectedNextOffset: 60 }),
      produce({ records: texts("wrong"), expectedNextOffset: 60 }),
      produce({ records: texts("b") }),
    ];
    const [, refused] = await Promise.allSettled(sent);
    assert.equal(refused?.status, "rejected");
  });
  const { node } = await startWithout(files);
  assert.deepEqual(await readAll(node, "default"), [...expectedTexts(30), "a", "b"]);
  await node.close();
});

// The journal's mark follows a checkpoint with the next flush. Until then the files that a trim let go are of entries
// that the journal still has, and counting from its mark would give their offsets to others.
test("records keep their offsets when files were trimmed of entries that the journal still has", async () => {
  const { life } = await stoppedNode();
  const { node, fs } = await startNode({ fs: life.fs.reopen(), seed: 2 });
  const topic = node.topics.topic("default");
  for (let at = 30; at < 50; at += 1) await topic.produce({ records: texts(`${at}a`, `${at}b`) });
  const before = fs.dump().get(CHECKPOINT);
  await topic.trim(91);
  for (let turns = 0; turns < 50; turns += 1) await settle();
  const files = fs.reopen().dump();
  assert.notDeepEqual(files.get(CHECKPOINT), before, "the trim brought no checkpoint");
  assert.ok(!files.has("topics/1/00000000000000000000.log"), "nothing was trimmed");
  const again = await startWithout(files);
  const { firstOffset, nextOffset } = again.node.topics.topic("default").status();
  assert.equal(nextOffset, 100);
  assert.deepEqual(await readAll(again.node, "default"), expectedTexts(50).slice(firstOffset));
  assert.ok(firstOffset > 0 && firstOffset <= 91, `it begins at ${firstOffset}`);
  await again.node.close();
});

test("a topic is set aside when files are missing that nobody trimmed", async () => {
  const files = await killedAfter(async (produce) => {
    for (let at = 30; at < 50; at += 1) await produce({ records: texts(`${at}a`, `${at}b`) });
  });
  const isOld = (path: string) => Number(/topics\/1\/(\d+)\./.exec(path)?.[1] ?? 80) < 80;
  for (const path of [...files.keys()].filter(isOld)) files.delete(path);
  const { node } = await startWithout(files);
  assert.throws(
    () => node.topics.topic("default"),
    (error) => hasReason(error, "STORE_CORRUPT") && /records before offset/.test(error.message),
  );
  await node.close();
});

// A removed record does not say which entry it came with: repair has guessed it from its neighbour.
test("a topic is set aside when a record was put aside just where the journal goes on", async () => {
  const files = await killedAfter(async (produce) => {
    await produce({ records: texts("30a") });
    await produce({ records: texts("30b") });
  });
  const fs = SimFileSystem.fromDump(makeRandom(1), files);
  const log = await Log.openReadOnly({ fs, dir: "topics/1", check: checkFrame });
  const offset = toOffset(60);
  const found = await log.readFrames(offset, { bytesMax: 1, recordsMax: 1 });
  await log.close();
  const [path] = [...files.keys()].filter((name) => found.file?.endsWith(name) === true);
  const store = files.get(path ?? "")?.slice() ?? assert.fail(`no ${found.file}`);
  // As of the entry before.
  const guess = { offset, raftIndex: 32, appendTimeUs: 1, lastOfEntry: true };
  const removed = encodeRemoved(guess, found.ends[0] ?? 0) ?? assert.fail("it does not fit");
  store.set(removed, found.position);
  files.set(path ?? "", store);
  const { node } = await startWithout(files);
  assert.throws(
    () => node.topics.topic("default"),
    (error) => hasReason(error, "STORE_CORRUPT") && /put aside/.test(error.message),
  );
  await node.close();
});

test("what is forgotten is so for good before the topic is served", async () => {
  const { files } = await stoppedNode();
  const checkpoint = files.get(CHECKPOINT);
  files.delete(CHECKPOINT);
  const { disk } = await startOn(files);
  const found = disk.dump().get(CHECKPOINT);
  assert.ok(found !== undefined && checkpoint !== undefined);
  const later = await startOn(disk.dump());
  assert.deepEqual(later.messages, []);
  await later.node.close();
});
