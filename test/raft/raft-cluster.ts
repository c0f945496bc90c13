import { SILENT_LOGGER } from "../../src/base/log.ts";
import { MIB } from "../../src/base/units.ts";
import { Admission } from "../../src/raft/admission.ts";
import type { ConfState, CoreGroup } from "../../src/raft/core.ts";
import { confOf } from "../../src/raft/membership.ts";
import { RaftGroup } from "../../src/raft/raft-group.ts";
import type { RaftLimits } from "../../src/raft/raft-limits.ts";
import { RaftNode } from "../../src/raft/raft-node.ts";
import type { RaftEnvelope } from "../../src/raft/transport.ts";
import { FakeDisk, FakeRaftJournal } from "../support/fake-raft-journal.ts";
import { SimClock, SimLifeClock, settle } from "../support/sim-clock.ts";
import { makeCore } from "./raft-core.ts";
import { Recorder } from "./recorder.ts";

const ADMISSION = {
  bytesMax: 100 * MIB,
  laneBytesMax: MIB,
  waitingBytesMax: 10 * MIB,
  waitingCountMax: 1000,
};

export const TOPIC = 5;

/** What a node's machine had saved at some point; a crash brings it back there. */
interface Checkpoint {
  readonly applied: readonly string[];
  readonly index: number;
  readonly term: number;
  readonly conf: ConfState;
}

/** One node with one replica, through its lives. Node `n3` has replica 3. */
export class Member {
  readonly id: number;
  readonly disk = new FakeDisk();
  readonly failures: unknown[] = [];
  readonly #cluster: RaftCluster;
  checkpoint: Checkpoint;
  /** A snapshot's, which counts when the journal has its mark. */
  pending: Checkpoint | undefined;
  journal: FakeRaftJournal;
  clock: SimLifeClock;
  machine: Recorder;
  node: RaftNode | undefined;
  group: RaftGroup<string, string> | undefined;
  poisonedCount = 0;
  /** Of its group, to be broken. */
  core: CoreGroup | undefined;
  #life = 0;

  constructor(cluster: RaftCluster, id: number, conf: ConfState) {
    this.#cluster = cluster;
    this.id = id;
    const isFounder = conf.voters.includes(id) || conf.learners.includes(id);
    const at = isFounder ? { index: 1, term: 1 } : { index: 0, term: 0 };
    this.disk.add(id, at);
    this.checkpoint = { applied: [], ...at, conf: isFounder ? conf : confOf([]) };
    this.clock = new SimLifeClock(cluster.clock, { offsetUs: 0 });
    this.journal = new FakeRaftJournal(this.disk, this.clock);
    this.machine = new Recorder();
  }

  get isUp(): boolean {
    return this.node !== undefined;
  }

  get nodeId(): string {
    return `n${this.id}`;
  }

