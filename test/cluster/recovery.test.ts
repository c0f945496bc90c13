import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { Journal } from "../../src/journal/journal.ts";
import { DEFAULT_TOPIC_SETTINGS } from "../../src/topics/settings.ts";
import { makeRandom } from "../support/prng.ts";
import { settle } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import { readRecords } from "../support/topic-reads.ts";
import { nodeOptions, readAll, SMALL, startNode, texts } from "./harness.ts";
import { expectedTexts, flip, startOn, stoppedNode } from "./stopped-node.ts";

const FIRST_STORE = "topics/1/00000000000000000000.log";

test("a lost index is made anew", async () => {
  const { files } = await stoppedNode();
  for (const path of [...files.keys()]) if (path.endsWith(".idx")) files.delete(path);
  const { node } = await startOn(files);
  assert.deepEqual(await readAll(node, "default"), expectedTexts(30));
  await node.close();
});

test("damage below the checkpoint is told with topic and offset to its readers, to nobody else", async () => {
  const { life } = await stoppedNode();
  const second = await startNode({ fs: life.fs.reopen(), seed: 2 });
  await second.node.topics.create("other", {});
  await second.node.topics.topic("other").produce({ records: texts("fine") });
  await second.node.close();
  const files = second.fs.dump();
  // In the data of the fourth record: its frame's length still fits.
  const size = (files.get(FIRST_STORE)?.length ?? 0) / 16;
  flip(files, FIRST_STORE, Math.floor(size * 3.9));
  const { node } = await startOn(files);
  const topic = node.topics.topic("default");
  const limits = { recordsMax: 100, bytesMax: 10_000 };
  const before = await readRecords(topic, 0, limits);
  assert.deepEqual(before.records.length, 3, "records before the damage are to be had");
  assert.equal(before.resumeOffset, 3);
  await assert.rejects(
    topic.readRun(3, limits),
    (error) =>
      hasReason(error, "STORE_CORRUPT") &&
      error.metadata["topic"] === "default" &&
      error.metadata["offset"] === "3",
  );
  assert.equal((await topic.readRun(4, limits)).offsets[0], 4);
  assert.deepEqual(await readAll(node, "other"), ["fine"]);
  assert.equal((await topic.produce({ records: texts("x") })).firstOffset, 60);
  await node.close();
});

// Goal: one damaged topic does not take the others away. Method: harm the files of one of two topics so that it
// cannot be opened, start, use the other one until journal files are used again, restart, delete the damaged one.
for (const [what, harm] of [
  ["is shorter than its checkpoint says", cutStore],
  ["is missing", (files: Map<string, Uint8Array>) => files.delete(FIRST_STORE)],
  ["is in a folder that is missing", removeTopicFolder],
] as const) {
  test(`a topic whose store ${what} is kept as it is, and the others are served`, async () => {
    const { life } = await stoppedNode();
    const second = await startNode({ fs: life.fs.reopen(), seed: 2 });
    await second.node.topics.create("other", {});
    // Not in its checkpoint: only the journal has it.
    await second.node.topics.topic("default").produce({ records: texts("journalled") });
    await settle();
    const whole = second.fs.reopen().dump();
    const files = new Map(whole);
    harm(files);
    const { node, messages, disk, clock } = await startOn(files);
    assert.match(messages.join(), /damaged and not served/);
    const isDamage = (error: unknown) =>
      hasReason(error, "STORE_CORRUPT") && error.metadata["topic"] === "default";
    assert.throws(() => node.topics.topic("default"), isDamage);
    const names = node.topics.list({ limit: 10 }).topics.map(({ name }) => name);
    assert.deepEqual(names, ["default", "other"]);
    const other = node.topics.topic("other");
    const value = new Uint8Array(8_000);
    for (let count = 0; count < 200; count += 1) {
      const answer = other.produce({ records: [value] });
      // Appends may be held back until the journal is shorter.
      await clock.advance(100);
      await answer;
    }
    await node.close();
    const stopped = disk.dump();
    assert.deepEqual(stopped.get(FIRST_STORE), files.get(FIRST_STORE), "the files are kept");
    const journal = [...stopped.keys()].filter((path) => path.startsWith("journal/"));
    assert.ok(journal.length < 20, `the journal grew to ${journal.length} files`);
    // The damage is mended: what the journal kept is there as well.
    const mended = new Map(stopped);
    for (const [path, bytes] of whole) if (path.startsWith("topics/1/")) mended.set(path, bytes);
    const healed = await startOn(mended);
    assert.deepEqual(await readAll(healed.node, "default"), [...expectedTexts(30), "journalled"]);
    await healed.node.close();
    // Or it is given up.
    const again = await startOn(stopped);
    assert.throws(() => again.node.topics.topic("default"), isDamage);
    assert.equal(again.node.topics.topic("other").status().nextOffset, 200);
    await again.node.close();
  });
}

