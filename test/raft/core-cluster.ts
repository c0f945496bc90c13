import assert from "node:assert/strict";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import type {
  ConfState,
  CoreGroup,
  CoreHardState,
  CoreMessage,
  CoreSnapshot,
  RaftCore,
} from "../../src/raft/core.ts";
import { CoreRole } from "../../src/raft/core.ts";
import { messageFrom, messageTo } from "../../src/raft/core-messages.ts";
import { CoreReplica } from "./core-replica.ts";

/** Where every group of a test begins: one entry is behind it. */
export const START_INDEX = 1;
export const START_TERM = 1;

/** Rounds after which a cluster is taken to be busy for ever. */
const ROUNDS_MAX = 10_000;

export function confOf(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false };
}

/** Replicas of one group on one thread, with a network between them that a test may cut. */
export class CoreCluster {
  readonly #core: RaftCore;
  readonly #replicas = new Map<number, CoreReplica>();
  readonly #isolated = new Set<number>();
  #onTheirWay: CoreMessage[] = [];
  /** Sees every message that is delivered; returns false to lose it. */
  filter: (message: CoreMessage) => boolean = () => true;

  constructor(core: RaftCore, voters: readonly number[], learners: readonly number[] = []) {
    this.#core = core;
    for (const id of [...voters, ...learners]) this.add(id, confOf(voters, learners));
  }

  /** A replica that has nothing but the membership. */
  add(id: number, conf: ConfState): CoreReplica {
    const start: CoreSnapshot = { index: START_INDEX, term: START_TERM, conf, data: EMPTY_BYTES };
    const replica = new CoreReplica(this.#core, id, start, (messages) => this.#send(messages));
    this.#replicas.set(id, replica);
    return replica;
  }

  replica(id: number): CoreReplica {
    const replica = this.#replicas.get(id);
    assert.ok(replica !== undefined, `no replica ${id}`);
    return replica;
  }

  group(id: number): CoreGroup {
    return this.replica(id).group;
  }

  get all(): readonly CoreReplica[] {
    return [...this.#replicas.values()];
  }

  isolate(id: number): void {
    this.#isolated.add(id);
  }

  heal(): void {
    this.#isolated.clear();
  }

  /** Takes a replica away: its messages go nowhere. */
  remove(id: number): void {
    this.replica(id).group.close();
    this.#replicas.delete(id);
  }

  /** Makes it the leader, and lets everybody learn of it. */
  elect(id: number): void {
    this.group(id).campaign();
    this.settle();
    assert.equal(this.replica(id).role, CoreRole.leader, `replica ${id} did not become the leader`);
  }

  /** Carries out what there is to do, and delivers, until nothing happens any more. */
  settle(): void {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const isBusy = this.all.map((replica) => replica.carryOut()).some((did) => did);
      const messages = this.#onTheirWay;
      this.#onTheirWay = [];
      for (const message of messages) this.#deliver(message);
      if (!isBusy && messages.length === 0) return;
    }
    assert.fail("the cluster does not settle");
  }

  tick(times = 1): void {
    for (let left = times; left > 0; left -= 1) {
      this.#core.tickAll(this.all.map(({ group }) => group));
      this.settle();
    }
  }

  /** Ids of those that think they lead. */
  leaders(): readonly number[] {
    return this.all.filter(({ role }) => role === CoreRole.leader).map(({ id }) => id);
  }

  hardState(id: number): CoreHardState {
    return this.group(id).status().hardState;
  }

  #send(messages: readonly CoreMessage[]): void {
    // Copies: what a network delivers is not the sender's memory.
    this.#onTheirWay.push(...messages.map((message) => message.slice()));
  }

  #deliver(message: CoreMessage): void {
    const [from, to] = [messageFrom(message), messageTo(message)];
    if (this.#isolated.has(from) || this.#isolated.has(to) || !this.filter(message)) return;
    this.#replicas.get(to)?.group.step(message);
  }
}