  /** Resolves when it has recovered; do not wait for that where time has to pass for it. */
  start(): Promise<void> {
    const cluster = this.#cluster;
    this.#adopt();
    this.#life += 1;
    const life = this.#life;
    this.clock = new SimLifeClock(cluster.clock, { offsetUs: 0 });
    this.journal = new FakeRaftJournal(this.disk, this.clock, cluster.flushMs);
    const { applied, index, term, conf } = this.checkpoint;
    this.machine = new Recorder(applied, index);
    this.machine.onApply = (at, entryTerm, text) => {
      if (life === this.#life && this.isUp) cluster.onApply(this, at, entryTerm, text);
    };
    this.machine.onPrepared = ({ index: at, term: atTerm, conf: atConf, data }) => {
      if (life !== this.#life) return;
      const [, ...texts] = JSON.parse(new TextDecoder().decode(data)) as [number, ...string[]];
      this.pending = { applied: texts, index: at, term: atTerm, conf: atConf };
    };
    this.machine.onCommitted = ({ index: at }) => {
      if (life === this.#life && this.pending?.index === at) this.checkpoint = this.pending;
    };
    cluster.onStart(this);
    const core = makeCore(cluster.seed * 1000 + this.id * 37 + life, this.clock);
    const open = core.open.bind(core);
    core.open = (config) => {
      this.core = open(config);
      return this.core;
    };
    this.node = new RaftNode({
      core,
      clock: this.clock,
      logger: SILENT_LOGGER,
      limits: cluster.limits,
      nodeOf: (_topicId, replicaId) => `n${replicaId}`,
      transport: {
        send: (nodeId, envelope) => {
          return life === this.#life && this.isUp && cluster.send(this, nodeId, envelope);
        },
      },
      onFailure: (error) => this.failures.push(error),
    });
    this.group = this.#open(this.node, index, term, conf);
    this.node.start();
    return this.group.recover();
  }

  #open(node: RaftNode, appliedIndex: number, appliedTerm: number, conf: ConfState) {
    return new RaftGroup<string, string>({
      ...{ node, journal: this.journal, host: this.machine, clock: this.clock },
      lane: new Admission(ADMISSION).lane(),
      ...{ topicId: TOPIC, replicaId: this.id, conf, appliedIndex, appliedTerm },
      onFailure: (error) => this.failures.push(error),
      onPoisoned: () => {
        this.poisonedCount += 1;
      },
    });
  }

  /** The journal has the mark of a snapshot that was prepared: it is what this replica begins with. */
  #adopt(): void {
    const { pending } = this;
    if (pending === undefined || pending.index <= this.checkpoint.index) return;
    if (this.disk.get(this.id).snapshotIndex >= pending.index) this.checkpoint = pending;
    this.pending = undefined;
  }

  /** Power is cut. */
  crash(keep?: (count: number) => number): void {
    this.journal.crash(keep);
    this.clock.end();
    this.node?.stop();
    this.node = undefined;
    this.group = undefined;
    this.#cluster.onCrash(this);
  }

  /** Saves what is applied; the journal forgets all but the last `kept` entries of it. */
  save(kept = 0): void {
    const { group, machine } = this;
    if (group === undefined || machine.index > group.appliedIndex) return;
    const { appliedIndex: index, appliedTerm: term, conf } = group;
    this.checkpoint = { applied: [...machine.applied], index, term, conf };
    const at = Math.max(this.journal.firstIndex(this.id) - 1, index - kept);
    const atTerm = this.journal.termAt(this.id, at);
    if (atTerm !== undefined) this.journal.setCheckpoint(this.id, at, atTerm);
  }

  propose(text: string): Promise<string> {
    const { group } = this;
    if (group === undefined) return Promise.reject(new Error("It is down"));
    const call = group.propose(text, { bytes: text.length });
    call.catch(() => {}); // Tests look at it later.
    return call;
  }
}

/** Nodes on a network without faults, unless they are asked for. */
export class RaftCluster {
  readonly clock = new SimClock();
  readonly seed: number;
  readonly members: Member[];
  readonly limits: Partial<RaftLimits>;
  flushMs: () => number = () => 1;
  /** What becomes of a message: delays in milliseconds, one for each copy that arrives. */
  route: (from: Member, to: Member, envelope: RaftEnvelope) => readonly number[] = () => [1];
  onApply: (member: Member, index: number, term: number, text: string) => void = () => {};
  onStart: (member: Member) => void = () => {};
  onCrash: (member: Member) => void = () => {};
  sentCount = 0;

  constructor(
    options: {
      readonly seed?: number;
      readonly count?: number;
      readonly voters?: readonly number[];
      readonly learners?: readonly number[];
      readonly limits?: Partial<RaftLimits>;
    } = {},
  ) {
    const { seed = 1, count = 3, limits = {} } = options;
    this.seed = seed;
    this.limits = limits;
    const ids = Array.from({ length: count }, (_, at) => at + 1);
    const conf = confOf(options.voters ?? ids, options.learners ?? []);
    this.members = ids.map((id) => new Member(this, id, conf));
  }

  /** Starts all of them, and waits for a leader. */
  static async started(options: ConstructorParameters<typeof RaftCluster>[0] = {}) {
    const cluster = new RaftCluster(options);
    for (const member of cluster.members) member.start().catch(() => {});
    await cluster.clock.advance(5000);
    return cluster;
  }

  member(id: number): Member {
    const member = this.members[id - 1];
    if (member === undefined) throw new Error(`There is no node ${id}`);
    return member;
  }

  /** The one with the highest term. */
  get leader(): Member | undefined {
    return this.members
      .filter(({ group }) => group?.role === "leader")
      .sort((left, right) => (right.group?.term ?? 0) - (left.group?.term ?? 0))[0];
  }

  get followers(): Member[] {
    return this.members.filter((member) => member !== this.leader);
  }

  send(from: Member, nodeId: string, envelope: RaftEnvelope): boolean {
    const to = this.members.find((member) => member.nodeId === nodeId);
    if (to === undefined) return false;
    this.sentCount += 1;
    for (const delayMs of this.route(from, to, copied(envelope))) {
      this.clock.schedule(delayMs, () => {
        to.node?.receive(from.nodeId, copied(envelope));
      });
    }
    return true;
  }

  async run(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await settle();
  }
}

/** As bytes cross a network. */
function copied(envelope: RaftEnvelope): RaftEnvelope {
  return {
    ...envelope,
    message: envelope.message.slice(),
    ...(envelope.payloads === undefined
      ? {}
      : { payloads: envelope.payloads.map((payload) => payload.slice()) }),
  };
}
