import { ProglogError } from "../base/errors.ts";
import { Serial } from "../storage/serial.ts";
import { CATALOGUE_TOPIC_ID } from "../topics/catalogue-state.ts";
import type { CatalogueEntry } from "../topics/catalogue-topics.ts";
import type { GroupPlacement, ReplicaPlace } from "../topics/group-placement.ts";
import type { Member } from "../topics/members.ts";
import { CLUSTER_TOPIC_NAME } from "../topics/names.ts";
import { planLeaders, planRebalance } from "../topics/placement-balance.ts";
import { checkRemoval, planMove, serverNotFound } from "../topics/placement-checks.ts";
import { topicNotFound } from "../topics/topic-errors.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";
import { foreignOutcome } from "./catalogue-proposal.ts";
import type { ChangeBell } from "./change-bell.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import type {
  ClusterStatus,
  ClusterView,
  ClusterWaiting,
  LeaderPlace,
  MemberInfo,
  MemberState,
  RebalancePlan,
  ReplicaInfo,
  ReplicaMove,
  TopicNeed,
  TopicRoute,
} from "./cluster-view.ts";
import type { Courier } from "./courier.ts";
import type { Directory } from "./directory.ts";
import { furthestVoter } from "./furthest-voter.ts";
import { giveUpAfter } from "./give-up-after.ts";
import { isRefusedInvitation } from "./invitations.ts";
import { clusterLayout } from "./layout.ts";
import type { NodeNetwork } from "./node-network.ts";
import type { Reconciler } from "./reconciler.ts";
import { replicasOf } from "./replica-infos.ts";
import { replicaLeader } from "./replica-leader.ts";
import type { TopicContext, TopicGroup } from "./topic-group.ts";

const INVITE_TIMEOUT_MS = 5_000;
/** Until a server that was asked to join is a member: it may wait for a seed that does not answer. */
const JOIN_MS_MAX = 30_000;

const HERE: TopicRoute = { kind: "here" };
const UNKNOWN: TopicRoute = { kind: "unknown" };
const MISSING: TopicRoute = { kind: "missing" };

export interface NodeViewParts {
  readonly context: TopicContext;
  readonly cluster: ClusterOptions;
  readonly network: NodeNetwork;
  readonly courier: Courier;
  readonly directory: Directory;
  readonly bell: ChangeBell;
  readonly catalogue: CatalogueGroup;
  readonly reconciler: Reconciler;
  readonly clusterId: () => string;
}

/** The cluster as this node sees it. */
export class NodeView implements ClusterView {
  readonly #parts: NodeViewParts;
  readonly #removals = new Serial();

  constructor(parts: NodeViewParts) {
    this.#parts = parts;
  }

  get nodeId(): string {
    return this.#parts.context.nodeId;
  }

  get clusterId(): string {
    return this.#parts.clusterId();
  }

  routeTopic(name: string, need: TopicNeed): TopicRoute {
    const { catalogue, reconciler } = this.#parts;
    const { state } = catalogue.machine;
    if (name === CLUSTER_TOPIC_NAME) return this.#routeReplica(catalogue, "leader");
    const entry = state.get(name);
    if (entry === undefined) return state.members().length > 1 ? MISSING : HERE;
    const group = reconciler.group(entry.id);
    if (group !== undefined) return this.#routeReplica(group, need);
    // What is wrong with it is told here, unless others have it too.
    if (reconciler.damage(entry.id) !== undefined && entry.replicas.length < 2) return HERE;
    return this.#routeAway(entry);
  }

  changed({ caller }: ClusterWaiting): Promise<void> {
    return this.#parts.bell.changed(caller);
  }

  confirmCatalogue({ caller }: ClusterWaiting): Promise<void> {
    return this.#parts.catalogue.raft.readIndex(caller);
  }

