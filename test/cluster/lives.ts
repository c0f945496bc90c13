import assert from "node:assert/strict";
import { SimClock, settle } from "../support/sim-clock.ts";
import type { SimFileSystem } from "../support/sim-file-system.ts";
import { type Life, type LifeOptions, startNode } from "./harness.ts";

/** Starts a node as far as it gets: to the end, to an error, or to where the machine stops. */
export async function tryToStart(
  fs: SimFileSystem,
  options: Omit<LifeOptions, "fs">,
): Promise<{ life?: Life; error?: unknown }> {
  const result: { life?: Life; error?: unknown } = {};
  const clock = options.clock ?? new SimClock();
  void startNode({ ...options, fs, clock }).then(
    (life) => {
      result.life = life;
    },
    (error) => {
      result.error = error ?? new Error("Rejected with nothing");
    },
  );
  const isSettled = () => "life" in result || "error" in result || fs.isStopped;
  for (let steps = 0; !isSettled() && steps < 100; steps += 1) await clock.advance(200);
  await settle();
  if (result.life === undefined && result.error === undefined && !fs.isStopped) {
    throw new Error("The start hangs");
  }
  return result;
}

/**
 * Runs `work` while time goes on, until it ends or the machine stops. An assertion
 * that fails in it always counts, other errors only while the machine runs.
 *
 * @returns true when it ended
 */
export async function liveThrough(life: Life, work: () => Promise<void>): Promise<boolean> {
  let isDone = false;
  let problem: unknown;
  void work().then(
    () => {
      isDone = true;
    },
    (error) => {
      problem = error ?? new Error("Rejected with nothing");
    },
  );
  for (let steps = 0; !isDone && problem === undefined && steps < 400; steps += 1) {
    if (life.fs.isStopped) break;
    await life.clock.advance(500);
  }
  await settle();
  const isAssertion = problem instanceof Error && problem.name === "AssertionError";
  if (problem !== undefined && (isAssertion || !life.fs.isStopped)) throw problem;
  assert.ok(isDone || life.fs.isStopped || problem !== undefined, "The node or its clients hang");
  return isDone;
}
