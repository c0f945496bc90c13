import { crc32 } from "../../src/platform/crc32.ts";
import { CoreMessageType } from "../../src/raft/core.ts";
import { messageEntries } from "../../src/raft/core-messages.ts";
import type { RaftEnvelope } from "../../src/raft/transport.ts";
import { ReplicaView } from "./replica-view.ts";
import type { Violations } from "./violation.ts";

interface Committed {
  /** Of the entry. */
  readonly term: number;
  /** It was committed in this term at the latest: leaders of later ones have it. */
  readonly byTerm: number;
}

/** What is known of one group as a whole. */
interface GroupFacts {
  readonly replicas: Set<ReplicaView>;
  /** Entries that some replica was told to be committed. */
  readonly committed: Map<number, Committed>;
  lastCommitted: number;
  readonly leaders: Map<number, number>;
  /** Checksum of the payload of each (index, term) that was sent. */
  readonly payloads: Map<string, number>;
}

/** All replicas of all groups, and what must hold between them. */
export class GroupViews {
  readonly #violations: Violations;
  readonly #replicas = new Map<number, ReplicaView>();
  readonly #groups = new Map<number, GroupFacts>();
  /** Elections and entries that were applied, so that a summary can say how much was seen. */
  readonly counts = { elections: 0, applied: 0, messages: 0 };

  constructor(violations: Violations) {
    this.#violations = violations;
  }

  /** One replica; it keeps its id over all its lives. */
  replica(replicaId: number): ReplicaView {
    const known = this.#replicas.get(replicaId);
    if (known !== undefined) return known;
    const made = new ReplicaView(replicaId, this.#violations);
    this.#replicas.set(replicaId, made);
    return made;
  }

  /** A message leaves a node: it says which group a replica belongs to. */
  sent({ topicId, fromReplica, toReplica, message, payloads }: RaftEnvelope): void {
    this.counts.messages += 1;
    for (const replicaId of [fromReplica, toReplica]) this.#join(this.replica(replicaId), topicId);
    if (message[0] !== CoreMessageType.append || payloads === undefined) return;
    const { payloads: known } = this.#group(topicId);
    for (const [at, { index, term }] of messageEntries(message).entries()) {
      const checksum = crc32(payloads[at] ?? new Uint8Array(0));
      const key = `${index}/${term}`;
      const before = known.get(key);
      if (before !== undefined && before !== checksum) {
        this.#violations.report(`topic ${topicId} has two payloads for entry ${key}`);
      }
      known.set(key, checksum);
    }
  }

  /** A replica has become the leader of its term. */
  elected(view: ReplicaView): void {
    this.counts.elections += 1;
    if (view.topicId === undefined) return;
    const group = this.#group(view.topicId);
    const { term } = view.hardState;
    const before = group.leaders.get(term);
    if (before !== undefined && before !== view.replicaId) {
      this.#violations.report(
        `topic ${view.topicId} has two leaders in term ${term}: ${before} and ${view.replicaId}`,
      );
    }
    group.leaders.set(term, view.replicaId);
    this.#checkComplete(view, group);
  }

  /** A replica is told to apply entries. */
  applies(view: ReplicaView, first: number, last: number): void {
    this.counts.applied += last - first + 1;
    if (first !== view.appliedIndex + 1) {
      this.#violations.report(
        `${view.name} applies ${first} to ${last} after ${view.appliedIndex}`,
      );
    }
    view.appliedIndex = last;
    if (last > view.lastIndex) {
      this.#violations.report(`${view.name} applies ${last}, its log ends at ${view.lastIndex}`);
    }
    if (view.topicId !== undefined) this.#commit(view, this.#group(view.topicId), first, last);
  }

  /** Log matching: where two replicas have the same entry, all before it are the same. */
  checkMatching(): void {
    for (const [topicId, { replicas }] of this.#groups) {
      const all = [...replicas];
      for (const [at, left] of all.entries()) {
        for (const right of all.slice(at + 1)) this.#match(topicId, left, right);
      }
    }
  }

  #match(topicId: number, left: ReplicaView, right: ReplicaView): void {
    const first = Math.max(left.firstIndex, right.firstIndex);
    let hasMatched = false;
    for (let index = Math.min(left.lastIndex, right.lastIndex); index >= first; index -= 1) {
      const isSame = left.termAt(index) === right.termAt(index);
      if (hasMatched && !isSame) {
        this.#violations.report(
          `topic ${topicId}: logs of ${left.replicaId} and ${right.replicaId} match after entry ${index}, which differs`,
        );
        return;
      }
      hasMatched ||= isSame;
    }
  }

  #commit(view: ReplicaView, group: GroupFacts, first: number, last: number): void {
    for (let index = first; index <= last; index += 1) {
      const term = view.termAt(index);
      if (term === undefined) continue;
      const before = group.committed.get(index);
      if (before !== undefined && before.term !== term) {
        this.#violations.report(
          `${view.name} applies entry ${index} of term ${term}, another one that of term ${before.term}`,
        );
        return;
      }
      const byTerm = Math.min(before?.byTerm ?? view.hardState.term, view.hardState.term);
      if (before?.byTerm !== byTerm) group.committed.set(index, { term, byTerm });
      group.lastCommitted = Math.max(group.lastCommitted, index);
    }
  }

  /** Leader completeness: who leads has everything that was committed before. */
  #checkComplete(view: ReplicaView, group: GroupFacts): void {
    const { term } = view.hardState;
    for (let index = group.lastCommitted; index >= view.firstIndex; index -= 1) {
      const entry = group.committed.get(index);
      if (entry === undefined || entry.byTerm >= term) continue;
      if (entry.term === view.termAt(index)) continue;
      this.#violations.report(
        `${view.name} leads term ${term} without entry ${index} of term ${entry.term}: it has ${view.termAt(index)}`,
      );
      return;
    }
  }

  #join(view: ReplicaView, topicId: number): void {
    if (view.topicId === topicId) return;
    if (view.topicId !== undefined) {
      this.#violations.report(`${view.name} speaks for topic ${topicId}`);
      return;
    }
    view.topicId = topicId;
    const group = this.#group(topicId);
    group.replicas.add(view);
    this.#commit(view, group, view.firstIndex, Math.min(view.appliedIndex, view.lastIndex));
    if (view.isLeader) this.elected(view);
  }

  #group(topicId: number): GroupFacts {
    const known = this.#groups.get(topicId);
    if (known !== undefined) return known;
    const made: GroupFacts = {
      replicas: new Set(),
      committed: new Map(),
      lastCommitted: 0,
      leaders: new Map(),
      payloads: new Map(),
    };
    this.#groups.set(topicId, made);
    return made;
  }
}
