import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "../../src/base/bytes.ts";
import { hasReason } from "../../src/base/errors.ts";
import { checkProducerId, checkTopicName, isServerTopic } from "../../src/topics/names.ts";
import {
  changeSettings,
  checkSettings,
  DEFAULT_TOPIC_SETTINGS,
  effectiveSettings,
  readSettings,
  TOPIC_SETTINGS,
  writeSettings,
} from "../../src/topics/settings.ts";
import type { TopicSettingName } from "../../src/topics/topics.ts";

const NAMES = Object.keys(TOPIC_SETTINGS) as TopicSettingName[];

test("every setting takes both ends of its range and refuses what is beyond", () => {
  for (const name of NAMES) {
    const { min, max } = TOPIC_SETTINGS[name];
    for (const value of [min, max])
      assert.deepEqual(checkSettings({ [name]: value }), { [name]: value });
    const zero = "zeroIsOff" in TOPIC_SETTINGS[name] ? [] : [min - 1];
    for (const value of [...zero, max + 1, min + 0.5, Number.NaN, -1]) {
      assert.throws(
        () => checkSettings({ [name]: value }),
        (error) => hasReason(error, "SETTING_INVALID") && error.metadata["field"] === name,
        `${name}=${value}`,
      );
    }
  }
  assert.deepEqual(checkSettings({ retentionAgeMs: 0 }), { retentionAgeMs: 0 });
  assert.throws(() => checkSettings({ retentionAgeMs: 999 }), /must be 0 or 1000 to/);
});

test("the defaults are in their own ranges, and no tag stands for two settings", () => {
  assert.deepEqual(checkSettings(DEFAULT_TOPIC_SETTINGS), DEFAULT_TOPIC_SETTINGS);
  assert.equal(new Set(NAMES.map((name) => TOPIC_SETTINGS[name].tag)).size, NAMES.length);
});

test("what is set overrides the default, what is cleared goes back to it", () => {
  const settings = changeSettings(
    { retentionBytes: 5, maxSegmentBytes: 2048 },
    { retentionBytes: 6 },
    ["maxSegmentBytes"],
  );
  assert.deepEqual(settings, { retentionBytes: 6 });
  const defaults = { ...DEFAULT_TOPIC_SETTINGS, maxSegmentBytes: 4096 };
  const effective = effectiveSettings(settings, defaults);
  assert.equal(effective.retentionBytes, 6);
  assert.equal(effective.maxSegmentBytes, 4096);
  assert.equal(effective.maxRecordBytes, DEFAULT_TOPIC_SETTINGS.maxRecordBytes);
});

test("settings come back as they were encoded", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...NAMES), fc.maxSafeNat()), (settings) => {
      const writer = new ByteWriter();
      writeSettings(writer, settings);
      assert.deepEqual(readSettings(new ByteReader(writer.finish())), { ...settings });
    }),
  );
});

test("topic names follow the rule, and the server's own cannot be given", () => {
  const long = "a".repeat(128);
  for (const good of ["a", "0", "a-b", "a.b_c", "default", long]) checkTopicName(good);
  const bad = ["", "A", "-a", "a-", "a b", "ä", ".", "_cluster", `${long}a`, "a/b", "a\n"];
  for (const text of bad) {
    assert.throws(
      () => checkTopicName(text),
      (error) => hasReason(error, "TOPIC_NAME_INVALID") && "topic" in error.metadata,
      JSON.stringify(text),
    );
  }
  assert.ok(isServerTopic("_cluster"));
  assert.ok(!isServerTopic("cluster"));
  assert.throws(
    () => checkTopicName("x".repeat(10_000)),
    (error) => String(error).length < 400,
  );
});

test("producer ids follow the rule", () => {
  for (const good of ["a", "A.b-c_9", "x".repeat(64)]) checkProducerId(good);
  for (const bad of ["", "x".repeat(65), "a b", "ä", "a/b"]) {
    assert.throws(
      () => checkProducerId(bad),
      (error) => hasReason(error, "FIELD_INVALID"),
    );
  }
});