test("a damaged topic can be deleted, and its name used again", async () => {
  const first = await startNode();
  const { id } = await first.node.topics.create("broken", {});
  await first.node.topics.topic("broken").produce({ records: texts("x") });
  await first.node.close();
  const files = first.fs.dump();
  const store = `topics/${id}/00000000000000000000.log`;
  assert.ok(files.delete(store));
  const { node, disk } = await startOn(files);
  assert.throws(() => node.topics.topic("broken"), /Cannot open|damaged|missing|ENOENT/);
  await node.topics.delete("broken");
  const made = await node.topics.create("broken", {});
  assert.notEqual(made.id, id);
  await node.topics.topic("broken").produce({ records: texts("y") });
  assert.deepEqual(await readAll(node, "broken"), ["y"]);
  await node.close();
  const left = [...disk.dump().keys()].filter((path) => path.startsWith(`topics/${id}`));
  assert.deepEqual(left, []);
});

function cutStore(files: Map<string, Uint8Array>): void {
  files.set(FIRST_STORE, (files.get(FIRST_STORE) ?? new Uint8Array()).slice(0, -1));
}

function removeTopicFolder(files: Map<string, Uint8Array>): void {
  for (const path of [...files.keys()]) if (path.startsWith("topics/1/")) files.delete(path);
}

test("an entry of an unknown version or kind stops the start, and is not passed over", async () => {
  for (const payload of [Uint8Array.of(2, 1, 0), Uint8Array.of(1, 99, 0), Uint8Array.of()]) {
    const { files } = await stoppedNode();
    const disk = SimFileSystem.fromDump(makeRandom(3), files);
    const journal = await Journal.open({
      ...nodeOptions(disk, 3),
      fileBytes: SMALL.journalFileBytes ?? 0,
      sync: "always",
      onFailure: (error) => assert.fail(error),
    });
    const index = journal.lastIndex(2) + 1;
    await new Promise<void>((resolve) => {
      const entry = { index, term: 1, kind: 0, payload: [payload] };
      journal.appendRaft({ replicaId: 2, entries: [entry] }, () => resolve());
    });
    await journal.close();
    const start = startNode({ fs: disk, seed: 3 });
    await assert.rejects(start, /unknown version|unknown kind|Bytes end/);
  }
});

// Goal: the journal never counts on a checkpoint that a power cut can take back. Method: kill the process between
// the checkpoint's rename and the sync of its folder, start again, let the journal drop entries, cut the power.
test("a checkpoint whose folder was not synced is made durable before the journal counts on it", async () => {
  const settings = { topicDefaults: DEFAULT_TOPIC_SETTINGS };
  const first = await startNode({ settings });
  const { epoch } = await first.node.topics.topic("default").openProducer("p");
  const batch = { records: texts("a"), producer: { id: "p", epoch, sequence: 0 } };
  const ack = await first.node.topics.topic("default").produce(batch);
  let isRenamed = false;
  first.fs.onStep((_, op, path) => {
    if (op === "rename" && path === "topics/1/checkpoint.tmp") isRenamed = true;
    if (isRenamed && op === "syncDir" && path === "topics/1") throw new SimCrash();
  });
  void first.node.close().catch(() => {});
  await settle();
  assert.ok(first.fs.isStopped, "no checkpoint was written");
  const second = await startNode({ fs: first.fs.reopen(), seed: 2, settings });
  // Nothing more for this topic, so no other checkpoint of it; but the journal goes round.
  await second.node.topics.create("other", {});
  for (let at = 0; at < 100; at += 1) {
    await second.node.topics.topic("other").produce({ records: texts("o".repeat(800)) });
  }
  await settle();
  second.fs.crash(0);
  const third = await startNode({ fs: second.fs.reopen(), seed: 3, settings });
  // A producer is only in the checkpoint, not in the records.
  const again = await third.node.topics.topic("default").produce(batch);
  assert.deepEqual(again, { ...ack, duplicate: true });
  await third.node.close();
});

