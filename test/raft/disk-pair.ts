import { SILENT_LOGGER } from "../../src/base/log.ts";
import { Journal } from "../../src/journal/journal.ts";
import { Admission } from "../../src/raft/admission.ts";
import type { ConfState } from "../../src/raft/core.ts";
import { confOf } from "../../src/raft/membership.ts";
import { RaftGroup } from "../../src/raft/raft-group.ts";
import { RaftNode } from "../../src/raft/raft-node.ts";
import { makeRandom, SeededRandom } from "../support/prng.ts";
import { SimClock, SimLifeClock } from "../support/sim-clock.ts";
import { SimCrash, SimFileSystem } from "../support/sim-file-system.ts";
import { makeCore } from "./raft-core.ts";
import { Recorder } from "./recorder.ts";

const LANE = { bytesMax: 1e9, laneBytesMax: 1e9, waitingBytesMax: 1e9, waitingCountMax: 1e6 };
const TOPIC = 1;

/** A machine's state as it was saved. */
interface Saved {
  readonly applied: readonly string[];
  readonly index: number;
  readonly term: number;
  readonly conf: ConfState;
}

/** A node on a simulated disk, with one replica of the group: of the same number. */
export class DiskMember {
  readonly id: number;
  readonly failures: unknown[] = [];
  fs: SimFileSystem;
  group: RaftGroup<string, string> | undefined;
  machine = new Recorder();
  node: RaftNode | undefined;
  lives = 0;
  readonly #pair: DiskPair;
  #clock: SimLifeClock;
  #saved: Saved;
  #pending: Saved | undefined;

  constructor(pair: DiskPair, id: number) {
    this.#pair = pair;
    this.id = id;
    this.fs = new SimFileSystem(pair.random);
    this.#clock = new SimLifeClock(pair.clock, { offsetUs: 0 });
    const isFounder = id === 1;
    const at = isFounder ? { index: 1, term: 1 } : { index: 0, term: 0 };
    this.#saved = { applied: [], ...at, conf: confOf(isFounder ? [1] : []) };
  }

  /** Ends without a word when power is cut meanwhile. */
  async start(): Promise<void> {
    this.lives += 1;
    const { fs, lives } = this;
    const clock = new SimLifeClock(this.#pair.clock, { offsetUs: 0 });
    this.#clock = clock;
    const onFailure = (error: unknown) => {
      if (!fs.isStopped) this.failures.push(error);
    };
    try {
      const journal = await this.#journal(onFailure);
      this.#adopt(journal);
      this.#open(journal, onFailure);
      await this.group?.recover();
    } catch (error) {
      if (!fs.isStopped && lives === this.lives) throw error;
    }
  }

  async #journal(onFailure: (error: unknown) => void): Promise<Journal> {
    const { fs, id } = this;
    const journal = await Journal.open({
      ...{ fs, clock: this.#clock, logger: SILENT_LOGGER, onFailure, sync: "always" },
      random: new SeededRandom(id * 100 + this.lives),
      fileBytes: 64 * 1024,
    });
    if (journal.replica(id) === undefined) {
      const { index, term } = this.#saved;
      await journal.addReplica({
        ...{ replicaId: id, topicId: TOPIC, term, vote: 0, commit: index },
        ...{ snapshotIndex: index, snapshotTerm: term },
      });
    }
    return journal;
  }

  /** The journal has the mark of a snapshot that was prepared. */
  #adopt(journal: Journal): void {
    const marked = journal.replica(this.id)?.snapshotIndex ?? 0;
    if (this.#pending !== undefined && marked >= this.#pending.index) this.#saved = this.#pending;
    this.#pending = undefined;
  }

  #open(journal: Journal, onFailure: (error: unknown) => void): void {
    const { fs, id, lives } = this;
    const clock = this.#clock;
    const { applied, index, term, conf } = this.#saved;
    const machine = new Recorder(applied, index);
    machine.onPrepared = ({ index: at, term: atTerm, conf: atConf, data }) => {
      if (fs.isStopped) return;
      const [, ...texts] = JSON.parse(new TextDecoder().decode(data)) as [number, ...string[]];
      this.#pending = { applied: texts, index: at, term: atTerm, conf: atConf };
    };
    machine.onCommitted = ({ index: at }) => {
      if (!fs.isStopped && this.#pending?.index === at) this.#saved = this.#pending;
    };
    this.machine = machine;
    this.node = new RaftNode({
      core: makeCore(id * 100 + lives, clock),
      ...{ clock, logger: SILENT_LOGGER, onFailure },
      nodeOf: (_topicId, replicaId) => `n${replicaId}`,
      transport: {
        send: (nodeId, envelope) => {
          if (fs.isStopped) return false;
          this.#pair.clock.schedule(1, () => {
            const to = this.#pair.members.find((member) => `n${member.id}` === nodeId);
            if (to?.fs.isStopped === false) to.node?.receive(`n${id}`, envelope);
          });
          return true;
        },
      },
      onFailure,
    });
    this.group = new RaftGroup<string, string>({
      ...{ node: this.node, journal, host: machine, clock, topicId: TOPIC, replicaId: id },
      ...{ conf, appliedIndex: index, appliedTerm: term, onFailure, onPoisoned: onFailure },
      lane: new Admission(LANE).lane(),
    });
    this.node.start();
  }

  /** The power is cut before the disk's operation of that number of this life. */
  crashAt(step: number): void {
    this.fs.onStep((at) => {
      if (at >= step) throw new SimCrash();
    });
  }

  /** After a crash: the machine is there again. */
  async restart(): Promise<void> {
    this.#clock.end();
    this.node?.stop();
    this.fs.crash();
    this.fs = this.fs.reopen();
    await this.start();
  }
}

/** A group of one on node 1, and node 2, whose replica does not belong to it yet. */
export class DiskPair {
  readonly clock = new SimClock();
  readonly random: () => number;
  readonly members: readonly [DiskMember, DiskMember];

  constructor(seed: number) {
    this.random = makeRandom(seed);
    this.members = [new DiskMember(this, 1), new DiskMember(this, 2)];
  }
}
