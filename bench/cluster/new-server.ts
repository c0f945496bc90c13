import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { flushDisk } from "../peers/contest.ts";
import { say } from "../rpc/rounds.ts";
import type { ClusterBench } from "./run.ts";
import { startMember } from "./running-cluster.ts";
import { folderOf, proglogAddress, proglogCommand } from "./systems.ts";

const RECORD_BYTES = 1024;
const BATCH = 1000;
const POLL_MS = 50;
const COPIED_MS_MAX = 5 * 60_000;

/** A second server joins one that holds a log, and copies it. */
export async function measureNewServer({ bench, generator, gb }: ClusterBench): Promise<void> {
  const dir = bench.folder("new-server");
  const founder = await startMember(
    "founder",
    proglogCommand(0, folderOf(dir, 0)),
    folderOf(dir, 0),
  );
  bench.onEnd(() => founder.stop());
  const records = Math.ceil((gb * 1e9) / RECORD_BYTES / BATCH) * BATCH;
  const flags = ["-peer", "proglog", "-addr", proglogAddress(0), "-opts", ""];
  const fill = { mode: "fill", n: records, size: RECORD_BYTES, batch: BATCH, inflight: 4 };
  await generator.run({ flags, pids: founder.pids }, fill);
  flushDisk({ bench });
  await sleep(2_000);
  const wanted = storedBytes(folderOf(dir, 0));
  const command = proglogCommand(1, folderOf(dir, 1), ["--join", proglogAddress(0)]);
  const began = performance.now();
  const joining = startMember("joining", command, folderOf(dir, 1));
  let firstByteAt: number | undefined;
  let copied = 0;
  while (copied < wanted) {
    await sleep(POLL_MS);
    copied = storedBytes(folderOf(dir, 1));
    if (copied > 0) firstByteAt ??= performance.now();
    if (performance.now() - began > COPIED_MS_MAX) {
      throw new Error(`Cannot measure: the new server has ${copied} of ${wanted} bytes`);
    }
  }
  const ended = performance.now();
  const member = await joining;
  const seconds = (ended - (firstByteAt ?? began)) / 1000;
  say({
    ...{ what: `${(wanted / 1e9).toPrecision(2)} GB`, phase: "new-server", title: "proglog" },
    mbPerSecond: Math.round(wanted / 1e6 / seconds),
    secondsToFirstByte: Number((((firstByteAt ?? ended) - began) / 1000).toPrecision(3)),
    secondsInAll: Number(((ended - began) / 1000).toPrecision(3)),
  });
  await member.stop();
  await founder.stop();
}

/** Bytes in the stores of the topics of one server. */
function storedBytes(dir: string): number {
  const topics = join(dir, "data/topics");
  try {
    const names = readdirSync(topics, { recursive: true, encoding: "utf8" });
    return names
      .filter((name) => name.endsWith(".log"))
      .reduce((sum, name) => sum + sizeOf(join(topics, name)), 0);
  } catch {
    return 0;
  }
}

/** 0 for a file that is gone since. */
function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
