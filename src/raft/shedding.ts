import type { CoreStatus } from "./core.ts";
import type { RaftNode } from "./raft-node.ts";

/** Election time-outs between two attempts to hand over what a full disk cannot lead. */
const FULL_PAUSE = 10;

export interface SheddingParts {
  readonly node: RaftNode;
  readonly topicId: number;
  readonly replicaId: number;
  readonly status: () => CoreStatus | undefined;
  readonly transfer: (toReplica: number) => void;
  readonly stepDown: () => void;
}

/** Gets rid of a leadership that the disk is not up to: to the best follower, or, when it hangs, to anybody. */
export class Shedding {
  readonly #parts: SheddingParts;
  /** Not again before this tick. */
  #nextTick = 0;
  #hasTried = false;

  constructor(parts: SheddingParts) {
    this.#parts = parts;
  }

  /** This replica leads no more: should it lead again, it begins anew. */
  reset(): void {
    this.#nextTick = 0;
    this.#hasTried = false;
  }

  /** To be called with each tick while the disk is full, or hangs, and this replica leads. */
  tick(isHung: boolean): void {
    const { tick, limits } = this.#parts.node;
    if (tick < this.#nextTick) return;
    if (isHung && this.#hasTried) {
      // Worse than no leader for a while.
      this.#hasTried = false;
      this.#parts.stepDown();
      return;
    }
    this.#hasTried = isHung;
    this.#nextTick = tick + limits.electionTicks * (isHung ? 1 : FULL_PAUSE);
    const best = this.#best();
    if (best === undefined) return;
    const fields = { topicId: this.#parts.topicId, toReplica: best };
    this.#parts.node.logger.warn("The disk is full or hangs: another replica shall lead", fields);
    this.#parts.transfer(best);
  }

  /** The voter that is heard of and has most of the log. */
  #best(): number | undefined {
    const status = this.#parts.status();
    const candidates = status?.progress.filter(({ replicaId, isActive }) => {
      const isOther = replicaId !== this.#parts.replicaId;
      return isOther && isActive && status.conf.voters.includes(replicaId);
    });
    return candidates?.sort((left, right) => right.match - left.match)[0]?.replicaId;
  }
}
