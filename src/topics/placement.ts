import { isSamePlacement, type WantedPlace } from "./group-placement.ts";
import {
  type ClusterLayout,
  PlacementModel,
  type PlannedGroup,
  replicaCountOf,
  smallest,
  withRoles,
} from "./placement-model.ts";

/** `_cluster` has no more voters: each must answer before the cluster changes. */
const CLUSTER_VOTER_COUNT_MAX = 3;

/** A `place` command without its kind. */
export interface PlaceProposal {
  readonly topicId: number;
  readonly placementVersion: number;
  readonly places: readonly WantedPlace[];
}

/** Where a group shall be; `nodeIds` is changed while the plan is made. */
export interface GroupPlan {
  readonly group: PlannedGroup;
  nodeIds: string[];
}

/**
 * Places for a new topic: on the servers that hold least, in different zones where there are enough. Servers
 * that are down are taken too, where a majority is up without them: the topic begins with all its voters.
 *
 * @returns no place when there are no members
 */
export function planTopic(layout: ClusterLayout, replicationFactor: number): WantedPlace[] {
  const model = new PlacementModel(layout);
  const active = model.active();
  const pool = active.length > 0 ? active : model.all();
  const up = pool.filter((nodeId) => model.isUp(nodeId));
  const size = replicaCountOf(replicationFactor, pool.length);
  const isMajorityUp = up.length > size / 2;
  const usable = isMajorityUp || up.length === 0 ? pool : up;
  const count = replicaCountOf(replicationFactor, usable.length);
  const nodeIds: string[] = [];
  fill(model, nodeIds, up, count);
  fill(model, nodeIds, usable, count);
  return withRoles(nodeIds, nodeIds);
}

/**
 * What must change so that every group is where it should be: topics on as many servers as they shall have
 * (more as servers join, with as many voters), draining servers empty, `_cluster` with up to three voters.
 * Nothing moves for balance. A server that is down gets nothing new, and loses nothing.
 */
export function planChanges(layout: ClusterLayout): PlaceProposal[] {
  const model = new PlacementModel(layout);
  const plans = planTopics(model, layout);
  const cluster = planCluster(model, layout);
  return [...changed(layout.cluster, cluster), ...proposalsOf(layout, plans)];
}

/** All topics with as many replicas as they shall have, none on a draining server. */
export function planTopics(model: PlacementModel, layout: ClusterLayout): GroupPlan[] {
  return layout.topics.map((group) => {
    const before = group.replicas.map(({ nodeId }) => nodeId);
    const nodeIds = planNodes(model, group, layout.leaderOf?.(group.topicId));
    for (const nodeId of before) if (!nodeIds.includes(nodeId)) model.count(nodeId, -1);
    for (const nodeId of nodeIds) if (!before.includes(nodeId)) model.count(nodeId, 1);
    return { group, nodeIds };
  });
}

/** Those of the plans that are not so yet. */
export function proposalsOf(layout: ClusterLayout, plans: readonly GroupPlan[]): PlaceProposal[] {
  return plans.flatMap(({ group, nodeIds }) =>
    changed(group, withRoles(nodeIds, votersFirst(layout, group))),
  );
}

/** Who should keep a vote: the leader, voters, others that have the records. */
function votersFirst({ leaderOf }: ClusterLayout, { topicId, replicas }: PlannedGroup): string[] {
  const leader = leaderOf?.(topicId);
  const voters = replicas.filter(({ role }) => role === "voter");
  const held = [...voters, ...replicas].map(({ nodeId }) => nodeId);
  return leader === undefined ? held : [leader, ...held];
}

function planNodes(
  model: PlacementModel,
  group: PlannedGroup,
  leader: string | undefined,
): string[] {
  const before = group.replicas.map(({ nodeId }) => nodeId);
  const nodeIds = before.filter((nodeId) => model.isActive(nodeId));
  const others = model.active().filter((nodeId) => !nodeIds.includes(nodeId));
  const count = replicaCountOf(group.replicationFactor, nodeIds.length + others.length);
  fill(
    model,
    nodeIds,
    others.filter((nodeId) => model.isUp(nodeId)),
    count,
  );
  // Those that drain wait for the servers that are down: a group does not shrink for that.
  fill(model, nodeIds, before, count);
  const rest = replicaCountOf(group.replicationFactor, nodeIds.length);
  while (nodeIds.length > rest) drop(model, nodeIds, group, leader);
  return nodeIds;
}

/** Adds the best of the candidates until there are `count`, or no more. */
function fill(
  model: PlacementModel,
  nodeIds: string[],
  candidates: readonly string[],
  count: number,
): void {
  while (nodeIds.length < count) {
    const free = candidates.filter((nodeId) => !nodeIds.includes(nodeId));
    const best = model.best(free, nodeIds);
    if (best === undefined) return;
    nodeIds.push(best);
  }
}

/** Drops one: what drains first, then what is new, learners, those with neighbours, those that hold most. */
function drop(
  model: PlacementModel,
  nodeIds: string[],
  { replicas }: PlannedGroup,
  leader: string | undefined,
): void {
  const roleOf = (nodeId: string) => replicas.find((place) => place.nodeId === nodeId)?.role;
  const value = { voter: 2, learner: 1 };
  const worst = smallest(nodeIds, (nodeId) => {
    const role = roleOf(nodeId);
    return [
      nodeId === leader ? 1 : 0,
      model.isActive(nodeId) ? 1 : 0,
      role === undefined ? 0 : value[role],
      -model.neighbours(nodeId, nodeIds),
      -model.replicaCount(nodeId),
    ];
  });
  if (worst !== undefined) nodeIds.splice(nodeIds.indexOf(worst), 1);
}

/** Every member holds `_cluster`; active ones vote, as many as may. */
function planCluster(model: PlacementModel, layout: ClusterLayout): WantedPlace[] {
  const { cluster, leaderOf } = layout;
  if (model.active().length === 0) return [...cluster.replicas];
  const voters = cluster.replicas.filter(({ role }) => role === "voter");
  const candidates = { ...cluster, replicas: voters, replicationFactor: CLUSTER_VOTER_COUNT_MAX };
  const chosen = planNodes(model, candidates, leaderOf?.(cluster.topicId));
  const roles = withRoles(chosen, votersFirst(layout, candidates));
  return cluster.replicas.map(({ nodeId }) => ({
    nodeId,
    role: roles.find((place) => place.nodeId === nodeId)?.role ?? "learner",
  }));
}

function changed(group: PlannedGroup, places: readonly WantedPlace[]): PlaceProposal[] {
  if (places.length === 0 || isSamePlacement(group.replicas, places)) return [];
  const { topicId, placementVersion } = group;
  return [{ topicId, placementVersion, places }];
}
