import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import {
  CoreGroupFailedError,
  CoreRefusedError,
  CoreTrappedError,
  type RaftCore,
} from "../../src/raft/core.ts";
import {
  CORE_ENTRY_BYTES_MAX,
  CORE_MEMBERS_MAX,
  CORE_MESSAGE_BYTES_MAX,
  CORE_MESSAGE_ENTRIES_MAX,
  CORE_READ_CONTEXT_BYTES_MAX,
  CORE_STATE_BYTES_MAX,
} from "../../src/raft/core-limits.ts";
import { WasmCore } from "../../src/raft/wasm-core.ts";
import { loadRaftModule } from "../../src/server/raft-module.ts";
import { write } from "../suites/raft-core-replication.ts";
import { CoreCluster } from "./core-cluster.ts";
import { seededWorld } from "./core-world.ts";
import { makeMessage } from "./messages.ts";

const module = await loadRaftModule();

test("what is thrown out of the module stops the whole core, which says so once", () => {
  const world = seededWorld(1);
  const traps: CoreTrappedError[] = [];
  const cause = new Error("no randomness");
  let isBroken = false;
  const core = WasmCore.create(module, {
    ...world,
    random: (bytes) => {
      if (isBroken) throw cause;
      world.random(bytes);
    },
    onTrap: (error) => traps.push(error),
  });
  const [first, second] = [new CoreCluster(core, [1, 2, 3]), new CoreCluster(core, [1])];
  first.elect(1);
  isBroken = true;
  const isTrap = (error: unknown) => error instanceof CoreTrappedError && error.cause === cause;
  // An election timeout is drawn.
  assert.throws(() => first.group(1).forgetLeader(), isTrap);
  isBroken = false;
  const calls = [
    () => first.group(1).tick(),
    () => first.group(2).step(makeMessage({ type: 8, from: 1, to: 2, term: 1 })),
    () => second.group(1).campaign(),
    () => core.tickAll([second.group(1)]),
    () => new CoreCluster(core, [1]),
    () => first.group(3).close(),
  ];
  for (const call of calls) assert.throws(call, isTrap);
  assert.equal(traps.length, 1);
  assert.equal(traps[0]?.cause, cause);
});

test("one core that stopped is no other one's concern", () => {
  const world = seededWorld(1);
  assert.throws(
    () =>
      WasmCore.create(module, {
        ...world,
        random: () => {
          throw new Error("no randomness");
        },
      }),
    CoreTrappedError,
  );
  const cluster = new CoreCluster(WasmCore.create(module, world), [1]);
  cluster.elect(1);
});

test("a log that calls the core that asks it is told so, and only its group fails", () => {
  const cluster = new CoreCluster(WasmCore.create(module, seededWorld(1)), [1, 2, 3]);
  cluster.elect(1);
  cluster.replica(2).log.termAt = () => {
    cluster.group(3).tick();
    return 1;
  };
  const { term } = cluster.hardState(1);
  const fields = { type: 3, from: 1, to: 2, term, index: 2, logTerm: term };
  assert.throws(
    () => cluster.group(2).step(makeMessage(fields)),
    (error) => error instanceof CoreGroupFailedError && /must not call/.test(error.message),
  );
  cluster.remove(2);
  write(cluster, 1, "a");
  assert.deepEqual(cluster.replica(3).appliedData(), ["a"]);
});

test("a listener of lines that throws does no harm", () => {
  const core = WasmCore.create(module, {
    ...seededWorld(1),
    log: () => {
      throw new Error("no log");
    },
    logLevel: "debug",
  });
  const cluster = new CoreCluster(core, [1, 2, 3]);
  cluster.elect(1);
});

test("lines come with their level, from the least grave one that is wanted", () => {
  const lines: string[] = [];
  const log = (line: string, level: string) => lines.push(`${level} ${line}`);
  const loud = new CoreCluster(WasmCore.create(module, { ...seededWorld(1), log }), [1]);
  loud.elect(1);
  assert.ok(lines.includes("info 1 became leader at term 2"));
  const count = lines.length;
  const options = { ...seededWorld(1), log, logLevel: "warn" } as const;
  new CoreCluster(WasmCore.create(module, options), [1]).elect(1);
  assert.equal(lines.length, count);
});

