import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import type { ConfChange, CoreEntry, CoreMessage } from "../../src/raft/core.ts";
import { CoreRole } from "../../src/raft/core.ts";
import { messageTo } from "../../src/raft/core-messages.ts";
import { WasmCore } from "../../src/raft/wasm-core.ts";
import { loadRaftModule } from "../../src/server/raft-module.ts";
import { integerFrom, makeRandom, seedsFromEnv } from "../support/prng.ts";
import { confOf } from "./core-cluster.ts";
import { CoreReplica, ELECTION_TICKS } from "./core-replica.ts";
import { seededWorld } from "./core-world.ts";

const module = await loadRaftModule();

const SEEDS = 12;
const STEPS = 3000;
const IDS = [1, 2, 3, 4, 5];
/** In the beginning the others are not members. */
const VOTERS = [1, 2, 3];
const MESSAGES_MAX = 500;

/** Five replicas, a network and disks that do as a seed says. */
class World {
  readonly #random: () => number;
  readonly #replicas = new Map<number, CoreReplica>();
  #network: CoreMessage[] = [];
  /** What was committed, by index: nobody may ever apply another entry there. */
  readonly #committed = new Map<number, string>();
  readonly #leaderOfTerm = new Map<number, number>();
  #cut = new Set<number>();
  #proposals = 0;
  crashes = 0;

  constructor(seed: number) {
    this.#random = makeRandom(seed);
    const core = WasmCore.create(module, seededWorld(seed));
    const start = { index: 1, term: 1, conf: confOf(VOTERS), data: EMPTY_BYTES };
    for (const id of IDS) {
      const send = (messages: readonly CoreMessage[]) => this.#network.push(...messages);
      const replica = new CoreReplica(core, id, start, send);
      replica.isDiskHeld = true;
      this.#replicas.set(id, replica);
    }
  }

  get committedCount(): number {
    return this.#committed.size;
  }

  get terms(): number {
    return this.#leaderOfTerm.size;
  }

  step(): void {
    const replica = this.#pick();
    const dice = this.#random();
    if (dice < 0.5) this.#deliver();
    else if (dice < 0.7) replica.storeOne();
    else if (dice < 0.85) replica.group.tick();
    else if (dice < 0.95) this.#propose(this.#leader());
    else if (dice < 0.96) this.#changeMembers(this.#leader());
    else if (dice < 0.97) this.#leader().group.transferLeader(this.#pick().id);
    else if (dice < 0.98) this.#compact(replica);
    else if (dice < 0.985) this.#cut = new Set(this.#random() < 0.5 ? [replica.id] : []);
    else if (dice < 0.99) this.#crash(replica);
    this.#settle();
  }

  /** Everybody hears everybody, and disks write at once. @returns what all have applied */
  heal(): readonly number[] {
    this.#cut = new Set();
    for (let rounds = 0; rounds < 40 * ELECTION_TICKS; rounds += 1) {
      for (const replica of this.#replicas.values()) {
        while (replica.held.length > 0) replica.storeOne();
        replica.group.tick();
      }
      if (rounds % ELECTION_TICKS === 0) this.#reportSnapshots();
      this.#settle();
      for (let left = this.#network.length; left > 0; left -= 1) this.#deliverOne(0, false);
      this.#settle();
    }
    return [...this.#members()].map((id) => this.#replica(id).appliedIndex);
  }

  /** A leader waits for ever for the answer to a snapshot that was lost, if nobody tells it. */
  #reportSnapshots(): void {
    const { group } = this.#leader();
    for (const { replicaId, state } of group.status().progress) {
      if (state === "snapshot") group.reportSnapshot(replicaId, false);
    }
  }

  #members(): readonly number[] {
    const { conf } = this.#leader();
    return [...conf.voters, ...conf.learners];
  }

