import { ProglogError } from "../../src/base/errors.ts";
import { SimCrash } from "../support/sim-faults.ts";
import type { KnownTopic, World } from "./world.ts";

/** What a client may be told at any time in a cluster that machines leave and links fail in. */
const ALWAYS = new Set([
  "NOT_LEADER",
  "NO_QUORUM",
  "DEADLINE_EXCEEDED",
  "CANCELED",
  "SERVER_UNREACHABLE",
  "DRAINING",
  "STARTING",
]);

const WITH_BAD_DISKS = new Set(["DISK_FULL", "DISK_FAILED", "RATE_LIMITED"]);

const WHEN_DELETED = new Set(["TOPIC_NOT_FOUND", "TOPIC_REPLACED"]);

/** Reports a refusal that nothing in the run explains. */
export function checkRefusal(
  world: World,
  topic: KnownTopic | undefined,
  error: unknown,
  allowed: readonly string[],
): void {
  if (error instanceof SimCrash) return;
  const place = topic?.key ?? "the cluster";
  if (!(error instanceof ProglogError)) {
    const text = error instanceof Error ? error.stack : String(error);
    world.violations.report(`${place} answers with what is no error for clients: ${text}`);
    return;
  }
  const { reason } = error;
  if (ALWAYS.has(reason) || allowed.includes(reason)) return;
  if (world.wasDiskFaulty && WITH_BAD_DISKS.has(reason)) return;
  if (topic?.isDeleteAsked === true && WHEN_DELETED.has(reason)) return;
  const { stack = "" } = error.cause instanceof Error ? error.cause : error;
  world.violations.report(`${place} answers ${reason}: ${stack.split("\n", 8).join("\n  ")}`);
}
