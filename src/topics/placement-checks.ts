import { ProglogError } from "../base/errors.ts";
import type { PlaceProposal } from "./placement.ts";
import type { ClusterLayout, PlannedGroup } from "./placement-model.ts";

export interface MoveRequest {
  readonly topicId: number;
  readonly sourceNodeId: string;
  readonly targetNodeId: string;
}

/**
 * The change that moves a replica from one server to another; the new one plays the same part.
 *
 * @throws SERVER_NOT_FOUND, REPLICA_EXISTS, REPLICA_MISSING, FIELD_INVALID (the target drains), PLACEMENT_STALE
 *   (the topic is not there any more)
 */
export function planMove(layout: ClusterLayout, request: MoveRequest): PlaceProposal {
  const { topicId, sourceNodeId, targetNodeId } = request;
  const group = [layout.cluster, ...layout.topics].find((at) => at.topicId === topicId);
  if (group === undefined) {
    throw new ProglogError("PLACEMENT_STALE", `Cannot move topic ${topicId}: it is not there now`);
  }
  const { name, replicas, placementVersion } = group;
  const target = layout.members.find(({ nodeId }) => nodeId === targetNodeId);
  for (const nodeId of [sourceNodeId, targetNodeId]) {
    if (!layout.members.some((member) => member.nodeId === nodeId)) throw serverNotFound(nodeId);
  }
  const source = replicas.find(({ nodeId }) => nodeId === sourceNodeId);
  if (source === undefined) {
    throw moveError("REPLICA_MISSING", name, sourceNodeId, "does not hold it");
  }
  if (replicas.some(({ nodeId }) => nodeId === targetNodeId)) {
    throw moveError("REPLICA_EXISTS", name, targetNodeId, "holds it already");
  }
  if (target?.state === "draining") {
    throw new ProglogError(
      "FIELD_INVALID",
      `Cannot move topic "${name}" to server "${targetNodeId}": it drains, wanted an active one`,
      { metadata: { field: "target_server_id" } },
    );
  }
  const places = replicas.map(({ nodeId, role }) => ({
    nodeId: nodeId === sourceNodeId ? targetNodeId : nodeId,
    role,
  }));
  return { topicId, placementVersion, places };
}

export interface RemovalRequest {
  readonly nodeId: string;
  /** Also when it holds replicas. */
  readonly force: boolean;
  /**
   * Servers whose replicas vote in the group now, where that is known; otherwise those that shall vote, with those
   * that are leaving.
   */
  readonly votersNow?: ((topicId: number) => readonly string[] | undefined) | undefined;
}

/**
 * Checks that a member can be removed: that it holds nothing, unless forced, and in any case that every group
 * could carry on without it, and can let it go.
 *
 * @throws SERVER_NOT_FOUND, SERVER_HAS_REPLICAS, QUORUM_AT_RISK
 */
export function checkRemoval(layout: ClusterLayout, request: RemovalRequest): void {
  const { nodeId, force, votersNow } = request;
  if (!layout.members.some((member) => member.nodeId === nodeId)) throw serverNotFound(nodeId);
  const held = layout.topics.filter((group) => holdersOf(group).includes(nodeId));
  if (held.length > 0 && !force) {
    throw new ProglogError(
      "SERVER_HAS_REPLICAS",
      `Cannot remove server "${nodeId}": it holds ${held.length} replicas, wanted none`,
      { metadata: { serverId: nodeId, replicaCount: `${held.length}` } },
    );
  }
  // One that was removed a moment ago is about to end, though it may have a vote still.
  const isMember = (other: string) => layout.members.some((member) => member.nodeId === other);
  const isUp = (other: string) =>
    other !== nodeId && isMember(other) && (layout.isUp?.(other) ?? true);
  for (const group of [layout.cluster, ...layout.topics]) {
    if (!holdersOf(group).includes(nodeId)) continue;
    const wanted = group.replicas.filter(({ role }) => role === "voter").map((at) => at.nodeId);
    const known = votersNow?.(group.topicId);
    // What the change that is under way has done is not known here: it may be all but begun.
    const isUnknown = votersNow !== undefined && known === undefined;
    if (isUnknown && group.leaving.length > 0) throw quorumAtRisk(nodeId, group.name);
    const now = known ?? [
      ...wanted,
      ...group.leaving.filter(({ role }) => role === "voter").map((at) => at.nodeId),
    ];
    const rest = wanted.filter((other) => other !== nodeId);
    // Those that vote now decide to let it go; then the rest decides alone.
    if (!hasMajority(now, isUp) || !hasMajority(rest, isUp)) throw quorumAtRisk(nodeId, group.name);
  }
}

function holdersOf({ replicas, leaving }: PlannedGroup): string[] {
  return [...replicas, ...leaving].map(({ nodeId }) => nodeId);
}

function hasMajority(voters: readonly string[], isUp: (nodeId: string) => boolean): boolean {
  return voters.filter(isUp).length > voters.length / 2;
}

export function serverNotFound(nodeId: string): ProglogError {
  return new ProglogError("SERVER_NOT_FOUND", `Cannot use server "${nodeId}": it is no member`, {
    metadata: { serverId: nodeId },
  });
}

function moveError(
  reason: "REPLICA_EXISTS" | "REPLICA_MISSING",
  topic: string,
  nodeId: string,
  state: string,
): ProglogError {
  const message = `Cannot move topic "${topic}": server "${nodeId}" ${state}`;
  return new ProglogError(reason, message, { metadata: { topic, serverId: nodeId } });
}

function quorumAtRisk(nodeId: string, topic: string): ProglogError {
  return new ProglogError(
    "QUORUM_AT_RISK",
    `Cannot remove server "${nodeId}": without it topic "${topic}" would have no majority of voters that are up`,
    { metadata: { serverId: nodeId, topic } },
  );
}
