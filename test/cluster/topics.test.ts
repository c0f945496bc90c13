import assert from "node:assert/strict";
import { test } from "node:test";
import { hasReason, ProglogError } from "../../src/base/errors.ts";
import { ENVELOPE_BYTES_MAX } from "../../src/storage/envelope.ts";
import { DEFAULT_TOPIC_SETTINGS } from "../../src/topics/settings.ts";
import { FakeCall } from "../support/fake-call.ts";
import { settle } from "../support/sim-clock.ts";
import { recordsBeyond } from "../support/topic-reads.ts";
import { readAll, startNode, texts } from "./harness.ts";
import { liveThrough } from "./lives.ts";
import { refused, stop } from "./refusals.ts";

test("names, ids and settings decide which topic is meant, and errors say what is wrong", async () => {
  const life = await startNode({ settings: { topicCountMax: 4 } });
  const { topics } = life.node;
  await refused(() => topics.topic("No Name"), "TOPIC_NAME_INVALID");
  await refused(() => topics.topic("missing"), "TOPIC_NOT_FOUND");
  await refused(() => topics.topic("_cluster"), "TOPIC_NOT_FOUND");
  await refused(topics.create("_mine", {}), "TOPIC_NAME_INVALID");
  await refused(topics.create("default", {}), "TOPIC_EXISTS");
  const metadata = await refused(topics.create("a", { maxRecordBytes: 1 }), "SETTING_INVALID");
  assert.equal(metadata["field"], "maxRecordBytes");
  const made = await topics.create("a", { retentionBytes: 5 });
  assert.equal(made.id, 2);
  assert.equal(made.effectiveSettings.retentionBytes, 5);
  assert.equal(made.effectiveSettings.replicationFactor, 3);
  assert.equal(topics.topic("a", 2).info.name, "a");
  assert.equal((await refused(() => topics.topic("a", 7), "TOPIC_REPLACED"))["topicId"], "2");
  await topics.create("b", {});
  await topics.create("c", {});
  assert.equal((await refused(topics.create("d", {}), "TOPIC_LIMIT"))["topicCountMax"], "4");
  assert.deepEqual(
    topics.list({ limit: 2, after: "a" }).topics.map(({ name }) => name),
    ["b", "c"],
  );
  assert.ok(topics.list({ limit: 2 }).more);
  assert.ok(!topics.list({ limit: 2, prefix: "d" }).more);
  await refused(topics.delete("default"), "TOPIC_RESERVED");
  await refused(topics.delete("_cluster"), "TOPIC_RESERVED");
  await refused(topics.delete("a", 9), "TOPIC_REPLACED");
  await refused(topics.update("missing", {}, []), "TOPIC_NOT_FOUND");
  await refused(topics.update("a", { retentionAgeMs: 5 }, []), "SETTING_INVALID");
  const changed = await topics.update("a", { retentionAgeMs: 5_000 }, ["retentionBytes"]);
  assert.deepEqual(changed.settings, { retentionAgeMs: 5_000 });
  await stop(life);
});

test("a deleted topic is gone for all who hold it, and its name is free for another", async () => {
  const life = await startNode();
  const { topics } = life.node;
  await topics.create("a", {});
  const old = topics.topic("a");
  await old.produce({ records: texts("old") });
  const waiting = recordsBeyond(old, 1);
  const deleted = topics.delete("a", old.info.id);
  await refused(waiting, "TOPIC_NOT_FOUND");
  await deleted;
  await refused(old.produce({ records: texts("x") }), "TOPIC_NOT_FOUND");
  await refused(old.readRun(0, { recordsMax: 1, bytesMax: 1 }), "TOPIC_NOT_FOUND");
  await refused(() => old.status(), "TOPIC_NOT_FOUND");
  await refused(recordsBeyond(old, 0), "TOPIC_NOT_FOUND");
  await refused(() => topics.topic("a"), "TOPIC_NOT_FOUND");
  const made = await topics.create("a", {});
  assert.ok(made.id > old.info.id);
  assert.equal(topics.topic("a").status().nextOffset, 0);
  await refused(() => topics.topic("a", old.info.id), "TOPIC_REPLACED");
  await refused(topics.delete("a", old.info.id), "TOPIC_REPLACED");
  assert.deepEqual(
    [...life.fs.dump().keys()].filter((path) => path.startsWith(`topics/${old.info.id}`)),
    [],
  );
  await stop(life);
});