// The same of the journal's own files: kill the process before each sync of their folder, start again, append, cut
// the power.
test("a journal file whose name was not synced is made durable before something is in it", async () => {
  let kills = 0;
  for (;;) {
    const fs = new SimFileSystem(makeRandom(kills + 1));
    let syncs = 0;
    fs.onStep((_, op, path) => {
      if (op === "syncDir" && path === "journal") syncs += 1;
      if (syncs > kills) throw new SimCrash();
    });
    void startNode({ fs }).catch(() => {});
    await settle();
    if (!fs.isStopped) break;
    kills += 1;
    const second = await startNode({ fs: fs.reopen(), seed: 2 });
    await second.node.topics.topic("default").produce({ records: texts("a") });
    second.fs.crash(0);
    const third = await startNode({ fs: second.fs.reopen(), seed: 3 });
    assert.deepEqual(await readAll(third.node, "default"), ["a"], `killed at sync ${kills}`);
  }
  assert.ok(kills > 0, "the journal's folder was never synced");
});

test("a start takes no longer for records that are checkpointed", async () => {
  const count = async (batches: number) => {
    const life = await startNode({ settings: { topicDefaults: DEFAULT_TOPIC_SETTINGS } });
    for (let at = 0; at < batches; at += 1) {
      await life.node.topics.topic("default").produce({ records: texts("x".repeat(300)) });
    }
    await life.node.close();
    const fs = life.fs.reopen();
    const next = await startNode({ fs, seed: 2 });
    const { steps } = fs;
    await next.node.close();
    return steps;
  };
  const [few, many] = [await count(10), await count(200)];
  // A file of the journal may have become full right before the stop: then the next one is made.
  assert.ok(few > 10 && many <= few + 20, `${few} operations for 10 batches, ${many} for 200`);
});

test("a folder of somebody else is left alone, and one that only a file system has touched is taken", async () => {
  const foreign = new Map([["photos/cat.jpg", new Uint8Array(3)]]);
  await assert.rejects(
    startOn(foreign),
    (error) => hasReason(error, "DATA_DIR_INVALID") && /"photos"/.test(error.message),
  );
  const own = new Map([
    [".snapshot", new Uint8Array()],
    ["lost+found/x", new Uint8Array()],
    ["node.json.tmp", new Uint8Array(7)],
    ["reserve", new Uint8Array(9)],
  ]);
  const { node } = await startOn(own);
  await node.topics.topic("default").produce({ records: texts("a") });
  await node.close();
});

// Goal: many topics are recovered in one pass over the journal. Method: interleave batches of many
// topics, crash, start while the reads of the journal are counted; then compare every topic.
test("after a crash the journal is read once, however many topics it has", async () => {
  const first = await startNode();
  const names = Array.from({ length: 40 }, (_, index) => `t${index}`);
  for (const name of names) await first.node.topics.create(name, {});
  const value = "x".repeat(60);
  for (let round = 0; round < 4; round += 1) {
    const sent = names.map((name) =>
      first.node.topics.topic(name).produce({ records: texts(`${name}-${round}-${value}`) }),
    );
    await Promise.all(sent);
  }
  const disk = first.fs.reopen();
  let journalReads = 0;
  disk.onStep((_, op, path) => {
    if (op === "read" && path.startsWith("journal/")) journalReads += 1;
  });
  const second = await startNode({ fs: disk, seed: 2 });
  assert.ok(journalReads < names.length, `the journal was read ${journalReads} times`);
  for (const name of names) {
    const want = [0, 1, 2, 3].map((round) => `${name}-${round}-${value}`);
    assert.deepEqual(await readAll(second.node, name), want);
  }
  await second.node.close();
});
