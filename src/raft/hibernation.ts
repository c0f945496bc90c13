import type { CoreHardState, CoreMessage, CoreStatus } from "./core.ts";
import { CoreRole } from "./core.ts";
import { messageCommit, messageTerm } from "./core-messages.ts";
import type { Leadership } from "./leadership.ts";
import type { NodeGroup, RaftNode } from "./raft-node.ts";

const ASK_AGAIN_TICKS = 3;

export interface HibernationParts {
  readonly node: RaftNode;
  readonly group: NodeGroup;
  readonly leadership: Leadership;
  readonly lastIndex: () => number;
  readonly appliedIndex: () => number;
  readonly hardState: () => CoreHardState;
  /** Asked seldom: it costs a call into the core. */
  readonly status: () => CoreStatus | undefined;
  /** Nobody waits for anything here. */
  readonly isIdle: () => boolean;
}

/**
 * When a group may rest: no ticks, no heartbeats, no elections, until something is to be done.
 *
 *     leader    nothing to do for some time, everybody has everything
 *               -> its next round of heartbeats says so -> rests
 *     follower  such a heartbeat, and it has everything too -> rests
 *
 * Whoever is not of that opinion goes on as before. A follower that hears nothing then begins an
 * election, which wakes the others; one at rest begins it when its leader's node is unreachable.
 */
export class Hibernation {
  readonly #parts: HibernationParts;
  #idleTicks = 0;
  #isLeaving = false;
  /** The last round of heartbeats said that this leader rests. */
  #hasSaid = false;

  constructor(parts: HibernationParts) {
    this.#parts = parts;
  }

  /** Something is to be done. */
  touch(): void {
    this.#idleTicks = 0;
    this.#isLeaving = false;
    this.#parts.node.wake(this.#parts.group);
  }

  /** A leader's tick. */
  tick(): void {
    if (this.#isLeaving || !this.#parts.isIdle()) return;
    this.#idleTicks += 1;
    if (this.#idleTicks < this.#parts.node.limits.idleTicks) return;
    // Replicas count as active only some ticks after each check of the quorum.
    this.#idleTicks -= ASK_AGAIN_TICKS;
    const status = this.#parts.status();
    if (status === undefined || this.#parts.leadership.isTransferring) return;
    this.#isLeaving = isAtRest(status, this.#parts.lastIndex());
  }

  /** A heartbeat leaves. @returns true when it shall say that its sender rests */
  saysRest(): boolean {
    if (this.#isLeaving) this.#hasSaid = true;
    return this.#isLeaving;
  }

  /** All that the tick has brought is sent. */
  ticked(): void {
    const hasLeft = this.#hasSaid && this.#isLeaving;
    this.#hasSaid = false;
    if (hasLeft) this.#parts.node.rest(this.#parts.group);
  }

  /** A heartbeat came that says that the leader rests, and the core has taken it. */
  follow(message: CoreMessage, fromReplica: number): void {
    const { leadership, node, group } = this.#parts;
    const { term, commit } = this.#parts.hardState();
    const lastIndex = this.#parts.lastIndex();
    const isUpToDate =
      messageTerm(message) === term &&
      messageCommit(message) === lastIndex &&
      commit === lastIndex &&
      this.#parts.appliedIndex() === lastIndex;
    const isFollowing =
      leadership.role === CoreRole.follower && leadership.leaderReplicaId === fromReplica;
    if (isUpToDate && isFollowing && this.#parts.isIdle()) node.rest(group);
  }
}

/** True when a leader has nothing left to do for anybody. */
function isAtRest(status: CoreStatus, lastIndex: number): boolean {
  const { hardState, appliedIndex, role, transferee, conf, progress } = status;
  if (role !== CoreRole.leader || transferee !== 0 || conf.votersOutgoing.length > 0) return false;
  if (hardState.commit !== lastIndex || appliedIndex !== lastIndex) return false;
  return progress.every(({ match, isActive }) => match === lastIndex && isActive);
}
