/**
 * What the Raft core costs, without disks and networks.
 *
 *   bun bench/raft-core.ts [--milliseconds 1500] [--groups 1000]
 *   node bench/raft-core.ts
 *
 * Prints JSON lines: the start (compiling, starting, memory), what single calls cost in the middle
 * of three replicas of one group on one thread that propose 1, 16 and 64 descriptors at a time, and
 * a tick of many idle groups with their heartbeats.
 */
import { parseArgs } from "node:util";
import type { CoreEntry, CoreGroup, CoreLog, CoreReady } from "../src/raft/core.ts";
import { messageTo, messageType } from "../src/raft/core-messages.ts";
import { WasmCore } from "../src/raft/wasm-core.ts";
import { loadRaftModule } from "../src/server/raft-module.ts";
import { printBanner } from "./support/banner.ts";

const { values } = parseArgs({
  options: {
    milliseconds: { type: "string", default: "1500" },
    groups: { type: "string", default: "1000" },
  },
});

const IDS = [1, 2, 3];
const CONF = { voters: IDS, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
const DESCRIPTOR_BYTES = 8;
/** Entries that a log keeps: the rest is dropped, as a checkpoint would. */
const KEPT = 2000;
/** No election but the one that is asked for. */
const ELECTION_TICKS = 1_000_000;

class Log implements CoreLog {
  #base = 1;
  #entries: CoreEntry[] = [];

  firstIndex(): number {
    return this.#base + 1;
  }

  lastIndex(): number {
    return this.#base + this.#entries.length;
  }

  termAt(index: number): number | undefined {
    return index === this.#base ? 2 : this.#entries[index - this.#base - 1]?.term;
  }

  entries(from: number, end: number): readonly CoreEntry[] {
    return this.#entries.slice(from - this.#base - 1, end - this.#base - 1);
  }

  snapshot(): undefined {
    return undefined;
  }

  append(entries: readonly CoreEntry[]): void {
    for (const entry of entries) this.#entries.push(entry);
    if (this.#entries.length < 2 * KEPT) return;
    this.#base += KEPT;
    this.#entries.splice(0, KEPT);
  }
}

interface Replica {
  readonly group: CoreGroup;
  readonly log: Log;
}

/** Adds up how long calls take, by name. */
class Stopwatch {
  readonly #sums = new Map<string, { calls: number; ms: number }>();

  run<T>(name: string, call: () => T): T {
    const began = performance.now();
    const result = call();
    const sum = this.#sums.get(name) ?? { calls: 0, ms: 0 };
    sum.ms += performance.now() - began;
    sum.calls += 1;
    this.#sums.set(name, sum);
    return result;
  }

  /** Microseconds a call. */
  means(): Record<string, number> {
    const entries = [...this.#sums].map(
      ([name, { calls, ms }]) => [name, Number(((ms / calls) * 1000).toFixed(2))] as const,
    );
    return Object.fromEntries(entries);
  }
}

function openGroup(core: WasmCore): readonly Replica[] {
  return IDS.map((replicaId) => {
    const log = new Log();
    const config = {
      ...{ replicaId, log, conf: CONF, appliedIndex: 1 },
      hardState: { term: 2, vote: 0, commit: 1 },
      ...{ electionTicks: ELECTION_TICKS, heartbeatTicks: 1 },
      ...{ inflightMessagesMax: 256, messageBytesMax: 64 * 1024 },
    };
    return { log, group: core.open(config) };
  });
}

/** Carries out everything that there is to do. @returns entries that were committed on the first replica */
function settle(replicas: readonly Replica[], watch: Stopwatch): number {
  let committed = 0;
  const send = (messages: readonly Uint8Array[]) => {
    for (const message of messages) {
      const to = replicas[messageTo(message) - 1]?.group;
      watch.run(`step ${messageType(message)}`, () => to?.step(message));
    }
  };
  const carryOut = (replica: Replica, ready: CoreReady) => {
    send(ready.messages);
    replica.log.append(ready.entries);
    if (ready.appendJob > 0) {
      send(watch.run("append job", () => replica.group.jobDone(ready.appendJob)));
    }
    if (ready.applyJob > 0) watch.run("apply job", () => replica.group.jobDone(ready.applyJob));
    if (replica === replicas[0] && ready.commitLast > 0) {
      committed += ready.commitLast - ready.commitFirst + 1;
    }
  };
  while (replicas.some(({ group }) => group.hasReady)) {
    for (const replica of replicas) {
      if (!replica.group.hasReady) continue;
      const ready = watch.run("ready", () => replica.group.ready());
      if (ready !== undefined) carryOut(replica, ready);
    }
  }
  return committed;
}

function benchPropose(core: WasmCore, count: number): void {
  const replicas = openGroup(core);
  const leader = replicas[0]?.group;
  leader?.campaign();
  settle(replicas, new Stopwatch());
  const data = Array.from({ length: count }, () => new Uint8Array(DESCRIPTOR_BYTES));
  const run = (durationMs: number) => {
    const watch = new Stopwatch();
    const began = performance.now();
    const cpuBegan = process.cpuUsage();
    let [rounds, committed] = [0, 0];
    while (performance.now() - began < durationMs) {
      watch.run("propose", () => leader?.propose(data));
      committed += settle(replicas, watch);
      rounds += 1;
    }
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpuBegan);
    return {
      entriesPerSecond: Math.round(committed / seconds),
      roundUs: (seconds / rounds) * 1e6,
      // Of all threads; says more than the clock on a machine that others use too.
      cpuUs: (user + system) / rounds,
      us: watch.means(),
    };
  };
  run(Number(values.milliseconds) / 3);
  print({ case: `propose-${count}`, ...run(Number(values.milliseconds)) });
  for (const { group } of replicas) group.close();
}

function benchIdle(cores: readonly WasmCore[], count: number): void {
  const [core] = cores;
  if (core === undefined) return;
  const began = performance.now();
  const before = core.memoryBytes;
  const all = Array.from({ length: count }, () => openGroup(core));
  for (const replicas of all) {
    replicas[0]?.group.campaign();
    settle(replicas, new Stopwatch());
  }
  const openMs = performance.now() - began;
  const groups = all.flatMap((replicas) => replicas.map(({ group }) => group));
  let ticks = 0;
  let tickMs = 0;
  const until = performance.now() + Number(values.milliseconds);
  const start = performance.now();
  while (performance.now() < until) {
    const tickBegan = performance.now();
    core.tickAll(groups);
    tickMs += performance.now() - tickBegan;
    for (const replicas of all) settle(replicas, new Stopwatch());
    ticks += 1;
  }
  print({
    case: `idle-${count}-groups-of-3`,
    openMs,
    tickAllMs: tickMs / ticks,
    tickAndHeartbeatsMs: (performance.now() - start) / ticks,
    memoryBytesPerReplica: (core.memoryBytes - before) / groups.length,
  });
}

function print(line: object): void {
  const rounded = (_key: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toFixed(2)) : value;
  process.stdout.write(`${JSON.stringify(line, rounded)}\n`);
}

printBanner({ disk: ".", sync: "none" });
const rssBefore = process.memoryUsage.rss();
const loadBegan = performance.now();
const module = await loadRaftModule();
const startBegan = performance.now();
const core = WasmCore.create(module, {
  random: (bytes) => {
    crypto.getRandomValues(bytes);
  },
  monotonicNs: () => process.hrtime.bigint(),
});
print({
  case: "start",
  loadMs: startBegan - loadBegan,
  startMs: performance.now() - startBegan,
  rssMiB: (process.memoryUsage.rss() - rssBefore) / 2 ** 20,
  memoryMiB: core.memoryBytes / 2 ** 20,
});
for (const count of [1, 16, 64]) benchPropose(core, count);
benchIdle([core], Number(values.groups));
