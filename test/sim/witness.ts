import type { CoreGroup, CoreMessage, CoreReady, RaftCore } from "../../src/raft/core.ts";
import { CoreMessageType, CoreRole } from "../../src/raft/core.ts";
import {
  messageIndex,
  messageIsReject,
  messageTerm,
  messageTo,
  messageType,
} from "../../src/raft/core-messages.ts";
import type { GroupViews } from "./group-views.ts";
import { PassingCore, PassingGroup } from "./passing-core.ts";
import type { ReplicaView } from "./replica-view.ts";

/** raftpb.MsgVoteResp */
const VOTE_RESPONSE = 6;

/**
 * Stands between a host and its core and tells {@link GroupViews} all that passes: so Raft's own promises are
 * judged from what the host really did with them.
 */
export function witnessCore(inner: RaftCore, views: GroupViews): PassingCore {
  return new PassingCore(inner, (core, config) => {
    const view = views.replica(config.replicaId);
    view.opened(config.log, config.hardState, config.appliedIndex);
    return new WitnessGroup(core.open(config), view, views);
  });
}

class WitnessGroup extends PassingGroup {
  readonly #view: ReplicaView;
  readonly #views: GroupViews;

  constructor(inner: CoreGroup, view: ReplicaView, views: GroupViews) {
    super(inner);
    this.#view = view;
    this.#views = views;
  }

  override ready(): CoreReady | undefined {
    const ready = super.ready();
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

  override jobDone(job: number): readonly CoreMessage[] {
    const messages = super.jobDone(job);
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
}