/** Everything that a cluster does in a life with elections, in one text. */
function traceOf(seed: number): string {
  const core: RaftCore = WasmCore.create(module, seededWorld(seed));
  const cluster = new CoreCluster(core, [1, 2, 3, 4, 5]);
  const trace: string[] = [];
  cluster.filter = (message) => {
    trace.push(Buffer.from(message).toString("hex"));
    return true;
  };
  for (let round = 0; round < 160; round += 1) {
    const [leader] = cluster.leaders();
    if (leader !== undefined) write(cluster, leader, `round ${round}`);
    if (round % 40 === 20 && leader !== undefined) cluster.isolate(leader);
    if (round % 40 === 39) cluster.heal();
    cluster.tick();
    const roles = cluster.all.map(({ role, leader: known }) => `${role}${known}`);
    trace.push(`${round}: ${roles.join(" ")}`);
  }
  for (const { id } of cluster.all) trace.push(JSON.stringify(cluster.group(id).status()));
  return trace.join("\n");
}

test("the same seed gives the same run, another one another", () => {
  for (const seed of [1, 2]) assert.equal(traceOf(seed), traceOf(seed), `seed ${seed}`);
  assert.notEqual(traceOf(1), traceOf(2));
});

test("messages up to the limit go through while the memory grows, larger ones do not", () => {
  const core = WasmCore.create(module, seededWorld(1));
  const cluster = new CoreCluster(core, [1, 2, 3]);
  cluster.elect(1);
  const before = core.memoryBytes;
  const { term } = cluster.hardState(1);
  const fields = { type: 3, from: 1, to: 2, term, index: 2, logTerm: term };
  const make = (size: number) => {
    const entries = [{ term, type: 0, data: new Uint8Array(size).fill(7) }];
    return makeMessage({ ...fields, entries });
  };
  const overhead = make(0).length;
  const tooLarge = make(CORE_MESSAGE_BYTES_MAX - overhead + 1);
  assert.equal(cluster.group(2).step(tooLarge), "ignored");
  assert.equal(core.memoryBytes, before);
  assert.equal(cluster.group(2).step(make(CORE_MESSAGE_BYTES_MAX - overhead)), "ok");
  assert.ok(core.memoryBytes > before);
  const entry = cluster.group(2).ready()?.entries[0];
  assert.deepEqual(entry?.data, new Uint8Array(CORE_MESSAGE_BYTES_MAX - overhead).fill(7));
});

test("a read request's context has a limit", () => {
  const cluster = new CoreCluster(WasmCore.create(module, seededWorld(1)), [1]);
  cluster.elect(1);
  const context = new Uint8Array(CORE_READ_CONTEXT_BYTES_MAX).fill(1);
  cluster.group(1).readIndex(context);
  cluster.settle();
  assert.deepEqual(cluster.replica(1).reads, [{ index: 2, context }]);
  assert.throws(() => cluster.group(1).readIndex(new Uint8Array(context.length + 1)), {
    name: "CoreRefusedError",
    message: "Cannot have 1025 bytes in a read request, at most 1024 are allowed",
  });
});

test("what is proposed has limits, so that every message of it can be sent", () => {
  const cluster = new CoreCluster(WasmCore.create(module, seededWorld(1)), [1, 2, 3]);
  cluster.elect(1);
  const [largest, many] = [new Uint8Array(CORE_ENTRY_BYTES_MAX), CORE_MESSAGE_ENTRIES_MAX];
  assert.equal(cluster.group(1).propose([largest]), "ok");
  const small = new Uint8Array(5).fill(1);
  assert.equal(cluster.group(1).propose(new Array(many).fill(small)), "ok");
  cluster.settle();
  for (const { log } of cluster.all) assert.equal(log.lastIndex(), 3 + many);
  const change = { type: "add-learner", replicaId: 4 } as const;
  const tooMuch = [
    () => cluster.group(1).propose([new Uint8Array(largest.length + 1)]),
    () => cluster.group(1).propose(new Array(many + 1).fill(small)),
    () => cluster.group(1).propose([]),
    () => cluster.group(1).proposeConfChange([change], new Uint8Array(largest.length + 1)),
    () => cluster.group(1).proposeConfChange(new Array(65).fill(change), EMPTY_BYTES),
  ];
  for (const call of tooMuch) assert.throws(call, CoreRefusedError);
  assert.equal(cluster.group(1).hasReady, false);
});

