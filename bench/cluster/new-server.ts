import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { flushDisk } from "../peers/contest.ts";
import { outputOf } from "../peers/generator.ts";
import type { PeerProcess } from "../peers/peer-process.ts";
import { say } from "../rpc/rounds.ts";
import type { ClusterBench } from "./run.ts";
import { startMember } from "./running-cluster.ts";
import { folderOf, proglogAddress, proglogCommand } from "./systems.ts";

const RECORD_BYTES = 1024;
const BATCH = 1000;
const POLL_MS = 50;
const COPIED_MS_MAX = 5 * 60_000;

/** Appends that go on while a server copies: each is sent when its time has come. */
const LIVE = { mode: "avail", rate: 200, conns: 4, size: 100, dur: "4s" };

/** What is read of the generator's line. */
interface LiveLine {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly errors: number;
}

/** A second server joins one that holds a log, and copies it; then a third one while the first takes appends. */
export async function measureNewServer(all: ClusterBench): Promise<void> {
  const { bench, generator, gb } = all;
  const dir = bench.folder("new-server");
  const founder = await start(all, dir, 0);
  const records = Math.ceil((gb * 1e9) / RECORD_BYTES / BATCH) * BATCH;
  const target = {
    flags: ["-peer", "proglog", "-addr", proglogAddress(0), "-opts", ""],
    pids: founder.pids,
  };
  const fill = { mode: "fill", n: records, size: RECORD_BYTES, batch: BATCH, inflight: 4 };
  await generator.run(target, fill);
  flushDisk({ bench });
  await sleep(2_000);
  const wanted = storedBytes(folderOf(dir, 0));
  const began = performance.now();
  const second = start(all, dir, 1);
  await untilCopied(dir, 1, 1);
  const firstByteAt = performance.now();
  await untilCopied(dir, 1, wanted);
  const ended = performance.now();
  const what = `${(wanted / 1e9).toPrecision(2)} GB`;
  say({
    ...{ what, phase: "new-server", title: "proglog" },
    mbPerSecond: Math.round(wanted / 1e6 / ((ended - firstByteAt) / 1000)),
    secondsToFirstByte: Number(((firstByteAt - began) / 1000).toPrecision(3)),
    secondsInAll: Number(((ended - began) / 1000).toPrecision(3)),
  });
  await second;
  await sleep(2_000);
  const live = async (): Promise<LiveLine> =>
    JSON.parse(await outputOf(generator.start(target, LIVE))) as LiveLine;
  sayLive("200 appends/s, two servers", await live());
  const third = start(all, dir, 2);
  await untilCopied(dir, 2, 1);
  const during = await live();
  const isDuring = storedBytes(folderOf(dir, 2)) < wanted;
  sayLive(`200 appends/s, a third one copies${isDuring ? "" : ", and is done before"}`, during);
  await untilCopied(dir, 2, wanted);
  const members = [founder, await second, await third];
  await sleep(2_000);
  sayLive("200 appends/s, three servers", await live());
  for (const member of members) await member.stop();
}

function sayLive(what: string, { p50_ms: p50Ms, p99_ms: p99Ms, errors }: LiveLine): void {
  if (errors > 0) throw new Error(`Cannot measure: ${errors} appends failed`);
  const rounded = (ms: number): number => Number(ms.toPrecision(3));
  say({ what, phase: "live", title: "proglog", p50Ms: rounded(p50Ms), p99Ms: rounded(p99Ms) });
}

async function start({ bench }: ClusterBench, dir: string, place: number): Promise<PeerProcess> {
  const flags = place === 0 ? [] : ["--join", proglogAddress(0)];
  const folder = folderOf(dir, place);
  const member = await startMember(`member-${place}`, proglogCommand(place, folder, flags), folder);
  bench.onEnd(() => member.stop());
  return member;
}

async function untilCopied(dir: string, place: number, wanted: number): Promise<void> {
  const giveUpAt = performance.now() + COPIED_MS_MAX;
  while (storedBytes(folderOf(dir, place)) < wanted) {
    if (performance.now() > giveUpAt) throw new Error(`Cannot measure: not ${wanted} bytes copied`);
    await sleep(POLL_MS);
  }
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
