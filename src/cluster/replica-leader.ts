import type { ClusterOptions } from "./cluster-options.ts";
import type { LeaderPlace } from "./cluster-view.ts";
import type { Directory } from "./directory.ts";

export interface ReplicaLeaderParts {
  /** A replica here. */
  readonly group: {
    readonly topicId: number;
    readonly raft: { readonly leaderReplicaId: number | undefined; readonly term: number };
  };
  /** This node. */
  readonly nodeId: string;
  readonly directory: Directory;
  readonly cluster: Pick<ClusterOptions, "address">;
}

/** Who leads a group, as the replica here knows it. */
export function replicaLeader(parts: ReplicaLeaderParts): LeaderPlace | undefined {
  const { group, nodeId: here, directory, cluster } = parts;
  const { leaderReplicaId, term } = group.raft;
  if (leaderReplicaId === undefined) return undefined;
  const nodeId = directory.nodeOf(group.topicId, leaderReplicaId);
  if (nodeId === undefined) return undefined;
  const address = nodeId === here ? cluster.address() : directory.addressOf(nodeId);
  return address === undefined ? undefined : { nodeId, address, term };
}