test("too much that is uncommitted is dropped", () => {
  const cluster = new CoreCluster(WasmCore.create(module, seededWorld(1)), [1, 2, 3]);
  cluster.elect(1);
  for (const id of [2, 3]) cluster.isolate(id);
  const largest = new Uint8Array(CORE_ENTRY_BYTES_MAX);
  const verdicts = Array.from({ length: 20 }, () => cluster.group(1).propose([largest]));
  assert.ok(verdicts.slice(0, 16).every((verdict) => verdict === "ok"));
  assert.ok(verdicts.slice(16).every((verdict) => verdict === "dropped"));
  cluster.heal();
  cluster.tick(3);
  assert.equal(cluster.group(1).propose([largest]), "ok");
});

test("a group has limits", () => {
  const core = WasmCore.create(module, seededWorld(1));
  const ids = Array.from({ length: CORE_MEMBERS_MAX + 1 }, (_, at) => at + 1);
  new CoreCluster(core, ids.slice(1));
  assert.throws(() => new CoreCluster(core, ids), {
    name: "CoreRefusedError",
    message: "Cannot open a group of 65 replicas, at most 64 are allowed",
  });
});

test("a state that is too large for a message fails its group", () => {
  const cluster = new CoreCluster(WasmCore.create(module, seededWorld(1)), [1, 2, 3]);
  cluster.elect(1);
  cluster.isolate(3);
  write(cluster, 1, "a", "b");
  cluster.replica(1).compact();
  const snapshot = cluster.replica(1).log.snapshot();
  assert.ok(snapshot !== undefined);
  const data = new Uint8Array(CORE_STATE_BYTES_MAX + 1);
  cluster.replica(1).log.offer({ ...snapshot, data });
  cluster.heal();
  assert.throws(() => cluster.tick(5), CoreGroupFailedError);
});

test("a group may be closed twice and not be used afterwards", () => {
  const core = WasmCore.create(module, seededWorld(1));
  const cluster = new CoreCluster(core, [1, 2, 3]);
  const group = cluster.group(1);
  group.close();
  group.close();
  assert.equal(group.hasReady, false);
  assert.throws(() => group.tick(), /after it was closed/);
  // Its place in the module may be another one's by now.
  new CoreCluster(core, [1]);
  assert.throws(() => core.tickAll([cluster.group(2), group]), /after it was closed/);
});

test("a clock that stands still does not stop the core's garbage collection", () => {
  const options = { ...seededWorld(1), monotonicNs: () => 1n };
  const cluster = new CoreCluster(WasmCore.create(module, options), [1, 2, 3]);
  cluster.elect(1);
  // Some ten megabytes of garbage.
  const data = new Array(1000).fill(Uint8Array.of(1, 2, 3, 4, 5));
  for (let times = 0; times < 50; times += 1) {
    assert.equal(cluster.group(1).propose(data), "ok");
    cluster.settle();
  }
  assert.equal(cluster.replica(3).appliedIndex, 50_002);
});

test("the memory of closed groups is used again", () => {
  const core = WasmCore.create(module, seededWorld(1));
  const round = () => {
    const cluster = new CoreCluster(core, [1, 2, 3]);
    cluster.elect(1);
    for (const { id } of cluster.all) cluster.remove(id);
  };
  for (let warm = 0; warm < 50; warm += 1) round();
  const before = core.memoryBytes;
  for (let times = 0; times < 300; times += 1) round();
  assert.ok(core.memoryBytes < before + 8 * 2 ** 20, `${before} -> ${core.memoryBytes}`);
});
