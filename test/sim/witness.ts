import type {
  ConfChange,
  ConfState,
  CoreGroup,
  CoreGroupConfig,
  CoreMessage,
  CoreReady,
  CoreStatus,
  CoreVerdict,
  RaftCore,
} from "../../src/raft/core.ts";
import { CoreMessageType, CoreRole } from "../../src/raft/core.ts";
import {
  messageIndex,
  messageIsReject,
  messageTerm,
  messageTo,
  messageType,
} from "../../src/raft/core-messages.ts";
import { SimCrash } from "../support/sim-faults.ts";
import type { GroupViews } from "./group-views.ts";
import type { ReplicaView } from "./replica-view.ts";

/** raftpb.MsgVoteResp */
const VOTE_RESPONSE = 6;

/**
 * Stands between hosts and their cores and tells {@link GroupViews} all that passes: so Raft's own promises are
 * judged from what the host really did with them.
 */
export class WitnessCore implements RaftCore {
  readonly #inner: RaftCore;
  readonly #views: GroupViews;
  readonly #groups = new Map<CoreGroup, WitnessGroup>();
  #isOver = false;

  constructor(inner: RaftCore, views: GroupViews) {
    this.#inner = inner;
    this.#views = views;
  }

  open(config: CoreGroupConfig): CoreGroup {
    if (this.#isOver) throw new SimCrash();
    const view = this.#views.replica(config.replicaId);
    view.opened(config.log, config.hardState, config.appliedIndex);
    const inner = this.#inner.open(config);
    const group = new WitnessGroup(inner, view, this.#views, () => this.#groups.delete(inner));
    this.#groups.set(inner, group);
    return group;
  }

  tickAll(groups: Iterable<CoreGroup>): readonly CoreGroup[] {
    const inner = [...groups].map((group) => (group instanceof WitnessGroup ? group.inner : group));
    if (this.#isOver) return [];
    return this.#inner.tickAll(inner).map((group) => this.#groups.get(group) ?? group);
  }

  /** The process is gone, and its core with it: what is left of its program gets no answers any more. */
  end(): void {
    this.#isOver = true;
    for (const group of [...this.#groups.values()]) group.end();
  }
}

class WitnessGroup implements CoreGroup {
  readonly inner: CoreGroup;
  readonly #view: ReplicaView;
  readonly #views: GroupViews;
  readonly #onClose: () => void;
  #isOver = false;

  constructor(inner: CoreGroup, view: ReplicaView, views: GroupViews, onClose: () => void) {
    this.inner = inner;
    this.#view = view;
    this.#views = views;
    this.#onClose = onClose;
  }

  get hasReady(): boolean {
    return !this.#isOver && this.inner.hasReady;
  }

  ready(): CoreReady | undefined {
    if (this.#isOver) return undefined;
    const ready = this.inner.ready();
    if (ready === undefined) return undefined;
    const view = this.#view;
    if (ready.hardState !== undefined) view.hardState = ready.hardState;
    if (ready.snapshot !== undefined) view.restore(ready.snapshot.index, ready.snapshot.term);
    view.append(ready.entries);
    if (ready.soft !== undefined) {
      view.isLeader = ready.soft.role === CoreRole.leader;
      if (view.isLeader) this.#views.elected(view);
    }
    if (ready.commitLast > 0) this.#views.applies(view, ready.commitFirst, ready.commitLast);
    this.#sent(ready.messages);
    return ready;
  }

  jobDone(job: number): readonly CoreMessage[] {
    if (this.#isOver) return [];
    const messages = this.inner.jobDone(job);
    this.#sent(messages);
    return messages;
  }

  #sent(messages: readonly CoreMessage[]): void {
    for (const message of messages) {
      if (messageIsReject(message)) continue;
      const type = messageType(message);
      const term = messageTerm(message);
      if (type === CoreMessageType.appendResponse) {
        this.#view.promised(messageIndex(message), term);
      } else if (type === VOTE_RESPONSE) {
        this.#view.voted(term, messageTo(message));
      }
    }
  }

  tick(): void {
    if (!this.#isOver) this.inner.tick();
  }

  campaign(): void {
    if (!this.#isOver) this.inner.campaign();
  }

  step(message: CoreMessage): CoreVerdict {
    return this.#isOver ? "ignored" : this.inner.step(message);
  }

  propose(data: readonly Uint8Array[]): CoreVerdict {
    return this.#isOver ? "dropped" : this.inner.propose(data);
  }

  proposeConfChange(changes: readonly ConfChange[], context: Uint8Array): CoreVerdict {
    return this.#isOver ? "dropped" : this.inner.proposeConfChange(changes, context);
  }

  applyConfChange(type: number, data: Uint8Array): ConfState {
    if (this.#isOver) throw new SimCrash();
    return this.inner.applyConfChange(type, data);
  }

  readIndex(context: Uint8Array): void {
    if (!this.#isOver) this.inner.readIndex(context);
  }

  transferLeader(replicaId: number): void {
    if (!this.#isOver) this.inner.transferLeader(replicaId);
  }

  forgetLeader(): void {
    if (!this.#isOver) this.inner.forgetLeader();
  }

  reportUnreachable(replicaId: number): void {
    if (!this.#isOver) this.inner.reportUnreachable(replicaId);
  }

  reportSnapshot(replicaId: number, isDone: boolean): void {
    if (!this.#isOver) this.inner.reportSnapshot(replicaId, isDone);
  }

  status(): CoreStatus {
    if (this.#isOver) throw new SimCrash();
    return this.inner.status();
  }

  close(): void {
    if (this.#isOver) return;
    this.end();
  }

  end(): void {
    this.#isOver = true;
    this.#onClose();
    this.inner.close();
  }
}