test("creating, deleting and producing at once ends as if one came after the other", async () => {
  const life = await startNode();
  const { topics } = life.node;
  const creates = await Promise.allSettled([1, 2, 3].map(() => topics.create("a", {})));
  assert.equal(creates.filter(({ status }) => status === "fulfilled").length, 1);
  const topic = topics.topic("a");
  const produced = [1, 2, 3].map(() => topic.produce({ records: texts("x") }));
  const results = await Promise.allSettled([...produced, topics.delete("a"), topics.delete("a")]);
  for (const result of results) {
    if (result.status === "rejected") assert.ok(hasReason(result.reason, "TOPIC_NOT_FOUND"));
  }
  await topics.create("a", {});
  assert.equal((await topics.topic("a").produce({ records: texts("y") })).firstOffset, 0);
  await stop(life);
});

test("a batch is refused for what is wrong with it, with the numbers, and nothing is appended", async () => {
  const life = await startNode();
  await life.node.topics.create("small", { maxRecordBytes: 1024 });
  const topic = life.node.topics.topic("small");
  await refused(topic.produce({ records: [] }), "BATCH_EMPTY");
  const most = 1024 - ENVELOPE_BYTES_MAX;
  const tooLarge = [new Uint8Array(1), new Uint8Array(most + 1)];
  assert.deepEqual(await refused(topic.produce({ records: tooLarge }), "RECORD_TOO_LARGE"), {
    recordNumber: "1",
    recordBytes: "1025",
    recordBytesMax: "1024",
  });
  await topic.produce({ records: [new Uint8Array(most), new Uint8Array(0)] });
  assert.equal(topic.status().nextOffset, 2);
  const { epoch } = await topic.openProducer("p");
  const producer = (sequence: number, of = epoch) => ({ id: "p", epoch: of, sequence });
  const [one] = [texts("1")];
  await refused(topic.produce({ records: one, expectedNextOffset: 1 }), "OFFSET_MISMATCH");
  await refused(topic.produce({ records: one, producer: producer(1) }), "SEQUENCE_GAP");
  await refused(topic.produce({ records: one, producer: producer(0, 1) }), "PRODUCER_FENCED");
  const unknown = { id: "q", epoch, sequence: 0 };
  await refused(topic.produce({ records: one, producer: unknown }), "PRODUCER_UNKNOWN");
  await refused(topic.openProducer("not valid"), "FIELD_INVALID");
  await topic.produce({
    records: one,
    fencingToken: 9,
    producer: producer(0),
    expectedNextOffset: 2,
  });
  await refused(topic.produce({ records: one, fencingToken: 8 }), "FENCED");
  assert.equal(topic.status().nextOffset, 3);
  await stop(life);
});

test("batches of a caller who does not wait are appended in the order of the calls", async () => {
  const life = await startNode({ settings: { topicInFlightBytesMax: 2_000 } });
  const topic = life.node.topics.topic("default");
  const calls = Array.from({ length: 200 }, (_, at) => topic.produce({ records: texts(`${at}`) }));
  const offsets = (await Promise.all(calls)).map(({ firstOffset }) => firstOffset);
  assert.deepEqual(offsets, [...offsets.keys()]);
  await stop(life);
});

test("beyond what may be in flight calls wait until they give up, and too many are refused", async () => {
  const settings = { topicInFlightBytesMax: 1_000, waitingCountMax: 2 };
  const life = await startNode({ settings });
  const topic = life.node.topics.topic("default");
  const letGo = life.fs.hold({ op: "write", path: /^journal/ });
  const big = [new Uint8Array(900)];
  const first = topic.produce({ records: big });
  const deadline = new FakeCall();
  const second = topic.produce({ records: big }, { caller: deadline });
  const third = topic.produce({ records: big });
  await refused(topic.produce({ records: big }), "RATE_LIMITED");
  deadline.abort(new ProglogError("DEADLINE_EXCEEDED", "Too late"));
  assert.equal((await refused(second, "DEADLINE_EXCEEDED"))["outcome"], "none");
  const watched = new FakeCall();
  const fourth = topic.produce({ records: big }, { caller: watched });
  await settle();
  letGo();
  assert.equal((await first).firstOffset, 0);
  assert.equal((await third).firstOffset, 1);
  assert.equal((await fourth).firstOffset, 2);
  await stop(life);
});

