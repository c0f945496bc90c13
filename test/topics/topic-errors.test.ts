import assert from "node:assert/strict";
import { test } from "node:test";
import { topicNotFound } from "../../src/topics/topic-errors.ts";

test("a topic that nobody can create is not told to be missing", () => {
  assert.equal(topicNotFound("a").message, 'Cannot use topic "a": there is none');
  const { reason, message } = topicNotFound("_cluster");
  assert.equal(reason, "TOPIC_NOT_FOUND");
  assert.match(message, /begin with _ are the server's own/);
});
