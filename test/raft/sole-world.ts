import { SILENT_LOGGER } from "../../src/base/log.ts";
import { MIB } from "../../src/base/units.ts";
import { Admission } from "../../src/raft/admission.ts";
import type { RaftCore } from "../../src/raft/core.ts";
import { confOf } from "../../src/raft/membership.ts";
import { RaftGroup } from "../../src/raft/raft-group.ts";
import type { JournalledEntry } from "../../src/raft/raft-journal.ts";
import { RaftNode } from "../../src/raft/raft-node.ts";
import type { VoterProposeOptions } from "../../src/raft/voter.ts";
import { SimClock, settle } from "../support/sim-clock.ts";
import { Recorder } from "./recorder.ts";
import { SteppedJournal } from "./stepped-journal.ts";

export const REPLICA = 7;

export interface SoleOptions {
  /** Journalled before, above entry 1. */
  readonly stored?: readonly JournalledEntry[];
  readonly commit?: number;
  readonly appliedIndex?: number;
  readonly laneBytesMax?: number;
  /** Who else belongs to the group; default: nobody. */
  readonly learners?: readonly number[];
  /** Raft's own core; default: there is none. */
  readonly core?: RaftCore | (() => Promise<RaftCore>);
}

/** A group of one, not recovered yet. Commands are texts; those in capitals share no entry. */
export function openSole(options: SoleOptions = {}) {
  const { stored = [], commit = 1, appliedIndex = 1, laneBytesMax = 100, core } = options;
  const journal = new SteppedJournal();
  journal.disk.add(REPLICA, { index: 1, term: 1 });
  const replica = journal.disk.get(REPLICA);
  replica.entries.push(...stored);
  replica.state = { term: 1, vote: 0, commit };
  const clock = new SimClock();
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => failures.push(error);
  const node = new RaftNode({
    core: core ?? (() => Promise.reject(new Error("A group of one needs no module"))),
    ...{ clock, logger: SILENT_LOGGER, onFailure },
    transport: { send: () => false },
    nodeOf: () => undefined,
  });
  node.start();
  const machine = new Recorder([], appliedIndex);
  const limits = { bytesMax: 100 * MIB, laneBytesMax, waitingBytesMax: 100, waitingCountMax: 3 };
  const group = new RaftGroup<string, string>({
    ...{ node, journal, host: machine, clock, topicId: 1, replicaId: REPLICA },
    conf: confOf([REPLICA], options.learners ?? []),
    ...{ appliedIndex, appliedTerm: 1, onFailure, onPoisoned: onFailure },
    lane: new Admission(limits).lane(),
  });
  const propose = (text: string, more: Partial<VoterProposeOptions> = {}) => {
    const call = group.propose(text, { bytes: text.length, ...more });
    call.catch(() => {}); // Tests look at it later.
    return call;
  };
  /** Lets what a full disk refused be handed in again. */
  const tick = () => clock.advance(node.limits.tickMs);
  const recover = async () => {
    const recovered = group.recover();
    recovered.catch(() => {});
    await settle();
    journal.flush();
    await recovered;
  };
  return { journal, machine, group, node, clock, failures, propose, tick, recover };
}

/** One that leads; the first command becomes entry 3. */
export async function startSole(options: SoleOptions = {}) {
  const sole = openSole(options);
  await sole.recover();
  return sole;
}
