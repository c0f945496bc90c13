import assert from "node:assert/strict";
import { test } from "node:test";
import { toOffset } from "../../src/base/units.ts";
import {
  deletedTopicDir,
  indexName,
  joinPath,
  parentOf,
  parseSegmentFileName,
  parseTopicDirName,
  storeName,
  topicDir,
} from "../../src/storage/layout.ts";

test("names that are not exactly those of segments are not read as such", () => {
  const others = ["0.log", "0000000000000000000.log", "00000000000000000000.txt", "checkpoint"];
  const tails = [
    "00000000000000000000.log.tmp",
    "x00000000000000000000.log",
    "-0000000000000000001.log",
  ];
  for (const name of [...others, ...tails]) assert.equal(parseSegmentFileName(name), undefined);
});

test("a segment's files are named by its base in 20 digits, and read back", () => {
  for (const base of [0, 1, 10_000, Number.MAX_SAFE_INTEGER]) {
    assert.equal(storeName(toOffset(base)).length, 24);
    assert.deepEqual(parseSegmentFileName(storeName(toOffset(base))), { kind: "store", base });
    assert.deepEqual(parseSegmentFileName(indexName(toOffset(base))), { kind: "index", base });
  }
  assert.equal(storeName(toOffset(42)), "00000000000000000042.log");
  assert.equal(indexName(toOffset(42)), "00000000000000000042.idx");
});

test("topic folders are read back, and nothing else is one", () => {
  assert.deepEqual(parseTopicDirName("17"), { topicId: 17, isDeleted: false });
  assert.deepEqual(parseTopicDirName("17.deleted"), { topicId: 17, isDeleted: true });
  assert.equal(topicDir(17), "topics/17");
  assert.equal(deletedTopicDir(17), "topics/17.deleted");
  for (const name of ["", "017", "17.tmp", "a", "-1", "99999999999999999999"]) {
    assert.equal(parseTopicDirName(name), undefined, name);
  }
});

test("joinPath() and parentOf() undo each other, at the root too", () => {
  assert.equal(joinPath("", "a"), "a");
  assert.equal(joinPath("topics/1", "a"), "topics/1/a");
  assert.equal(parentOf("topics/1/a"), "topics/1");
  assert.equal(parentOf("a"), "");
});