  #settle(): void {
    for (const replica of this.#replicas.values()) {
      while (replica.group.hasReady) {
        const before = replica.applied.length;
        replica.carryOut();
        for (const entry of replica.applied.slice(before)) this.#checkApplied(replica.id, entry);
      }
      if (replica.role === CoreRole.leader) this.#checkLeader(replica);
    }
  }

  #checkApplied(id: number, { index, term, type, data }: CoreEntry): void {
    const what = `${term} ${type} ${Buffer.from(data).toString("hex")}`;
    const known = this.#committed.get(index) ?? what;
    assert.equal(what, known, `replica ${id} applied another entry ${index}`);
    this.#committed.set(index, what);
  }

  #checkLeader(replica: CoreReplica): void {
    const { role, hardState } = replica.group.status();
    if (role !== CoreRole.leader) return;
    const known = this.#leaderOfTerm.get(hardState.term) ?? replica.id;
    assert.equal(replica.id, known, `two leaders in term ${hardState.term}`);
    this.#leaderOfTerm.set(hardState.term, replica.id);
  }

  #deliver(): void {
    if (this.#network.length > MESSAGES_MAX) this.#network.splice(0, MESSAGES_MAX / 2);
    if (this.#network.length === 0) return;
    // Mostly in order; now and then another one, or one that comes again later.
    const isNext = this.#random() < 0.8;
    const at = isNext ? 0 : integerFrom(this.#random, 0, this.#network.length - 1);
    this.#deliverOne(at, this.#random() < 0.05);
  }

  #deliverOne(at: number, isRepeated: boolean): void {
    const [message] = this.#network.splice(at, 1);
    if (message === undefined) return;
    if (isRepeated) this.#network.push(message);
    const to = messageTo(message);
    const isLost = this.#cut.has(to) || this.#cut.has(message[10] ?? 0);
    if (!isLost) this.#replica(to).group.step(message);
  }

  #propose({ group }: CoreReplica): void {
    const count = integerFrom(this.#random, 1, 4);
    const data = Array.from({ length: count }, () => {
      this.#proposals += 1;
      return new TextEncoder().encode(`entry ${this.#proposals}`);
    });
    group.propose(data);
  }

  #changeMembers({ group }: CoreReplica): void {
    const { conf } = group.status();
    const changes = new Map<number, ConfChange>();
    for (let left = integerFrom(this.#random, 1, 2); left > 0; left -= 1) {
      const replicaId = this.#pick().id;
      const removed = [...changes.values()].filter(({ type }) => type !== "add-voter").length;
      const isVoter = conf.voters.includes(replicaId);
      if (isVoter && conf.voters.length - removed <= 2) continue;
      const type = isVoter ? "remove" : this.#random() < 0.5 ? "add-voter" : "add-learner";
      changes.set(replicaId, { type, replicaId });
    }
    if (changes.size > 0) group.proposeConfChange([...changes.values()], EMPTY_BYTES);
  }

  #compact(replica: CoreReplica): void {
    // Not while a leader's snapshot is on its way to the disk.
    if (replica.held.some(({ snapshot }) => snapshot !== undefined)) return;
    replica.compact();
  }

  #crash(replica: CoreReplica): void {
    this.crashes += 1;
    replica.restart();
  }

  #leader(): CoreReplica {
    const all = [...this.#replicas.values()];
    return all.find(({ role }) => role === CoreRole.leader) ?? this.#pick();
  }

  #pick(): CoreReplica {
    return this.#replica(integerFrom(this.#random, 1, IDS.length));
  }

  #replica(id: number): CoreReplica {
    const replica = this.#replicas.get(id);
    assert.ok(replica !== undefined);
    return replica;
  }
}

for (const seed of seedsFromEnv(SEEDS)) {
  test(`whatever happens, all apply the same; SEED=${seed}`, () => {
    const world = new World(seed);
    for (let steps = 0; steps < STEPS; steps += 1) world.step();
    const before = world.committedCount;
    const applied = world.heal();
    assert.equal(new Set(applied).size, 1, `members have applied ${applied.join(", ")}`);
    assert.ok(before > 0 && world.committedCount >= before);
    assert.ok(world.terms > 0);
  });
}
