import { CATALOGUE_TOPIC_ID, type CatalogueState } from "./catalogue-state.ts";
import type { ReplicaPlace, WantedPlace } from "./group-placement.ts";
import type { Member } from "./members.ts";
import { CLUSTER_TOPIC_NAME } from "./names.ts";

/** A group as plans see it. */
export interface PlannedGroup {
  readonly topicId: number;
  readonly name: string;
  readonly replicas: readonly ReplicaPlace[];
  readonly leaving: readonly ReplicaPlace[];
  readonly placementVersion: number;
  /** How many servers shall hold it, if there are so many. Of no meaning for `_cluster`. */
  readonly replicationFactor: number;
}

/** What plans are made from: the catalogue, and what is known of the servers now. */
export interface ClusterLayout {
  readonly members: readonly Pick<Member, "nodeId" | "zone" | "state">[];
  readonly topics: readonly PlannedGroup[];
  /** `_cluster`. */
  readonly cluster: PlannedGroup;
  /** Absent: all are. */
  readonly isUp?: ((nodeId: string) => boolean) | undefined;
  /** Node that leads the group; absent or undefined: not known. */
  readonly leaderOf?: ((topicId: number) => string | undefined) | undefined;
}

/** @param known `replicationFactor` is of topics that have none of their own */
export function layoutOf(
  state: CatalogueState,
  known: Pick<ClusterLayout, "isUp" | "leaderOf"> & { readonly replicationFactor: number },
): ClusterLayout {
  const { replicationFactor, isUp, leaderOf } = known;
  const topics = state.entries().map((entry) => ({
    topicId: entry.id,
    name: entry.name,
    replicas: entry.replicas,
    leaving: entry.leaving,
    placementVersion: entry.placementVersion,
    replicationFactor: entry.replicationFactor === 0 ? replicationFactor : entry.replicationFactor,
  }));
  const {
    replicas = [],
    leaving = [],
    placementVersion = 0,
  } = state.group(CATALOGUE_TOPIC_ID) ?? {};
  const placement = { replicas, leaving, placementVersion, replicationFactor };
  const cluster = { topicId: CATALOGUE_TOPIC_ID, name: CLUSTER_TOPIC_NAME, ...placement };
  return { members: state.members(), topics, cluster, isUp, leaderOf };
}

interface NodeLoad {
  readonly nodeId: string;
  readonly zone: string;
  readonly isActive: boolean;
  readonly isUp: boolean;
  replicaCount: number;
  leaderCount: number;
}

/** The servers, and how much each would hold if what was planned so far were done. */
export class PlacementModel {
  readonly #nodes = new Map<string, NodeLoad>();

  constructor({ members, topics, isUp, leaderOf }: ClusterLayout) {
    for (const { nodeId, zone, state } of members) {
      this.#nodes.set(nodeId, {
        nodeId,
        // One without a label shares its zone with nobody.
        zone: zone === "" ? `\0${nodeId}` : zone,
        isActive: state === "active",
        isUp: isUp?.(nodeId) ?? true,
        ...{ replicaCount: 0, leaderCount: 0 },
      });
    }
    for (const { topicId, replicas } of topics) {
      for (const { nodeId } of replicas) this.count(nodeId, 1);
      const leader = this.#nodes.get(leaderOf?.(topicId) ?? "");
      if (leader !== undefined) leader.leaderCount += 1;
    }
  }

  /** Active ones, in id order of the layout. */
  active(): string[] {
    return [...this.#nodes.values()].filter((node) => node.isActive).map((node) => node.nodeId);
  }

  all(): string[] {
    return [...this.#nodes.keys()];
  }

  isActive(nodeId: string): boolean {
    return this.#nodes.get(nodeId)?.isActive ?? false;
  }

  isUp(nodeId: string): boolean {
    return this.#nodes.get(nodeId)?.isUp ?? false;
  }

  replicaCount(nodeId: string): number {
    return this.#nodes.get(nodeId)?.replicaCount ?? 0;
  }

  leaderCount(nodeId: string): number {
    return this.#nodes.get(nodeId)?.leaderCount ?? 0;
  }

  /** The node gets a replica (1), or loses one (-1). */
  count(nodeId: string, change: 1 | -1): void {
    const node = this.#nodes.get(nodeId);
    if (node !== undefined) node.replicaCount += change;
  }

  /** How many of these nodes share a zone with another one before them. */
  zoneConflicts(nodeIds: readonly string[]): number {
    return nodeIds.length - new Set(nodeIds.map((nodeId) => this.#zoneOf(nodeId))).size;
  }

  /** Other nodes in the same zone. */
  neighbours(nodeId: string, nodeIds: readonly string[]): number {
    const zone = this.#zoneOf(nodeId);
    return nodeIds.filter((other) => other !== nodeId && this.#zoneOf(other) === zone).length;
  }

  /**
   * The best of the candidates to be added: in the zone that has the fewest of `nodeIds`, then the one that
   * holds least, then leads least, then the first.
   */
  best(candidates: readonly string[], nodeIds: readonly string[]): string | undefined {
    return smallest(candidates, (nodeId) => [
      this.neighbours(nodeId, nodeIds),
      this.replicaCount(nodeId),
      this.leaderCount(nodeId),
    ]);
  }

  #zoneOf(nodeId: string): string {
    return this.#nodes.get(nodeId)?.zone ?? "";
  }
}

/** The first of those whose keys are smallest, compared one key after the other. */
export function smallest<T>(
  items: readonly T[],
  keysOf: (item: T) => readonly number[],
): T | undefined {
  let best: T | undefined;
  let bestKeys: readonly number[] = [];
  for (const item of items) {
    const keys = keysOf(item);
    if (best !== undefined && compareKeys(keys, bestKeys) >= 0) continue;
    best = item;
    bestKeys = keys;
  }
  return best;
}

function compareKeys(left: readonly number[], right: readonly number[]): number {
  for (const [at, key] of left.entries()) {
    const difference = key - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * How many replicas a group has of `available` nodes: an odd count of voters, since an even one bears no more
 * failures than one less. Two are a voter and a learner: two voters are worse than one.
 */
export function replicaCountOf(replicationFactor: number, available: number): number {
  const count = Math.min(replicationFactor, available);
  return count <= 2 || count % 2 === 1 ? count : count - 1;
}

/** Roles for these nodes: all are voters, but of two only the first of `preferred` that is among them. */
export function withRoles(nodeIds: readonly string[], preferred: readonly string[]): WantedPlace[] {
  const voter = preferred.find((nodeId) => nodeIds.includes(nodeId)) ?? nodeIds[0];
  const isVoter = (nodeId: string) => nodeIds.length !== 2 || nodeId === voter;
  return nodeIds.map((nodeId) => ({ nodeId, role: isVoter(nodeId) ? "voter" : "learner" }));
}