  status(): ClusterStatus {
    const { state } = this.#parts.catalogue.machine;
    const members = this.members();
    const topics = state.entries();
    const isBare = (entry: CatalogueEntry) => this.#isUnderReplicated(entry);
    return {
      clusterId: this.clusterId,
      nodeId: this.nodeId,
      leader: this.#leaderOf(this.#parts.catalogue),
      featureLevel: state.featureLevel,
      members: members.length,
      membersDown: members.filter(({ isUp }) => isUp === false).length,
      topics: topics.length,
      topicsLeaderless: topics.filter(({ id }) => this.#isLeaderless(id)).length,
      topicsUnderReplicated: topics.filter(isBare).length,
    };
  }

  members(): readonly MemberInfo[] {
    return this.#parts.catalogue.machine.state.members().map((member) => this.#memberInfo(member));
  }

  replicas(filter: { readonly topic?: string; readonly nodeId?: string }): readonly ReplicaInfo[] {
    const { catalogue, reconciler } = this.#parts;
    const { state } = catalogue.machine;
    const infos: ReplicaInfo[] = [];
    const isWanted = (name: string) => filter.topic === undefined || filter.topic === name;
    if (isWanted(CLUSTER_TOPIC_NAME)) {
      const placement = state.group(CATALOGUE_TOPIC_ID);
      const named = { topic: CLUSTER_TOPIC_NAME, topicId: CATALOGUE_TOPIC_ID };
      if (placement !== undefined) infos.push(...replicasOf(named, placement, catalogue));
    }
    for (const entry of state.entries()) {
      if (!isWanted(entry.name)) continue;
      const named = { topic: entry.name, topicId: entry.id };
      infos.push(...replicasOf(named, entry, reconciler.group(entry.id)));
    }
    const { nodeId } = filter;
    return nodeId === undefined ? infos : infos.filter((info) => info.nodeId === nodeId);
  }

  async addServer(address: string, { caller }: ClusterWaiting): Promise<MemberInfo> {
    const { context, cluster, network, directory, catalogue, bell } = this.#parts;
    const { state } = catalogue.machine;
    const own = cluster.address();
    const others = directory.addressesBut(this.nodeId);
    const addresses = own === "" ? others : [own, ...others];
    const { nodeId } = await network.peers
      .invite(address, { clusterId: this.clusterId, addresses }, { timeoutMs: INVITE_TIMEOUT_MS })
      .catch((error) => {
        throw isRefusedInvitation(error) ? error : unreachable(address, "does not answer", error);
      });
    const late = unreachable(address, "was asked to join and has not come yet");
    const waiting = giveUpAfter(context.clock, JOIN_MS_MAX, late, caller);
    try {
      for (;;) {
        const member = state.member(nodeId);
        if (member !== undefined) return this.#memberInfo(member);
        await bell.changed(waiting);
      }
    } finally {
      waiting.end();
    }
  }

  async updateServer(
    nodeId: string,
    { state, zone }: { readonly state?: MemberState; readonly zone?: string },
    { caller }: ClusterWaiting,
  ): Promise<MemberInfo> {
    const command = { kind: "updateServer", nodeId, state, zone } as const;
    const outcome = await this.#parts.courier.propose(command, caller);
    if (outcome.kind !== "serverUpdated") throw foreignOutcome(outcome.kind);
    return this.#memberInfo(outcome.member);
  }

  async removeServer(nodeId: string, force: boolean, { caller }: ClusterWaiting): Promise<void> {
    const votersNow = (topicId: number) => this.#votersNow(topicId);
    // One at a time: each is judged by what those before it have left.
    await this.#removals.run(async () => {
      if (caller?.reason !== undefined) throw caller.reason;
      checkRemoval(clusterLayout(this.#parts), { nodeId, force, votersNow });
      await this.#parts.courier.propose({ kind: "removeServer", nodeId, force }, caller);
    });
  }

  async moveReplica(move: ReplicaMove, { caller }: ClusterWaiting): Promise<void> {
    const { topic, sourceNodeId, targetNodeId } = move;
    const entry = this.#parts.catalogue.machine.state.get(topic);
    if (entry === undefined) throw topicNotFound(topic);
    const request = { topicId: entry.id, sourceNodeId, targetNodeId };
    const change = planMove(clusterLayout(this.#parts), request);
    await this.#parts.courier.propose({ kind: "place", ...change }, caller);
  }

  async rebalance(validateOnly: boolean, { caller }: ClusterWaiting): Promise<RebalancePlan> {
    const layout = clusterLayout(this.#parts);
    const { proposals, moves } = planRebalance(layout);
    const transfers = planLeaders(layout);
    if (!validateOnly) {
      for (const change of proposals) {
        await this.#parts.courier.propose({ kind: "place", ...change }, caller);
      }
    }
    return { moves, transfers };
  }

  async transferLeadership(topic: string, targetNodeId: string): Promise<LeaderPlace> {
    const { catalogue, reconciler } = this.#parts;
    const { state } = catalogue.machine;
    const entry = state.get(topic);
    const group = topic === CLUSTER_TOPIC_NAME ? catalogue : reconciler.group(entry?.id ?? -1);
    if (group === undefined) throw topicNotFound(topic);
    const placement = state.group(group.topicId);
    if (targetNodeId !== "" && state.member(targetNodeId) === undefined) {
      throw serverNotFound(targetNodeId);
    }
    const target =
      targetNodeId === ""
        ? furthestVoter(group)
        : placement?.replicas.find(({ nodeId }) => nodeId === targetNodeId)?.replicaId;
    const isVoter = target !== undefined && group.raft.conf.voters.includes(target);
    if (!isVoter) throw notAVoter(topic, targetNodeId);
    await group.raft.transferLeadership(target);
    const leader = this.#leaderOf(group);
    if (leader === undefined) throw notAVoter(topic, targetNodeId);
    return leader;
  }

  #routeReplica(group: CatalogueGroup | TopicGroup, need: TopicNeed): TopicRoute {
    const { raft, replicaId } = group;
    const { voters } = raft.conf;
    // One that is alone answers for itself, also when it cannot lead.
    if (voters.length === 1 && voters[0] === replicaId) return HERE;
    if (raft.isLeaderReady) return { kind: "here", term: raft.term };
    if (need === "replica" && raft.appliedIndex > 0) return HERE;
    const leader = this.#leaderOf(group);
    return leader === undefined || leader.nodeId === this.nodeId
      ? UNKNOWN
      : { kind: "there", leader };
  }

  /** No replica is here: one that is up serves the call, or says who does. */
  #routeAway({ replicas }: GroupPlacement): TopicRoute {
    const { network, directory } = this.#parts;
    const voters = replicas.filter(({ role }) => role === "voter");
    const isUp = ({ nodeId }: ReplicaPlace) => network.isUp(nodeId) !== false;
    const candidates = voters.filter(isUp);
    for (const { nodeId } of candidates.length > 0 ? candidates : voters) {
      const address = directory.addressOf(nodeId);
      if (address !== undefined && nodeId !== this.nodeId) {
        return { kind: "there", leader: { nodeId, address, term: 0 } };
      }
    }
    return UNKNOWN;
  }

  #leaderOf(group: CatalogueGroup | TopicGroup): LeaderPlace | undefined {
    const { directory, cluster } = this.#parts;
    return replicaLeader({ group, nodeId: this.nodeId, directory, cluster });
  }

  #memberInfo(member: Member): MemberInfo {
    const { nodeId, address, zone, state, version, featureLevel } = member;
    const isUp = this.#parts.network.isUp(nodeId);
    return { nodeId, address, zone, state, isUp, version, featureLevel };
  }

