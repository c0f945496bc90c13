import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvariantError, assert as invariant, never } from "../../src/base/assert.ts";
import { hasReason, ProglogError, platformCode } from "../../src/base/errors.ts";
import { REASONS, type ReasonInfo } from "../../src/base/reasons.ts";

const TABLE: readonly (readonly [string, ReasonInfo])[] = Object.entries(REASONS);

describe("every reason", () => {
  // google.rpc.ErrorInfo.reason: at most 63 characters, [A-Z][A-Z0-9_]+[A-Z0-9].
  test("has a key that google.rpc.ErrorInfo allows", () => {
    for (const [key] of TABLE) {
      assert.match(key, /^[A-Z][A-Z0-9_]+[A-Z0-9]$/);
      assert.ok(key.length <= 63, key);
    }
    assert.ok(TABLE.length > 30);
  });

  test("says when it happens and what to do, in sentences", () => {
    for (const [key, { when, fix }] of TABLE) {
      for (const text of [when, fix]) {
        assert.match(text, /^[A-Z`].*\S\.$/, key);
        assert.doesNotMatch(text, / {2}|\n|failed to|please/i, key);
      }
    }
  });

  test("names its metadata in lower camel case, each key once", () => {
    for (const [key, { metadata = [] }] of TABLE) {
      for (const name of metadata) assert.match(name, /^[a-z][a-zA-Z0-9]*$/, key);
      assert.equal(new Set(metadata).size, metadata.length, key);
    }
  });

  test("may be tried again only under a code that clients try again under", () => {
    for (const [key, { code, retry }] of TABLE) {
      if (retry === "after-backoff" || retry === "at-leader") {
        // ABORTED is tried again "at a higher level" (google.rpc.Code): the call is repeated whole.
        assert.ok(["unavailable", "resource_exhausted", "aborted"].includes(code), key);
      }
      if (retry === "at-leader") assert.equal(code, "unavailable", key);
      if (code === "unavailable") assert.notEqual(retry, "no", key);
    }
  });
});

describe("ProglogError", () => {
  test("carries reason, message, metadata and cause", () => {
    const cause = new Error("disk");
    const error = new ProglogError("DISK_FULL", "Cannot append", { metadata: { a: "1" }, cause });
    assert.equal(error.reason, "DISK_FULL");
    assert.equal(error.message, "Cannot append");
    assert.equal(error.name, "ProglogError");
    assert.deepEqual(error.metadata, { a: "1" });
    assert.equal(error.cause, cause);
    assert.ok(error instanceof Error);
  });

  test("has empty metadata and no cause when none are given", () => {
    const error = new ProglogError("INTERNAL", "x");
    assert.deepEqual(error.metadata, {});
    assert.equal("cause" in error, false);
  });

  test("is told by its reason", () => {
    const error = new ProglogError("FENCED", "x");
    assert.equal(hasReason(error, "FENCED"), true);
    assert.equal(hasReason(error, "INTERNAL"), false);
    assert.equal(hasReason({ reason: "FENCED" }, "FENCED"), false);
    assert.equal(hasReason(undefined, "FENCED"), false);
  });
});

test("platformCode() reads codes that are texts, from anything that was thrown", () => {
  assert.equal(platformCode(Object.assign(new Error("x"), { code: "ENOENT" })), "ENOENT");
  for (const thrown of [new Error("x"), { code: 5 }, undefined, "ENOENT", 7, Object.create(null)]) {
    assert.equal(platformCode(thrown), undefined);
  }
  // Somebody else's code may throw even this.
  assert.equal(platformCode(JSON.parse("null")), undefined);
});

test("assert() and never() throw an InvariantError", () => {
  invariant(true, "not thrown");
  assert.throws(
    () => invariant(false, "broken"),
    (error) => {
      assert.ok(error instanceof InvariantError);
      assert.equal(error.message, "broken");
      return true;
    },
  );
  assert.throws(() => never("odd" as never), /Unexpected value: odd/);
});
