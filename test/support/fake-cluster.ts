import { ProglogError } from "../../src/base/errors.ts";
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
} from "../../src/cluster/cluster-view.ts";

const HERE: TopicRoute = { kind: "here", term: 1 };

/** What a server knows of its cluster, as a test says it. Topics that it says nothing of are here. */
export class FakeCluster implements ClusterView {
  readonly nodeId: string;
  clusterId = "cluster-1";
  /** How often somebody asked for the newest catalogue. */
  confirmCount = 0;
  /** What happens before the catalogue is the newest. */
  onConfirm: ((waiting: ClusterWaiting) => void | Promise<void>) | undefined;
  memberList: MemberInfo[] = [];
  replicaList: ReplicaInfo[] = [];
  plan: RebalancePlan = { moves: [], transfers: [] };
  /** Changes that were asked for, as text. */
  readonly asked: string[] = [];
  /** When set, the next change is refused with it. */
  refuseNext: ProglogError | undefined;
  readonly #leaders = new Map<string, TopicRoute>();
  readonly #replicas = new Map<string, TopicRoute>();
  readonly #waiters = new Set<() => void>();

  constructor(nodeId: string) {
    this.nodeId = nodeId;
  }

  /** Who wait for a change. */
  get waiterCount(): number {
    return this.#waiters.size;
  }

  /** The topic's leader is there; replicas too, unless {@link keepReplica} said otherwise. */
  lead(topic: string, route: TopicRoute): void {
    this.#leaders.set(topic, route);
    this.tell();
  }

  /** Reads of what is committed go there. */
  keepReplica(topic: string, route: TopicRoute = HERE): void {
    this.#replicas.set(topic, route);
  }

  /** Something has changed. */
  tell(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  routeTopic(name: string, need: TopicNeed): TopicRoute {
    const leader = this.#leaders.get(name) ?? HERE;
    return need === "leader" ? leader : (this.#replicas.get(name) ?? leader);
  }

  changed({ caller }: ClusterWaiting): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = caller?.whenAborted(() => {
        this.#waiters.delete(wake);
        reject(caller.reason);
      });
      const wake = () => {
        leave?.();
        resolve();
      };
      if (caller?.reason === undefined) this.#waiters.add(wake);
    });
  }

  async confirmCatalogue(waiting: ClusterWaiting): Promise<void> {
    this.confirmCount += 1;
    await this.onConfirm?.(waiting);
  }

  status(): ClusterStatus {
    const leader = this.routeTopic("_cluster", "leader");
    return {
      clusterId: this.clusterId,
      nodeId: this.nodeId,
      leader: leader.kind === "there" ? leader.leader : undefined,
      featureLevel: 1,
      members: this.memberList.length,
      membersDown: this.memberList.filter(({ isUp }) => isUp === false).length,
      topics: 1,
      topicsLeaderless: 0,
      topicsUnderReplicated: 0,
    };
  }

  members(): readonly MemberInfo[] {
    return this.memberList;
  }

  replicas({ topic, nodeId }: { topic?: string; nodeId?: string }): readonly ReplicaInfo[] {
    return this.replicaList.filter(
      (replica) =>
        (topic === undefined || replica.topic === topic) &&
        (nodeId === undefined || replica.nodeId === nodeId),
    );
  }

  async addServer(address: string, _waiting: ClusterWaiting): Promise<MemberInfo> {
    this.#ask(`add ${address}`);
    const member = memberAt("added", address);
    this.memberList.push(member);
    return member;
  }

  async updateServer(
    nodeId: string,
    change: { readonly state?: MemberState; readonly zone?: string },
  ): Promise<MemberInfo> {
    this.#ask(`update ${nodeId} ${JSON.stringify(change)}`);
    const found = this.memberList.find((member) => member.nodeId === nodeId);
    if (found === undefined) throw serverNotFound(nodeId);
    const changed = { ...found, ...change };
    this.memberList = this.memberList.map((member) => (member === found ? changed : member));
    return changed;
  }

  async removeServer(nodeId: string, force: boolean): Promise<void> {
    this.#ask(`remove ${nodeId}${force ? " by force" : ""}`);
    if (!this.memberList.some((member) => member.nodeId === nodeId)) throw serverNotFound(nodeId);
    this.memberList = this.memberList.filter((member) => member.nodeId !== nodeId);
  }

  async moveReplica({ topic, sourceNodeId, targetNodeId }: ReplicaMove): Promise<void> {
    this.#ask(`move ${topic} from ${sourceNodeId} to ${targetNodeId}`);
  }

  async rebalance(validateOnly: boolean): Promise<RebalancePlan> {
    this.#ask(validateOnly ? "plan" : "rebalance");
    return this.plan;
  }

  async transferLeadership(topic: string, targetNodeId: string): Promise<LeaderPlace> {
    this.#ask(`transfer ${topic} to ${targetNodeId === "" ? "anyone" : targetNodeId}`);
    return { nodeId: targetNodeId, address: `${targetNodeId}:8400`, term: 2 };
  }

  #ask(what: string): void {
    const refusal = this.refuseNext;
    this.refuseNext = undefined;
    if (refusal !== undefined) throw refusal;
    this.asked.push(what);
  }
}

/** A member that is up and does nothing special. */
export function memberAt(nodeId: string, address = `${nodeId}:8400`): MemberInfo {
  return {
    nodeId,
    address,
    zone: "",
    state: "active",
    isUp: true,
    version: "1.0.0",
    featureLevel: 1,
  };
}

function serverNotFound(nodeId: string): ProglogError {
  return new ProglogError("SERVER_NOT_FOUND", `There is no server "${nodeId}"`, {
    metadata: { serverId: nodeId },
  });
}