  /** Servers whose replicas vote in a group that is held here; undefined of others. */
  #votersNow(topicId: number): string[] | undefined {
    const { catalogue, reconciler, directory } = this.#parts;
    const group = topicId === CATALOGUE_TOPIC_ID ? catalogue : reconciler.group(topicId);
    if (group === undefined || group.raft.appliedIndex === 0) return undefined;
    const { voters, votersOutgoing } = group.raft.conf;
    const ids = [...new Set([...voters, ...votersOutgoing])];
    return ids.map((replicaId) => directory.nodeOf(topicId, replicaId) ?? "");
  }

  /** As far as this node can know: of topics that it has no replica of others know. */
  #isLeaderless(topicId: number): boolean {
    const group = this.#parts.reconciler.group(topicId);
    return group !== undefined && group.raft.leaderReplicaId === undefined;
  }

  #isUnderReplicated({ replicas, leaving }: CatalogueEntry): boolean {
    const { network } = this.#parts;
    const isDown = ({ nodeId }: ReplicaPlace) => network.isUp(nodeId) === false;
    return leaving.length > 0 || replicas.some(isDown);
  }
}

function unreachable(address: string, state: string, cause?: unknown): ProglogError {
  return new ProglogError(
    "SERVER_UNREACHABLE",
    `Cannot add the server at ${address}: it ${state}, wanted one that was started with --join`,
    { metadata: { address }, cause },
  );
}

function notAVoter(topic: string, serverId: string): ProglogError {
  return new ProglogError(
    "NOT_A_VOTER",
    `Cannot hand topic "${topic}" over: ${serverId === "" ? "no other server has a vote and is up" : `server ${serverId} has no vote in it`}`,
    { metadata: { topic, serverId } },
  );
}
