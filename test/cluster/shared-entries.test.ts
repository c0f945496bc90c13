import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason, ProglogError } from "../../src/base/errors.ts";
import { toOffset } from "../../src/base/units.ts";
import { checkFrame, decodeRecord } from "../../src/storage/frame.ts";
import { Log } from "../../src/storage/log.ts";
import type { ProduceBatch, Topic } from "../../src/topics/topics.ts";
import { makeRandom } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { readToEnd } from "../support/topic-reads.ts";
import { readAll, startNode, texts } from "./harness.ts";

const CHECKPOINT = "topics/1/checkpoint";
const STORE = "topics/1/00000000000000000000.log";

/** Sends all at once. @returns what each came to: its offsets, or why it was refused */
async function burst(topic: Topic, batches: readonly ProduceBatch[]): Promise<string[]> {
  return await Promise.all(
    batches.map((batch) =>
      topic.produce(batch).then(
        ({ firstOffset, lastOffset, duplicate }) =>
          `${firstOffset}-${lastOffset}${duplicate ? " again" : ""}`,
        (error: unknown) => (error instanceof ProglogError ? error.reason : `${error}`),
      ),
    ),
  );
}

/** Raft index of each record, with `!` behind the last one of an entry. A leader begins with an entry of its own. */
async function entriesOf(fs: SimFileSystem): Promise<string[]> {
  const log = await Log.openReadOnly({ fs, dir: "topics/1", check: checkFrame });
  const found: string[] = [];
  for await (const { offset, data } of log.scan(toOffset(0))) {
    const { raftIndex, lastOfEntry } = decodeRecord(data, offset);
    found.push(`${raftIndex}${lastOfEntry ? "!" : ""}`);
  }
  await log.close();
  return found;
}

test("appends that are made together share an entry, and each is judged by itself", async () => {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  const { epoch } = await topic.openProducer("p");
  const producer = { id: "p", epoch, sequence: 0 };
  const found = await burst(topic, [
    { records: texts("a", "b") },
    { records: texts("refused"), expectedNextOffset: 0 },
    { records: texts("c"), producer },
    { records: texts("c"), producer },
    { records: texts("d"), fencingToken: 5, expectedNextOffset: 3 },
    { records: texts("fenced"), fencingToken: 4 },
    { records: texts("gap"), producer: { ...producer, sequence: 2 } },
    { records: texts("e", "f"), expectedNextOffset: 4 },
    { records: texts("too late"), expectedNextOffset: 4 },
  ]);
  assert.deepEqual(found, [
    ...["0-1", "OFFSET_MISMATCH", "2-2", "2-2 again", "3-3", "FENCED", "SEQUENCE_GAP", "4-5"],
    "OFFSET_MISMATCH",
  ]);
  await settle();
  const frames = ["4", "4", "4", "4", "4", "4!"];
  assert.deepEqual(await entriesOf(life.fs), frames);
  const records = await readToEnd(topic, 0, { recordsMax: 9, bytesMax: 9999 });
  assert.equal(new Set(records.map(({ appendTimeUs }) => appendTimeUs)).size, 1);
  // From the journal, with the checkpoint and without it: the same state and the same files.
  for (const isLost of [false, true]) {
    const files = life.fs.reopen().dump();
    if (isLost) files.delete(CHECKPOINT);
    const fs = SimFileSystem.fromDump(makeRandom(3), files);
    const { node } = await startNode({ fs, seed: 2 });
    const again = node.topics.topic("default");
    assert.deepEqual(await readAll(node, "default"), ["a", "b", "c", "d", "e", "f"]);
    assert.deepEqual(again.status(), topic.status());
    assert.deepEqual(
      await burst(again, [
        { records: texts("c"), producer },
        { records: texts("fenced"), fencingToken: 4 },
        { records: texts("g"), expectedNextOffset: 6 },
      ]),
      ["2-2 again", "FENCED", "6-6"],
    );
    await node.close();
    assert.deepEqual(await entriesOf(fs), [...frames, "6!"]);
  }
});

