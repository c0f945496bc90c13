import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { CoreGroupFailedError, CoreTrappedError } from "../../src/raft/core.ts";
import { isCoreMessage } from "../../src/raft/core-messages.ts";
import { WasmCore } from "../../src/raft/wasm-core.ts";
import { loadRaftModule } from "../../src/server/raft-module.ts";
import { changes, mutate } from "../fuzz/support/mutations.ts";
import { runs } from "../fuzz/support/runs.ts";
import { CoreCluster, confOf } from "./core-cluster.ts";
import { seededWorld } from "./core-world.ts";
import { type MessageFields, makeMessage } from "./messages.ts";

const module = await loadRaftModule();

const VICTIM = 2;
/** Messages that one victim takes before there is another one. */
const MESSAGES_MAX = 200;

/** A group of three in the middle of its work; the victim is a follower or the leader of it. */
class Victim {
  readonly cluster: CoreCluster;
  left = MESSAGES_MAX;

  constructor(core: WasmCore, isLeader: boolean) {
    this.cluster = new CoreCluster(core, [1, 2, 3], [4]);
    this.cluster.elect(isLeader ? VICTIM : 1);
    const leader = this.cluster.group(isLeader ? VICTIM : 1);
    leader.propose([1, 2, 3].map((byte) => Uint8Array.of(byte)));
    leader.readIndex(Uint8Array.of(7));
    this.cluster.settle();
    leader.readIndex(Uint8Array.of(8));
    leader.propose([Uint8Array.of(9)]);
    // Nobody answers any more, so that something stays under way.
    for (const { id } of this.cluster.all) this.cluster.isolate(id);
    this.cluster.settle();
  }

  close(): void {
    for (const { id } of this.cluster.all) this.cluster.remove(id);
  }
}

/** Keeps victims, gives them messages, and sees to it that only they can be harmed. */
class Range {
  readonly #core = WasmCore.create(module, seededWorld(1));
  readonly #victims = [false, true].map((isLeader) => new Victim(this.#core, isLeader));
  readonly #bystander = new CoreCluster(this.#core, [1]);
  failures = 0;
  steps = 0;

  shoot(isLeader: boolean, message: Uint8Array): void {
    const at = isLeader ? 1 : 0;
    let victim = this.#victims[at];
    assert.ok(victim !== undefined);
    try {
      this.steps += 1;
      victim.cluster.group(VICTIM).step(message);
      victim.cluster.settle();
      victim.left -= 1;
    } catch (error) {
      if (error instanceof CoreTrappedError || !(error instanceof CoreGroupFailedError))
        throw error;
      this.failures += 1;
      victim.left = 0;
    }
    if (victim.left > 0) return;
    victim.close();
    victim = new Victim(this.#core, isLeader);
    this.#victims[at] = victim;
    this.#bystander.tick();
  }
}

/** Real messages of every kind to the victim, from a life in which a lot happened. */
function recorded(): readonly Uint8Array[] {
  const cluster = new CoreCluster(WasmCore.create(module, seededWorld(1)), [1, 2, 3], [4]);
  const messages: Uint8Array[] = [];
  cluster.filter = (message) => {
    messages.push(message);
    return true;
  };
  cluster.elect(1);
  for (const [leader, next] of [
    [1, VICTIM],
    [VICTIM, 1],
  ] as const) {
    cluster.group(leader).propose([1, 2, 3].map((byte) => new Uint8Array(8).fill(byte)));
    cluster.group(3).readIndex(Uint8Array.of(1));
    cluster.tick(2);
    cluster.isolate(VICTIM === leader ? 3 : VICTIM);
    cluster.group(leader).propose([Uint8Array.of(4)]);
    cluster.settle();
    cluster.replica(leader).compact();
    cluster.heal();
    cluster.tick(2);
    const change = { type: leader === 1 ? "remove" : "add-learner", replicaId: 4 } as const;
    cluster.group(leader).proposeConfChange([change], EMPTY_BYTES);
    cluster.tick(2);
    cluster.group(leader).transferLeader(next);
    cluster.tick(2);
  }
  return messages.filter((message) => message[2] === VICTIM);
}

test("changed messages do no harm but to the group that they are for", () => {
  const range = new Range();
  const messages = recorded();
  assert.ok(new Set(messages.map(([type]) => type)).size >= 9, "too few kinds of messages");
  for (const message of messages) assert.ok(isCoreMessage(message));
  fc.assert(
    fc.property(fc.nat(messages.length - 1), changes(4), fc.boolean(), (at, made, isLeader) => {
      range.shoot(isLeader, mutate(messages[at] ?? EMPTY_BYTES, made));
    }),
    runs(10_000),
  );
});

const number = fc.oneof(
  fc.nat(8),
  fc.nat(),
  fc.constantFrom(2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64 - 2048),
);
const bytes = fc.uint8Array({ maxLength: 20 });
const ids = fc.array(fc.nat(6), { maxLength: 4 });
const confs = fc.record({
  ...{ voters: ids, learners: ids, votersOutgoing: ids, learnersNext: ids },
  autoLeave: fc.boolean(),
});
const snapshots = fc.record({ index: number, term: number, conf: confs, data: bytes });
const entries = fc.array(
  fc.record({ term: fc.oneof(fc.nat(4), number), type: fc.nat(3), data: bytes }),
  { maxLength: 5 },
);
/** Messages of the right shape that say anything. */
const lies: fc.Arbitrary<MessageFields> = fc
  .record({
    type: fc.nat(25),
    to: fc.oneof({ arbitrary: fc.constant(VICTIM), weight: 9 }, { arbitrary: number, weight: 1 }),
    from: fc.oneof({ arbitrary: fc.constantFrom(1, 3, 4), weight: 9 }, number),
    ...{ term: number, logTerm: number, index: number, commit: number, rejectHint: number },
    ...{ isReject: fc.boolean(), entries },
    context: fc.option(fc.oneof(bytes, fc.uint8Array({ minLength: 8, maxLength: 8 }))),
    snapshot: fc.option(snapshots),
  })
  .map(({ context, snapshot, ...fields }) => ({
    ...fields,
    ...(context === null ? {} : { context }),
    ...(snapshot === null ? {} : { snapshot }),
  }));

test("lies of the right shape do no harm but to the group that they are for", () => {
  const range = new Range();
  fc.assert(
    fc.property(lies, fc.boolean(), (fields, isLeader) => {
      range.shoot(isLeader, makeMessage(fields));
    }),
    runs(20_000),
  );
});

test("a configuration that says anything is refused or opened", () => {
  const core = WasmCore.create(module, seededWorld(1));
  const cluster = new CoreCluster(core, [1]);
  fc.assert(
    fc.property(confs, number, number, (conf, term, commit) => {
      const replica = cluster.add(1, confOf([1]));
      replica.conf = conf;
      replica.hardState = { term, vote: 0, commit };
      try {
        replica.restart();
        replica.group.close();
      } catch (error) {
        assert.equal((error as Error).name, "CoreRefusedError");
      }
    }),
    runs(2_000),
  );
  cluster.add(1, confOf([1]));
  cluster.elect(1);
});
