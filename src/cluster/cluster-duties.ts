import { hasReason } from "../base/errors.ts";
import type { NodeIdentity } from "../storage/node-file.ts";
import { CATALOGUE_REPLICA_ID } from "../topics/catalogue-members.ts";
import { CATALOGUE_TOPIC_ID } from "../topics/catalogue-state.ts";
import { DEFAULT_TOPIC_NAME } from "../topics/names.ts";
import { planChanges, planTopic } from "../topics/placement.ts";
import { planLeaders } from "../topics/placement-balance.ts";
import { serverInfo } from "./begin-catalogue.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import { copiedFolderError } from "./copied-folder.ts";
import type { Courier } from "./courier.ts";
import type { Directory } from "./directory.ts";
import { Duties } from "./duties.ts";
import { passLeadership } from "./furthest-voter.ts";
import { Gifts } from "./gifts.ts";
import { GroupKeeper } from "./group-keeper.ts";
import { joinCluster } from "./join-cluster.ts";
import { clusterLayout } from "./layout.ts";
import type { NodeNetwork } from "./node-network.ts";
import type { Reconciler } from "./reconciler.ts";
import { removedError } from "./removed.ts";
import { Replacements } from "./replacements.ts";
import { callerOf } from "./signal-caller.ts";
import { inspectFolders, noteCluster } from "./start.ts";
import type { TopicContext, TopicGroup } from "./topic-group.ts";

/** Placements that are changed in one round: what they move takes longer than a round. */
const CHANGES_PER_ROUND = 8;

/** From when a server learns that it was removed until it ends: answers and messages of before may leave. */
const REMOVED_MS = 1_000;

/** Without a leader of `_cluster` for so long, a server asks whether it is a member still. */
const LEADERLESS_MS = 10_000;

/** A process that is taken for this server may be about to end; for so long. */
const DISOWNED_MS = 10_000;

/** Between two looks at who leads what: leaderships that come and go are left to settle. */
const BALANCE_MS = 10_000;

export interface ClusterDutiesOptions {
  readonly context: TopicContext;
  readonly cluster: ClusterOptions;
  readonly network: NodeNetwork;
  readonly courier: Courier;
  readonly directory: Directory;
  /** The id that the cluster gets should this node found it. */
  readonly ownClusterId: string;
  readonly catalogue: CatalogueGroup;
  readonly reconciler: Reconciler;
  readonly identity: {
    readonly get: () => NodeIdentity;
    readonly set: (identity: NodeIdentity) => void;
  };
}

/** What a node does for the cluster, in the background and again and again, since every step may fail. */
export class ClusterDuties {
  readonly #options: ClusterDutiesOptions;
  readonly #duties: Duties;
  readonly #keeper: GroupKeeper;
  readonly #replacements: Replacements;
  /** Groups to be looked at by the keeper: something about them has changed, or is not as it should be. */
  readonly #unsettled = new Set<number>();
  /** The catalogue is known to have been up to date since the start. */
  #isConfirmed = false;
  /** It has changed since the replicas here were compared with it. */
  #isScanDue = true;
  /** It, or a group, has changed since nothing was left to place. */
  #isPlanDue = true;
  /** Who was up then. */
  #plannedFor = "";
  #balanceDueMs: number;
  readonly #gifts = new Gifts();
  #isLeaving = false;
  /** When the catalogue here was last known to have a leader, or others were asked why not. */
  #ledMs: number;
  /** When no peer said, last, that another process is this server. */
  #ownedMs: number;
  /** Ends the wait of a server that was removed. */
  #cancelEnd: (() => void) | undefined;

