import assert from "node:assert/strict";
import { ProglogError } from "../../src/base/errors.ts";
import { SimCrash } from "../support/sim-file-system.ts";

/** Why a call failed. */
export interface Failed {
  readonly reason: string;
  readonly message: string;
  readonly isUnknown: boolean;
}

/** What came of a call: a value, or one of our errors. */
export async function attempt<T>(work: Promise<T>): Promise<{ value?: T; error?: Failed }> {
  try {
    return { value: await work };
  } catch (error) {
    if (error instanceof SimCrash) {
      return { error: { reason: "DISK_FAILED", message: "stopped", isUnknown: true } };
    }
    assert.ok(error instanceof ProglogError, `not one of our errors: ${error}`);
    const isUnknown = error.metadata["outcome"] === "unknown";
    return { error: { reason: error.reason, message: error.message, isUnknown } };
  }
}
