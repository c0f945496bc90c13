import { hasReason } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { ConfChange, ConfState, CoreStatus } from "../raft/core.ts";
import type { GroupPlacement } from "../topics/group-placement.ts";
import { nextMembershipStep } from "./membership-step.ts";

/** Entries that a replica may lack and still count as caught up: less than a moment's work. */
const CAUGHT_UP_ENTRIES = 256;

/** A group that may be led here. */
export interface KeptGroup {
  readonly topicId: number;
  readonly replicaId: number;
  readonly raft: {
    readonly isLeaderReady: boolean;
    readonly conf: ConfState;
    status(): CoreStatus | undefined;
    changeConf(changes: readonly ConfChange[]): Promise<void>;
    transferLeadership(toReplica: number): Promise<void>;
    wake(): void;
  };
}

export interface GroupKeeperOptions {
  readonly logger: Logger;
  readonly placement: (topicId: number) => GroupPlacement | undefined;
  /** Tells the catalogue that a replica which was leaving has left. */
  readonly left: (topicId: number, placementVersion: number, replicaId: number) => Promise<void>;
}

/**
 * Brings the membership of the groups that are led here to what the catalogue wants, a step at a time,
 * and tells the catalogue of replicas that have left. Every step may fail and is taken again.
 */
export class GroupKeeper {
  readonly #options: GroupKeeperOptions;
  /** Groups with a step under way. */
  readonly #busy = new Set<number>();

  constructor(options: GroupKeeperOptions) {
    this.#options = options;
  }

  /**
   * Takes the next step of the group, unless one is under way.
   * @returns true when there is nothing to do until something changes
   */
  async look(group: KeptGroup): Promise<boolean> {
    const { topicId, raft } = group;
    const placement = this.#options.placement(topicId);
    if (placement === undefined) return true;
    if (!raft.isLeaderReady || this.#busy.has(topicId)) return false;
    this.#busy.add(topicId);
    try {
      return await this.#step(group, placement);
    } catch (error) {
      if (!hasReason(error, "DRAINING")) {
        const fields = { topicId, why: `${error}` };
        this.#options.logger.debug("A step of a group's membership failed", fields);
      }
      return false;
    } finally {
      this.#busy.delete(topicId);
    }
  }

  async #step(group: KeptGroup, placement: GroupPlacement): Promise<boolean> {
    const { topicId, replicaId, raft } = group;
    let status: CoreStatus | undefined;
    const step = nextMembershipStep({
      self: replicaId,
      conf: raft.conf,
      wanted: placement.replicas,
      isCaughtUp: (id) => {
        if (id === replicaId) return true;
        status ??= raft.status();
        return status !== undefined && isCaughtUp(status, id);
      },
    });
    switch (step.kind) {
      case "change":
        this.#options.logger.info("The replicas of a topic change", {
          topicId,
          changes: step.changes.map(({ type, replicaId: id }) => `${type} ${id}`).join(", "),
        });
        await raft.changeConf(step.changes);
        return false;
      case "hand-over":
        await raft.transferLeadership(step.toReplica);
        return false;
      case "done":
        return await this.#tellLeft(topicId, raft.conf, placement);
      case "wait":
        // What was sent to a replica before it was made is lost: only a leader that is awake sends it again.
        raft.wake();
        return false;
    }
  }

  /** @returns true when nobody was leaving */
  async #tellLeft(
    topicId: number,
    conf: ConfState,
    { leaving, placementVersion }: GroupPlacement,
  ): Promise<boolean> {
    const members = new Set([...conf.voters, ...conf.learners]);
    for (const { replicaId } of leaving) {
      if (!members.has(replicaId)) await this.#options.left(topicId, placementVersion, replicaId);
    }
    return leaving.length === 0;
  }
}

function isCaughtUp({ progress, hardState }: CoreStatus, replicaId: number): boolean {
  const found = progress.find((replica) => replica.replicaId === replicaId);
  // One that has nothing yet may be few entries behind, and still lacks all records: it gets a snapshot first.
  if (found === undefined || !found.isActive || found.match === 0) return false;
  if (found.state !== "replicate") return false;
  return found.match + CAUGHT_UP_ENTRIES >= hardState.commit;
}