  constructor(options: ClusterDutiesOptions) {
    this.#options = options;
    const { context, courier, catalogue, reconciler, network } = options;
    const { clock, logger } = context;
    this.#balanceDueMs = clock.monotonicMs() + BALANCE_MS;
    this.#ledMs = clock.monotonicMs();
    this.#ownedMs = clock.monotonicMs();
    this.#keeper = new GroupKeeper({
      logger,
      placement: (topicId) => catalogue.machine.state.group(topicId),
      left: (topicId, placementVersion, replicaId) =>
        courier.tell({ kind: "left", topicId, placementVersion, replicaId }),
    });
    this.#replacements = new Replacements({
      ...{ clock, logger },
      peers: network.peers,
      damaged: () => (this.#isConfirmed ? reconciler.damagedReplicas() : []),
      topic: (topicId) => catalogue.machine.state.byId(topicId),
      replace: (command) => courier.tell(command),
    });
    this.#duties = new Duties({
      ...{ clock, logger },
      duties: [
        { name: "look who is there", run: async () => this.#lookAround() },
        { name: "found the cluster", run: () => this.#found() },
        {
          name: "make the replicas here what the catalogue says",
          run: (signal) => this.#compare(signal),
        },
        { name: "bring groups to their wanted replicas", run: () => this.#keep() },
        { name: "place replicas", run: () => this.#place() },
        { name: "spread leaders", run: () => this.#balance() },
        {
          name: "replace what is damaged here",
          run: (signal) => this.#replacements.run(signal),
        },
        { name: "say where this server is", run: (signal) => this.#announce(signal) },
      ],
    });
  }

  /** Does at once what can be done alone, and begins with the rest. */
  async start(): Promise<void> {
    const { catalogue, reconciler } = this.#options;
    await this.#found();
    if (catalogue.raft.isLeaderReady && catalogue.raft.conf.voters.length === 1) {
      await this.#confirmed();
      await reconciler.scan();
      this.#isScanDue = false;
      await this.#makeDefault();
    }
    for (const { entry } of reconciler.topics()) this.#unsettled.add(entry.id);
    this.#unsettled.add(CATALOGUE_TOPIC_ID);
    this.#duties.start();
  }

  /** A command was applied. */
  catalogueChanged(): void {
    this.#endIfRemoved();
    this.#isScanDue = true;
    this.#isPlanDue = true;
    this.#unsettled.add(CATALOGUE_TOPIC_ID);
    for (const { entry, group } of this.#options.reconciler.topics()) {
      this.#unsettled.add(entry.id);
      this.#wakeOrphan(group);
    }
    this.#duties.poke();
  }

  /** Who leads a group, or who belongs to it, has changed. */
  groupChanged(topicId: number): void {
    this.#isPlanDue = true;
    this.#unsettled.add(topicId);
    this.#duties.poke();
  }

  /** A group at rest does not notice that its leader is no member any more: nobody looks at such a server. */
  #wakeOrphan(group: TopicGroup): void {
    const { catalogue, directory } = this.#options;
    const { leaderReplicaId } = group.raft;
    if (leaderReplicaId === undefined) return;
    const nodeId = directory.nodeOf(group.topicId, leaderReplicaId);
    const isMember = nodeId !== undefined && catalogue.machine.state.member(nodeId) !== undefined;
    if (!isMember) group.raft.wake();
  }

  /** The server is about to stop: what it comes to lead from now on is handed over again. */
  leave(): void {
    this.#isLeaving = true;
  }

  close(): Promise<void> {
    this.#cancelEnd?.();
    return this.#duties.close();
  }

  /** Connected to all, it is known to all: none takes another process for this server. */
  #lookAround(): void {
    const { catalogue, context, network } = this.#options;
    for (const { nodeId } of catalogue.machine.state.members()) network.isUp(nodeId);
    const nowMs = context.clock.monotonicMs();
    if (!network.isDisowned()) this.#ownedMs = nowMs;
    if (nowMs - this.#ownedMs >= DISOWNED_MS) context.onFailure(copiedFolderError(context.nodeId));
  }

  /** The founder's first command; made again should a crash have come before it. */
  async #found(): Promise<void> {
    const { catalogue, courier, cluster, ownClusterId, identity } = this.#options;
    const { state } = catalogue.machine;
    if (state.clusterId === "") {
      if (catalogue.replicaId !== CATALOGUE_REPLICA_ID || !catalogue.raft.isLeaderReady) return;
      const server = serverInfo(identity.get(), cluster);
      await courier.propose({ kind: "found", clusterId: ownClusterId, server });
    }
    const noted = await noteCluster(this.#options.context.fs, identity.get(), state.clusterId);
    identity.set(noted);
  }

  async #compare(signal: AbortSignal): Promise<void> {
    const { catalogue, reconciler } = this.#options;
    if (!this.#isConfirmed) {
      if (catalogue.machine.state.clusterId === "") return;
      await catalogue.raft.readIndex(callerOf(signal));
      await this.#confirmed();
    }
    if (!this.#isScanDue) return;
    this.#isScanDue = false;
    await reconciler.scan();
  }

  async #confirmed(): Promise<void> {
    const { context, catalogue, reconciler } = this.#options;
    const { fs, nodeId, journal, logger } = context;
    const { state } = catalogue.machine;
    const isOpen = (topicId: number) => reconciler.isHere(topicId);
    await inspectFolders(fs, { nodeId, journal, catalogue: state, logger, isOpen });
    this.#isConfirmed = true;
  }

  async #keep(): Promise<void> {
    for (const topicId of [...this.#unsettled]) {
      const group = this.#group(topicId);
      if (group === undefined || !group.raft.isLeaderReady) {
        // Whoever comes to lead it hears of that.
        this.#unsettled.delete(topicId);
        continue;
      }
      if (this.#isLeaving && group.raft.conf.voters.length > 1) {
        // Others may not know yet that this server is not to lead anything.
        void this.#handOver(topicId, passLeadership(group));
        continue;
      }
      void this.#keeper.look(group).then((isSettled) => {
        if (isSettled) this.#unsettled.delete(topicId);
      });
    }
  }

  /** Waits for a transfer; one that fails is made again in time. */
  async #handOver(topicId: number, transfer: Promise<void>): Promise<void> {
    try {
      await transfer;
    } catch (error) {
      const fields = { topicId, why: `${error}` };
      this.#options.context.logger.debug("A leadership was not handed over", fields);
    }
  }

  /** The replica here, also that of the catalogue. */
  #group(topicId: number): CatalogueGroup | TopicGroup | undefined {
    const { catalogue, reconciler } = this.#options;
    return topicId === CATALOGUE_TOPIC_ID ? catalogue : reconciler.group(topicId);
  }

  async #place(): Promise<void> {
    const { catalogue, courier, network } = this.#options;
    const { state } = catalogue.machine;
    if (!catalogue.raft.isLeaderReady || state.clusterId === "") return;
    await this.#makeDefault();
    const up = state.members().map(({ nodeId }) => network.isUp(nodeId) !== false);
    if (!this.#isPlanDue && `${up}` === this.#plannedFor) return;
    const changes = planChanges(clusterLayout(this.#options));
    this.#isPlanDue = changes.length > 0;
    this.#plannedFor = `${up}`;
    for (const change of changes.slice(0, CHANGES_PER_ROUND)) {
      await courier.propose({ kind: "place", ...change });
    }
  }

  /** Hands over what others shall lead; looks again when that had time to be seen by all. */
  async #balance(): Promise<void> {
    const { context, directory } = this.#options;
    const nowMs = context.clock.monotonicMs();
    if (nowMs < this.#balanceDueMs || !this.#isConfirmed || this.#isLeaving) return;
    this.#balanceDueMs = nowMs + BALANCE_MS;
    for (const { topicId, targetNodeId } of planLeaders(clusterLayout(this.#options))) {
      const group = this.#group(topicId);
      if (group === undefined || !group.raft.isLeaderReady) continue;
      const isTarget = (replicaId: number) => directory.nodeOf(topicId, replicaId) === targetNodeId;
      const target = group.raft.conf.voters.find(isTarget);
      if (target === undefined || !this.#gifts.mayGive(topicId, targetNodeId, nowMs)) continue;
      await this.#handOver(topicId, group.raft.transferLeadership(target));
    }
  }

  /** The topic that exists from the start. */
  async #makeDefault(): Promise<void> {
    const { catalogue, courier, context, reconciler } = this.#options;
    const { state } = catalogue.machine;
    if (state.clusterId === "" || state.get(DEFAULT_TOPIC_NAME) !== undefined) return;
    const places = planTopic(clusterLayout(this.#options), context.defaults.replicationFactor);
    const create = {
      name: DEFAULT_TOPIC_NAME,
      topicCountMax: Number.MAX_SAFE_INTEGER,
      settings: {},
    };
    try {
      const outcome = await courier.propose({ kind: "create", ...create, places });
      if (outcome.kind === "created") await reconciler.settled(outcome.entry.id);
    } catch (error) {
      if (!hasReason(error, "TOPIC_EXISTS")) throw error;
    }
  }

  /** Members must know where this server is: it may have moved, or run another version now. */
  async #announce(signal: AbortSignal): Promise<void> {
    const { catalogue, courier, cluster, network, directory, identity, context } = this.#options;
    const { nodeId, clusterId } = identity.get();
    const known = catalogue.machine.state.member(nodeId);
    const server = serverInfo(identity.get(), cluster);
    if (clusterId === "" || known === undefined) return;
    const isLost = this.#isLost();
    // One that an operator has set stays, unless this server is told another one.
    const zone = server.zone === "" ? known.zone : server.zone;
    const isKnown =
      known.address === server.address &&
      known.version === server.version &&
      known.zone === zone &&
      known.featureLevel === server.featureLevel;
    if (isKnown && !isLost) return;
    if (catalogue.raft.isLeaderReady) {
      await courier.propose({ kind: "addServer", server: { ...server, zone } });
      return;
    }
    try {
      await joinCluster({
        ...{ peers: network.peers, clock: context.clock, logger: context.logger, signal },
        addresses: () => [...directory.addressesBut(nodeId), ...cluster.join],
        request: { ...server, zone, clusterId },
      });
    } catch (error) {
      if (!hasReason(error, "SERVER_REMOVED")) throw error;
      context.onFailure(removedError(identity.get(), error));
    }
  }

  /** Nothing is heard of who leads the catalogue: they may not listen to this server any more. */
  #isLost(): boolean {
    const { catalogue, context, directory, network } = this.#options;
    const nowMs = context.clock.monotonicMs();
    const { leaderReplicaId: leader } = catalogue.raft;
    // One that does not vote goes on to believe in the leader that it knew.
    const nodeId = leader === undefined ? undefined : directory.nodeOf(CATALOGUE_TOPIC_ID, leader);
    const isHere = leader === catalogue.replicaId;
    if (isHere || (nodeId !== undefined && network.isUp(nodeId) !== false)) this.#ledMs = nowMs;
    if (nowMs - this.#ledMs < LEADERLESS_MS) return false;
    this.#ledMs = nowMs;
    return true;
  }

  #endIfRemoved(): void {
    const { catalogue, context, identity } = this.#options;
    const { state } = catalogue.machine;
    if (this.#cancelEnd !== undefined || !state.isRemoved(context.nodeId)) return;
    const end = () => context.onFailure(removedError(identity.get()));
    this.#cancelEnd = context.clock.schedule(REMOVED_MS, () => {
      // So that the next start knows it, too.
      void catalogue.checkpoint().then(end, end);
    });
  }
}