test("an entry of which all appends are refused leaves no record, and the next one has the next offset", async () => {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  const refused = { records: texts("x"), expectedNextOffset: 7 };
  assert.deepEqual(await burst(topic, [refused, refused]), ["OFFSET_MISMATCH", "OFFSET_MISMATCH"]);
  assert.deepEqual(await burst(topic, [{ records: texts("a") }]), ["0-0"]);
  await life.node.close();
  const { node } = await startNode({ fs: life.fs.reopen(), seed: 2 });
  assert.deepEqual(await readAll(node, "default"), ["a"]);
  await node.close();
});

// Without a checkpoint the Raft index in the frames says what was applied: the first half of an entry must not be
// taken for all of it, also where it ends with the last record of one of its batches.
for (const kept of [1, 2, 3]) {
  test(`${kept} of the 4 records of a shared entry are not taken for all of it`, async () => {
    const life = await startNode();
    const topic = life.node.topics.topic("default");
    await topic.produce({ records: texts("first") });
    await burst(topic, [{ records: texts("a", "b") }, { records: texts("c", "d") }]);
    await settle();
    assert.deepEqual(await entriesOf(life.fs), ["3!", "4", "4", "4", "4!"]);
    const running = life.fs.dump();
    await life.node.close();
    const stopped = life.fs.dump();
    for (const files of [running, stopped]) {
      const store = files.get(STORE) ?? assert.fail("no store");
      const frameBytes = (store.length - (8 + 7 + 1 + 8 + 5)) / 4;
      files.set(STORE, store.slice(0, Math.round(store.length - (4 - kept) * frameBytes)));
      files.delete(CHECKPOINT);
    }
    // Its journal still has the entry: nothing is lost.
    const { node } = await startNode({ fs: SimFileSystem.fromDump(makeRandom(1), running) });
    assert.deepEqual(await readAll(node, "default"), ["first", "a", "b", "c", "d"]);
    await node.close();
    // This one has forgotten it: that is damage, and is said.
    const damaged = await startNode({ fs: SimFileSystem.fromDump(makeRandom(1), stopped) });
    assert.throws(
      () => damaged.node.topics.topic("default"),
      (error) => hasReason(error, "STORE_CORRUPT"),
    );
    await damaged.node.close();
  });
}

test("on a disk that is full what was not handed to the journal is refused, the rest is there once there is room", async () => {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  life.fs.failNext({ op: "write", path: /^journal\// }, "ENOSPC");
  const first = burst(topic, [{ records: texts("a") }, { records: texts("b") }]);
  // Handed over in the microtask after this one; the write fails later.
  await Promise.resolve().then(() => Promise.resolve());
  const second = burst(topic, [{ records: texts("c") }, { records: texts("d") }]);
  await settle();
  assert.deepEqual(await second, ["DISK_FULL", "DISK_FULL"]);
  await life.clock.advance(1000);
  assert.deepEqual(await first, ["0-0", "1-1"]);
  assert.deepEqual(await burst(topic, [{ records: texts("e") }]), ["2-2"]);
  await life.node.close();
  const { node } = await startNode({ fs: life.fs.reopen(), seed: 2 });
  assert.deepEqual(await readAll(node, "default"), ["a", "b", "e"]);
  await node.close();
});

test("many callers cost few entries", async () => {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  const caller = async (name: number) => {
    for (let at = 0; at < 20; at += 1) await topic.produce({ records: texts(`${name}.${at}`) });
  };
  await Promise.all(Array.from({ length: 50 }, (_, name) => caller(name)));
  await settle();
  const entries = new Set((await entriesOf(life.fs)).map((entry) => entry.replace("!", "")));
  assert.equal(topic.status().nextOffset, 1000);
  assert.ok(entries.size <= 60, `${entries.size} entries`);
  await life.node.close();
});
