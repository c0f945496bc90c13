import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { BadRequestSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { readPageToken, writePageToken } from "../../src/rpc/page-token.ts";
import { recordOfValue } from "../../src/rpc/record-wire.ts";
import { clientsOf, failsWith, startApi, text, WAYS } from "./api.ts";
import { request } from "./ports.ts";

for (const way of WAYS) {
  test(`a topic from its making to its end (${way.name})`, async (t) => {
    const { port } = await startApi(t);
    const { topics, log } = clientsOf(port, way);
    const created = await topics.createTopic({
      topic: "orders",
      settings: { maxRecordBytes: 2048, retentionAge: { seconds: 60n, nanos: 500_000_000 } },
    });
    assert.equal(created.topic?.id, 2n);
    assert.equal(created.topic?.settings?.maxRecordBytes, 2048);
    assert.equal(created.topic?.settings?.maxSegmentBytes, undefined);
    assert.equal(created.topic?.effectiveSettings?.maxSegmentBytes, 64 * 2 ** 20);
    assert.equal(created.topic?.effectiveSettings?.retentionBytes, 0n);
    assert.deepEqual(created.topic?.effectiveSettings?.retentionAge?.nanos, 500_000_000);
    assert.ok(created.topic?.createTime !== undefined);
    await failsWith(topics.createTopic({ topic: "orders" }), "TOPIC_EXISTS");

    const empty = await topics.getTopic({ topic: "orders" });
    assert.equal(empty.status?.lastAppendTimeUnixUs, undefined);
    await log.produce({ topic: "orders", records: [{}, {}, {}] });
    const full = await topics.getTopic({ topic: "orders" });
    assert.deepEqual([full.status?.firstOffset, full.status?.nextOffset], [0n, 3n]);
    assert.ok(full.status?.lastAppendTimeUnixUs !== undefined);
    assert.equal(full.status?.leader?.serverId, "server-1");
    assert.equal(full.status?.leader?.address, "127.0.0.1:8400");

    const found = await topics.findOffset({
      topic: "orders",
      start: { case: "lastRecords", value: 1n },
    });
    assert.deepEqual(
      [found.offset, found.firstOffset, found.nextOffset, found.topicId],
      [2n, 0n, 3n, 2n],
    );
    assert.equal((await topics.findOffset({ topic: "orders" })).offset, 0n);
    assert.equal((await topics.trimTopic({ topic: "orders", beforeOffset: 2n })).firstOffset, 2n);
    const above = topics.trimTopic({ topic: "orders", beforeOffset: 2n ** 60n });
    await failsWith(above, "OFFSET_OUT_OF_RANGE");

    await failsWith(topics.deleteTopic({ topic: "orders", topicId: 1n }), "TOPIC_REPLACED");
    await topics.deleteTopic({ topic: "orders", topicId: 2n });
    await failsWith(topics.getTopic({ topic: "orders" }), "TOPIC_NOT_FOUND");
    await failsWith(topics.deleteTopic({ topic: "default" }), "TOPIC_RESERVED");
  });
}

test("an update changes what it names, and nothing else", async (t) => {
  const { port } = await startApi(t);
  const { topics } = clientsOf(port);
  await topics.createTopic({
    topic: "a",
    settings: { maxRecordBytes: 2048, maxSegmentBytes: 4096, retentionBytes: 1000n },
  });
  const update = async (settings: object, paths?: string[]) => {
    const updateMask = paths && { updateMask: { paths } };
    const { topic } = await topics.updateTopic({ topic: "a", settings, ...updateMask });
    const { maxRecordBytes, maxSegmentBytes, retentionBytes, retentionAge } = topic?.settings ?? {};
    return [maxRecordBytes, maxSegmentBytes, retentionBytes, retentionAge?.seconds];
  };
  const both = { maxRecordBytes: 5000, maxSegmentBytes: 5000 };
  assert.deepEqual(await update({ maxRecordBytes: 3000 }), [3000, 4096, 1000n, undefined]);
  assert.deepEqual(await update(both, ["max_segment_bytes"]), [3000, 5000, 1000n, undefined]);
  assert.deepEqual(await update({}, ["max_record_bytes"]), [undefined, 5000, 1000n, undefined]);
  assert.deepEqual(await update({ retentionBytes: 0n }), [undefined, 5000, 0n, undefined]);
  const age = { retentionAge: { seconds: 9n } };
  assert.deepEqual(await update(age, ["retention_age"]), [undefined, 5000, 0n, 9n]);
  assert.deepEqual(await update({}, []), [undefined, 5000, 0n, 9n]);
  const unknown = topics.updateTopic({ topic: "a", updateMask: { paths: ["colour"] } });
  assert.deepEqual(await failsWith(unknown, "FIELD_INVALID"), { field: "update_mask" });
});

test("a mask works in JSON, where paths are in camel case", async (t) => {
  const { port, topics } = await startApi(t);
  await topics.create("a", { retentionAgeMs: 5000, maxRecordBytes: 2000 });
  const body = JSON.stringify({ topic: "a", updateMask: "retentionAge" });
  const headers = { "content-type": "application/json" };
  const path = "/proglog.v1.TopicService/UpdateTopic";
  const answer = await request(port, path, { method: "POST", headers, body });
  assert.equal(answer.status, 200, answer.body);
  assert.deepEqual(topics.topic("a").info.settings, { maxRecordBytes: 2000 });
});

test("a setting out of its range is named as in the proto file", async (t) => {
  const { port } = await startApi(t);
  const { topics } = clientsOf(port);
  const cases = [
    [{ maxRecordBytes: 1 }, "settings.max_record_bytes"],
    [{ retentionAge: { nanos: 1_000_000 } }, "settings.retention_age"],
    [{ replicationFactor: 9 }, "settings.replication_factor"],
  ] as const;
  for (const [settings, field] of cases) {
    const refused = topics.createTopic({ topic: "a", settings });
    assert.equal((await failsWith(refused, "SETTING_INVALID"))["field"], field);
    await assert.rejects(refused, (thrown) => {
      const [violation] = ConnectError.from(thrown)
        .findDetails(BadRequestSchema)
        .flatMap(({ fieldViolations }) => fieldViolations);
      assert.equal(violation?.field, field);
      assert.ok(violation?.description.includes(field.replace("settings.", "")));
      return true;
    });
    await failsWith(topics.updateTopic({ topic: "default", settings }), "SETTING_INVALID");
  }
});

test("a setting that no number here can hold is refused, and not made to fit", async (t) => {
  const { port, topics: fake } = await startApi(t);
  const { topics } = clientsOf(port);
  const largest = BigInt(Number.MAX_SAFE_INTEGER);
  const cases = [
    [{ retentionAge: { seconds: -1n } }, "settings.retention_age"],
    [{ retentionAge: { nanos: -1 } }, "settings.retention_age"],
    [{ retentionAge: { nanos: 2_000_000_000 } }, "settings.retention_age"],
    [{ retentionAge: { seconds: largest } }, "settings.retention_age"],
    [{ retentionAge: { seconds: 2n ** 63n - 1n } }, "settings.retention_age"],
    [{ retentionBytes: largest + 1n }, "settings.retention_bytes"],
    [{ retentionBytes: 2n ** 64n - 1n }, "settings.retention_bytes"],
  ] as const;
  for (const [settings, field] of cases) {
    for (const call of [
      topics.createTopic({ topic: "a", settings }),
      topics.updateTopic({ topic: "default", settings }),
    ]) {
      assert.equal((await failsWith(call, "SETTING_INVALID"))["field"], field);
    }
  }
  assert.deepEqual(fake.topic("default").info.settings, {});
  const settings = { retentionBytes: largest };
  const { topic } = await topics.updateTopic({ topic: "default", settings });
  assert.equal(topic?.settings?.retentionBytes, largest);
});

test("a retention of less than a millisecond does not become one for ever", async (t) => {
  const { port } = await startApi(t);
  const { topics } = clientsOf(port);
  const settings = { retentionAge: { seconds: 0n, nanos: 1 } };
  await failsWith(topics.createTopic({ topic: "a", settings }), "SETTING_INVALID");
});

test("pages of a list have every topic once, in order, whatever comes meanwhile", async (t) => {
  const { port, topics: fake } = await startApi(t);
  const { topics } = clientsOf(port);
  const names = Array.from({ length: 25 }, (_, n) => `t${n}`);
  for (const name of names) await fake.create(name, {});
  const seen: string[] = [];
  let pageToken = "";
  for (let page = 0; page === 0 || pageToken !== ""; page += 1) {
    const answer = await topics.listTopics({ pageSize: 4, pageToken, namePrefix: "t" });
    assert.ok(answer.topics.length <= 4);
    seen.push(...answer.topics.map(({ name }) => name));
    pageToken = answer.nextPageToken;
    if (page === 2) await fake.delete(seen.at(-1) ?? "");
  }
  assert.deepEqual(seen, names.toSorted());
  const all = await topics.listTopics({});
  assert.equal(all.topics.length, 25);
  assert.equal(all.nextPageToken, "");
  const negative = topics.listTopics({ pageSize: -1 });
  assert.deepEqual(await failsWith(negative, "FIELD_INVALID"), { field: "page_size" });
});

test("a page token is refused when it was made up, changed, or is from another list", async (t) => {
  const { port, topics: fake } = await startApi(t);
  const { topics } = clientsOf(port);
  for (let n = 0; n < 9; n += 1) await fake.create(`t${n}`, {});
  const { nextPageToken } = await topics.listTopics({ pageSize: 2, namePrefix: "t" });
  const bad = [
    [nextPageToken, "other"],
    [nextPageToken.slice(0, -2), "t"],
    ["AAAA", "t"],
    ["!", "t"],
  ] as const;
  for (const [pageToken, namePrefix] of bad) {
    const refused = topics.listTopics({ pageToken, namePrefix });
    assert.deepEqual(await failsWith(refused, "FIELD_INVALID"), { field: "page_token" });
  }
});

test("page tokens come back, and no other text is one", () => {
  const name = fc.string({ maxLength: 20 });
  fc.assert(
    fc.property(name, name, (prefix, after) => {
      assert.deepEqual(readPageToken(writePageToken({ prefix, after }), prefix), { prefix, after });
    }),
  );
  fc.assert(
    fc.property(name, name, fc.nat(), fc.nat(255), (prefix, after, at, byte) => {
      const token = Buffer.from(writePageToken({ prefix, after }), "base64url");
      const place = at % token.length;
      if (token[place] === byte) return;
      token[place] = byte;
      assert.throws(() => readPageToken(token.toString("base64url"), prefix));
    }),
  );
});

test("an offset is found by time", async (t) => {
  const { port, topics: fake } = await startApi(t);
  fake.topic("default").append(recordOfValue(text("a")), recordOfValue(text("b")));
  const { topics } = clientsOf(port);
  const value = 1_767_225_600_000_001n;
  const start = { case: "appendTimeUnixUs", value } as const;
  assert.equal((await topics.findOffset({ topic: "default", start })).offset, 1n);
});
