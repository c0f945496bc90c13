import type { GroupPlacement } from "../topics/group-placement.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";
import type { ReplicaInfo, ReplicaRoleInfo } from "./cluster-view.ts";
import type { TopicGroup } from "./topic-group.ts";

/**
 * What is known here of a group's replicas, in node id order: where they shall be from the catalogue, what
 * they are from Raft, if there is a replica here.
 */
export function replicasOf(
  named: { readonly topic: string; readonly topicId: number },
  { replicas, leaving }: GroupPlacement,
  group: CatalogueGroup | TopicGroup | undefined,
): ReplicaInfo[] {
  const status = group?.raft.isLeaderReady === true ? group.raft.status() : undefined;
  const leader = group?.raft.leaderReplicaId;
  const roleOf = (replicaId: number, wanted: ReplicaRoleInfo): ReplicaRoleInfo => {
    if (replicaId === leader) return "leader";
    if (group === undefined || group.raft.appliedIndex === 0) return wanted;
    return group.raft.conf.voters.includes(replicaId) ? "voter" : "learner";
  };
  const infos = [...replicas, ...leaving].map(({ replicaId, nodeId, role }) => {
    const match = status?.progress.find((progress) => progress.replicaId === replicaId)?.match;
    const lagEntries =
      status === undefined || match === undefined
        ? undefined
        : Math.max(0, status.hardState.commit - match);
    return { ...named, nodeId, role: roleOf(replicaId, role), lagEntries };
  });
  return infos.sort((left, right) => (left.nodeId < right.nodeId ? -1 : 1));
}
