import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason } from "../../src/base/errors.ts";
import { Node } from "../../src/cluster/node.ts";
import { DEFAULT_TOPIC_SETTINGS } from "../../src/topics/settings.ts";
import { makeRandom, SeededRandom } from "../support/prng.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { SimFileSystem } from "../support/sim-file-system.ts";
import { recordsBeyond } from "../support/topic-reads.ts";
import { nodeOptions, readAll, startNode, texts } from "./harness.ts";

test("what was appended is there after a clean stop, which the next start neither scans nor applies", async () => {
  const first = await startNode();
  const topic = first.node.topics.topic("default");
  const ack = await topic.produce({ records: texts("a", "b") });
  assert.deepEqual(ack, {
    firstOffset: 0,
    lastOffset: 1,
    appendTimeUs: first.clock.wallUs(),
    durability: "synced-one",
    duplicate: false,
  });
  await topic.openProducer("p");
  await first.node.topics.create("other", { retentionBytes: 7 });
  await first.node.close();
  const fs = first.fs.reopen();
  const reads: string[] = [];
  fs.onStep((_, op, path) => {
    if (op === "read" || op === "write") reads.push(`${op} ${path}`);
  });
  const second = await startNode({ fs, seed: 2 });
  // One look at the last record, to see that the index fits.
  const atTopics = reads.filter((read) => /topics\/.*\.log|write topics\//.test(read));
  assert.deepEqual(atTopics, ["read topics/1/00000000000000000000.log"]);
  fs.onStep(undefined);
  assert.deepEqual(await readAll(second.node, "default"), ["a", "b"]);
  assert.deepEqual(second.node.topics.topic("other").info.settings, { retentionBytes: 7 });
  assert.equal(second.node.identity.nodeId, first.node.identity.nodeId);
  await second.node.close();
  assert.deepEqual([...first.failures, ...second.failures], []);
});

test("a second node on the same folder is refused, and changes nothing", async () => {
  const first = await startNode();
  const before = first.fs.dump();
  const second = Node.open({ ...nodeOptions(first.fs, 2), isAlive: ({ pid }) => pid === 1 });
  await assert.rejects(second, (error) => hasReason(error, "DATA_DIR_LOCKED"));
  assert.deepEqual(first.fs.dump(), before);
  await first.node.topics.topic("default").produce({ records: texts("a") });
  await first.node.close();
  await (await startNode({ fs: first.fs, seed: 3 })).node.close();
});

test("closing lets calls in flight finish, refuses new ones, and ends those who wait", async () => {
  const { node, failures } = await startNode();
  const topic = node.topics.topic("default");
  const waiting = recordsBeyond(topic, 5).catch((error) => error);
  const appended = topic.produce({ records: texts("a") });
  const closing = node.close();
  const late = topic.produce({ records: texts("b") });
  assert.equal((await appended).firstOffset, 0);
  await assert.rejects(late, (error) => hasReason(error, "DRAINING"));
  assert.ok(hasReason(await waiting, "DRAINING"));
  await closing;
  await node.close();
  await assert.rejects(topic.readRun(0, { recordsMax: 1, bytesMax: 1 }), (error) =>
    hasReason(error, "DRAINING"),
  );
  assert.deepEqual(failures, []);
});

test("many callers at once cost one flush, on one topic or on many", async () => {
  const { node, fs } = await startNode();
  for (let at = 0; at < 20; at += 1) await node.topics.create(`t${at}`, {});
  let writes = 0;
  fs.onStep((_, op, path) => {
    if (op === "write" && path.startsWith("journal/")) writes += 1;
  });
  const calls = Array.from({ length: 64 }, (_, at) =>
    node.topics.topic(`t${at % 20}`).produce({ records: texts("x") }),
  );
  await Promise.all(calls);
  assert.equal(writes, 1);
  await node.close();
});

function journalBytes(fs: SimFileSystem): number {
  const files = [...fs.dump()].filter(([path]) => path.startsWith("journal/"));
  return files.reduce((sum, [, content]) => sum + content.length, 0);
}

// Goal: the journal does not grow with what was appended. Method: far more flushes than it may hold, once with
// checkpoints that are quick, once with segments so small that syncing them takes longer than appending does.
for (const [kind, topicDefaults] of [
  ["usual", DEFAULT_TOPIC_SETTINGS],
  ["tiny", { ...DEFAULT_TOPIC_SETTINGS, maxSegmentBytes: 1024 }],
] as const) {
  test(`checkpoints in the background keep the journal short, with ${kind} segments`, async () => {
    const { node, fs, clock, failures } = await startNode({ settings: { topicDefaults } });
    await node.topics.create("idle", {});
    await node.topics.topic("idle").produce({ records: texts("once") });
    let most = 0;
    let isDone = false;
    const produce = async () => {
      for (let at = 0; at < 1_000; at += 1) {
        await node.topics.topic("default").produce({ records: texts("y".repeat(500)) });
        most = Math.max(most, journalBytes(fs));
      }
      isDone = true;
    };
    void produce();
    for (let steps = 0; !isDone && steps < 1_000; steps += 1) await clock.advance(100);
    assert.ok(isDone, "the producer hangs");
    // Twice `journalBytesMax`, the files ahead, and what came before a round had ended.
    assert.ok(most < 1_200_000, `the journal had ${most} bytes`);
    // As after kill -9: what was written is there.
    const next = await startNode({ fs: fs.reopen(), seed: 2 });
    assert.equal(next.node.topics.topic("default").status().nextOffset, 1_000);
    assert.deepEqual(await readAll(next.node, "idle"), ["once"]);
    await next.node.close();
    assert.deepEqual(failures, []);
  });
}

test("a folder with data of no node, or of a lost journal, is refused and kept", async () => {
  const { node, fs } = await startNode();
  await node.topics.topic("default").produce({ records: texts("a") });
  await node.close();
  const files = fs.dump();
  const without = (pattern: RegExp) => new Map([...files].filter(([path]) => !pattern.test(path)));
  const start = (dump: Map<string, Uint8Array>) => {
    const disk = SimFileSystem.fromDump(makeRandom(1), dump);
    return { disk, started: startNode({ fs: disk, seed: 2 }) };
  };
  const noNode = start(without(/^node\.json/));
  await assert.rejects(noNode.started, (error) => hasReason(error, "DATA_DIR_INVALID"));
  assert.deepEqual(noNode.disk.dump(), without(/^node\.json/));
  const noJournal = start(without(/^journal/));
  await assert.rejects(noJournal.started, (error) => hasReason(error, "JOURNAL_CORRUPT"));
  await assert.rejects(start(without(/^topics\/0\//)).started, (error) =>
    hasReason(error, "STORE_CORRUPT"),
  );
});

test("an unlisted folder is kept and reported, a half deleted one is deleted", async () => {
  const { node, fs } = await startNode();
  await node.close();
  const files = fs.dump();
  files.set("topics/77/00000000000000000000.log", new Uint8Array(5));
  files.set("topics/9.deleted/checkpoint", new Uint8Array(5));
  const disk = SimFileSystem.fromDump(makeRandom(1), files);
  const warnings: string[] = [];
  const options = nodeOptions(disk, 2);
  const logger = {
    ...options.logger,
    warn: (_: string, fields?: Readonly<Record<string, unknown>>) => {
      warnings.push(`${fields?.["dir"]}`);
    },
  };
  const next = await Node.open({ ...options, logger });
  assert.deepEqual(warnings, ["topics/77"]);
  assert.ok(disk.dump().has("topics/77/00000000000000000000.log"));
  assert.ok(!disk.dump().has("topics/9.deleted/checkpoint"));
  await next.close();
});

test("what was neither checkpointed nor closed is applied again, once", async () => {
  const first = await startNode();
  const { topics } = first.node;
  const { epoch } = await topics.topic("default").openProducer("p");
  const batch = { records: texts("a"), producer: { id: "p", epoch, sequence: 0 } };
  const ack = await topics.topic("default").produce(batch);
  await topics.create("made", { maxSegmentRecords: 5 });
  await topics.update("made", { retentionBytes: 9 }, ["maxSegmentRecords"]);
  await topics.topic("default").produce({ records: texts("b"), fencingToken: 7 });
  await topics.topic("default").trim(1);
  first.fs.crash(0);
  const second = await startNode({ fs: first.fs.reopen(), seed: 2 });
  const topic = second.node.topics.topic("default");
  assert.deepEqual(await readAll(second.node, "default"), ["b"]);
  assert.deepEqual(await topic.produce(batch), { ...ack, duplicate: true });
  await assert.rejects(topic.produce({ records: texts("c"), fencingToken: 6 }), (error) =>
    hasReason(error, "FENCED"),
  );
  assert.deepEqual(second.node.topics.topic("made").info.settings, { retentionBytes: 9 });
  await second.node.close();
});

test("with --sync none the end of the process loses nothing, and answers say so", async () => {
  const first = await startNode({ settings: { sync: "none" } });
  const ack = await first.node.topics.topic("default").produce({ records: texts("a") });
  assert.equal(ack.durability, "not-synced");
  const second = await startNode({ fs: first.fs.reopen(), seed: 2, settings: { sync: "none" } });
  assert.deepEqual(await readAll(second.node, "default"), ["a"]);
  await second.node.close();
});

test("a start that fails leaves no lock and no timer behind", async () => {
  const { node, fs } = await startNode();
  await node.close();
  const files = new Map([...fs.dump()].filter(([path]) => !path.startsWith("topics/0/")));
  const disk = SimFileSystem.fromDump(makeRandom(1), files);
  const clock = new SimClock();
  await assert.rejects(Node.open({ ...nodeOptions(disk, 2), clock, random: new SeededRandom(2) }));
  await settle();
  assert.ok(!disk.dump().has("LOCK"));
  assert.equal(clock.timerCount, 0);
});
