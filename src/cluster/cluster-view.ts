import type { Abortable } from "../base/abortable.ts";

/**
 * The cluster as the services see it: who leads what, who belongs to it, and how that is changed.
 * `cluster/` implements it; `rpc/` routes calls by it and translates ClusterService.
 */

/** Who can serve a call on a topic. */
export type TopicNeed =
  /** Writes, and reads that must see everything acknowledged: the topic's leader. */
  | "leader"
  /** Reads of what is committed: any replica, this server's own first. */
  | "replica";

export type TopicRoute =
  /** This server can; for need "leader", in this term. */
  | { readonly kind: "here"; readonly term?: number }
  | { readonly kind: "there"; readonly leader: LeaderPlace }
  /** There is such a topic, but nobody is known to lead it at the moment. */
  | { readonly kind: "unknown" }
  /** The catalogue here has no such topic; it may be behind: see {@link ClusterView.confirmCatalogue}. */
  | { readonly kind: "missing" };

/** Who leads a group (for need "replica": who has one), as far as is known here. */
export interface LeaderPlace {
  readonly nodeId: string;
  /** `host:port`. */
  readonly address: string;
  readonly term: number;
}

export type MemberState = "active" | "draining";

export interface MemberInfo {
  readonly nodeId: string;
  readonly address: string;
  readonly zone: string;
  readonly state: MemberState;
  /** As this server sees it; undefined: not known yet. */
  readonly isUp: boolean | undefined;
  readonly version: string;
  readonly featureLevel: number;
}

export type ReplicaRoleInfo = "leader" | "voter" | "learner";

export interface ReplicaInfo {
  readonly topic: string;
  readonly topicId: number;
  readonly nodeId: string;
  readonly role: ReplicaRoleInfo;
  /** Raft entries that the leader has committed and the replica is not known to have; known on the leader only. */
  readonly lagEntries: number | undefined;
}

export interface ClusterStatus {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Of `_cluster`. */
  readonly leader: LeaderPlace | undefined;
  readonly featureLevel: number;
  readonly members: number;
  readonly membersDown: number;
  readonly topics: number;
  readonly topicsLeaderless: number;
  readonly topicsUnderReplicated: number;
}

export interface ReplicaMove {
  readonly topic: string;
  readonly sourceNodeId: string;
  readonly targetNodeId: string;
}

export interface LeaderMove {
  readonly topic: string;
  readonly targetNodeId: string;
}

export interface RebalancePlan {
  readonly moves: readonly ReplicaMove[];
  readonly transfers: readonly LeaderMove[];
}

/** For all that waits: who gives it up. */
export interface ClusterWaiting {
  readonly caller?: Abortable | undefined;
}

export interface ClusterView {
  readonly nodeId: string;
  /** Empty until this server belongs to a cluster. */
  readonly clusterId: string;
  /** Cheap: asked for each call. `_cluster` is a topic here. */
  routeTopic(name: string, need: TopicNeed): TopicRoute;
  /** Resolves at the next change of a leader or of the catalogue; rejects when the caller gives up. */
  changed(waiting: ClusterWaiting): Promise<void>;
  /**
   * Resolves when the catalogue here has everything acknowledged before the call.
   * @throws NO_QUORUM, CANCELED, DEADLINE_EXCEEDED
   */
  confirmCatalogue(waiting: ClusterWaiting): Promise<void>;
  status(): ClusterStatus;
  /** In id order. */
  members(): readonly MemberInfo[];
  /** In order of topic name and node id. */
  replicas(filter: { readonly topic?: string; readonly nodeId?: string }): readonly ReplicaInfo[];

  /*
   * Changes: to be called where `_cluster` is led (route the call by `routeTopic("_cluster", "leader")`);
   * NOT_LEADER elsewhere. SERVER_NOT_FOUND when a server is named that is no member.
   */

  /** Asks the server at `address`, which waits to be taken in, to join. @throws SERVER_EXISTS, CLUSTER_FOREIGN, SERVER_UNREACHABLE */
  addServer(address: string, waiting: ClusterWaiting): Promise<MemberInfo>;
  updateServer(
    nodeId: string,
    change: { readonly state?: MemberState; readonly zone?: string },
    waiting: ClusterWaiting,
  ): Promise<MemberInfo>;
  /** @throws SERVER_HAS_REPLICAS, QUORUM_AT_RISK */
  removeServer(nodeId: string, force: boolean, waiting: ClusterWaiting): Promise<void>;
  /** @throws TOPIC_NOT_FOUND, REPLICA_EXISTS, REPLICA_MISSING */
  moveReplica(move: ReplicaMove, waiting: ClusterWaiting): Promise<void>;
  /** Decides and begins it, unless `validateOnly`. */
  rebalance(validateOnly: boolean, waiting: ClusterWaiting): Promise<RebalancePlan>;

  /**
   * To be called where the topic is led. `targetNodeId` empty: the voter that is furthest. Resolves when
   * the new leader is known. @throws NOT_LEADER, NOT_A_VOTER, TOPIC_NOT_FOUND
   */
  transferLeadership(
    topic: string,
    targetNodeId: string,
    waiting: ClusterWaiting,
  ): Promise<LeaderPlace>;
}
