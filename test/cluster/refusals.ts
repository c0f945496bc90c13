import assert from "node:assert/strict";
import { hasReason } from "../../src/base/errors.ts";
import type { Reason } from "../../src/base/reasons.ts";
import type { Life } from "./harness.ts";

/** Awaits a refusal for `reason`. @returns its metadata */
export async function refused(work: Promise<unknown> | (() => unknown), reason: Reason) {
  let found: unknown;
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    found = error;
  }
  assert.ok(hasReason(found, reason), `wanted ${reason}, got ${found}`);
  return found.metadata;
}

/** Closes a node of which nothing had failed. */
export async function stop({ node, failures }: Life): Promise<void> {
  await node.close();
  assert.deepEqual(failures, []);
}