test("giving up after a batch was journalled says that its outcome is unknown, and it is appended", async () => {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  const letGo = life.fs.hold({ op: "write", path: /^journal/ });
  const caller = new FakeCall();
  const call = topic.produce({ records: texts("a") }, { caller });
  await settle();
  caller.abort();
  assert.equal((await refused(call, "CANCELED"))["outcome"], "unknown");
  letGo();
  await settle();
  assert.deepEqual(await readAll(life.node, "default"), ["a"]);
  await stop(life);
});

test("append time never goes back, though the clock does", async () => {
  const life = await startNode();
  const topic = life.node.topics.topic("default");
  const first = await topic.produce({ records: texts("a") });
  life.clock.jumpWall(-3_600_000_000);
  const second = await topic.produce({ records: texts("b") });
  assert.equal(second.appendTimeUs, first.appendTimeUs);
  await stop(life);
});

test("retention trims by size and by append time, in whole segments, and files go", async () => {
  const life = await startNode({ settings: { retentionIntervalMs: 10_000 } });
  const { topics } = life.node;
  await topics.create("sized", { retentionBytes: 3_000, maxSegmentBytes: 1024 });
  await topics.create("aged", { retentionAgeMs: 60_000, maxSegmentRecords: 2 });
  await topics.create("kept", {});
  const names = ["sized", "aged", "kept"];
  for (let at = 0; at < 40; at += 1) {
    for (const name of names) await topics.topic(name).produce({ records: texts("x".repeat(200)) });
    await life.clock.advance(1_000);
  }
  await life.clock.advance(11_000);
  const sized = topics.topic("sized").status();
  assert.ok(sized.diskBytes <= 3_000 + 1_300, `${sized.diskBytes} bytes are left`);
  assert.ok(sized.firstOffset > 20 && sized.firstOffset < 40);
  assert.equal(topics.topic("aged").status().firstOffset, 0);
  assert.equal(topics.topic("kept").status().firstOffset, 0);
  await life.clock.advance(40_000);
  const aged = topics.topic("aged").status().firstOffset;
  assert.ok(aged >= 20 && aged < 40, `aged begins at ${aged}`);
  await life.clock.advance(60_000);
  assert.equal(topics.topic("aged").status().firstOffset, 40, "the last segment stayed for ever");
  const files = [...life.fs.dump().keys()].filter((path) => path.startsWith("topics/3/0"));
  assert.ok(files.length <= 2, `trimmed files are left: ${files}`);
  await topics.update("kept", { retentionBytes: 1_000 }, []);
  await life.clock.advance(11_000);
  assert.ok(topics.topic("kept").status().firstOffset > 0, "new settings had no effect");
  assert.equal((await topics.topic("aged").produce({ records: texts("z") })).firstOffset, 40);
  await stop(life);
  const next = await startNode({ fs: life.fs.reopen(), seed: 2 });
  assert.deepEqual(await readAll(next.node, "aged"), ["z"]);
  await stop(next);
});

test("new segment sizes take effect with the next batch", async () => {
  const life = await startNode({ settings: { topicDefaults: DEFAULT_TOPIC_SETTINGS } });
  const { topics } = life.node;
  await topics.create("a", {});
  const produce = () => topics.topic("a").produce({ records: texts("x", "y") });
  for (let at = 0; at < 3; at += 1) await produce();
  await topics.update("a", { maxSegmentRecords: 2 }, []);
  for (let at = 0; at < 3; at += 1) await produce();
  await settle();
  const bases = [...life.fs.dump().keys()]
    .filter((path) => /^topics\/2\/.*\.log$/.test(path))
    .map((path) => Number(path.slice(9, -4)));
  assert.deepEqual(bases, [0, 6, 8, 10]);
  await liveThrough(life, () => stop(life));
});
