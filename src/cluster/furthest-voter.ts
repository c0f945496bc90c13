import type { ConfState, CoreStatus } from "../raft/core.ts";

export interface VotingGroup {
  readonly replicaId: number;
  readonly raft: {
    readonly conf: ConfState;
    status(): CoreStatus | undefined;
    transferLeadership(toReplica: number): Promise<void>;
  };
}

/** The voter beside this one that has the most; undefined when none is active, or it does not lead. */
export function furthestVoter(group: VotingGroup): number | undefined {
  const { conf } = group.raft;
  const others = group.raft
    .status()
    ?.progress.filter(
      ({ replicaId, isActive }) =>
        replicaId !== group.replicaId && isActive && conf.voters.includes(replicaId),
    );
  return others?.toSorted((left, right) => right.match - left.match)[0]?.replicaId;
}

/**
 * Lets that voter lead the group, if there is one.
 * @throws as `RaftGroup.transferLeadership`
 */
export async function passLeadership(group: VotingGroup): Promise<void> {
  const successor = furthestVoter(group);
  if (successor !== undefined) await group.raft.transferLeadership(successor);
}
