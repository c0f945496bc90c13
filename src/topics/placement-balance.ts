import { type GroupPlan, type PlaceProposal, planTopics, proposalsOf } from "./placement.ts";
import {
  type ClusterLayout,
  PlacementModel,
  type PlannedGroup,
  smallest,
} from "./placement-model.ts";

/** A difference that moving one would not make smaller. */
const SPREAD_MAX = 1;

export interface PlannedMove {
  readonly topicId: number;
  readonly topic: string;
  readonly sourceNodeId: string;
  readonly targetNodeId: string;
}

export interface PlannedTransfer {
  readonly topicId: number;
  readonly topic: string;
  readonly targetNodeId: string;
}

export interface Rebalancing {
  readonly proposals: readonly PlaceProposal[];
  /** The same, as moves from one server to another. */
  readonly moves: readonly PlannedMove[];
}

/**
 * What must move so that active servers hold as many replicas as one another (one more or less), and those of
 * a topic are in different zones where there are enough; zones come first. With what `planChanges` wants.
 * Topics whose last change is not carried out yet are left alone.
 */
export function planRebalance(layout: ClusterLayout): Rebalancing {
  const model = new PlacementModel(layout);
  const plans = planTopics(model, layout);
  const settled = plans.filter(({ group }) => group.leaving.length === 0);
  for (const plan of settled) spreadOverZones(model, plan, layout);
  while (moveOne(model, settled, layout)) {}
  const moves = plans.flatMap(movesOf);
  return { proposals: proposalsOf(layout, plans), moves };
}

/**
 * Which leaderships shall be handed over: away from draining servers, and each to the server that is meant to lead its
 * topic, when that is up. That of `_cluster` moves only away from a draining one.
 */
export function planLeaders(layout: ClusterLayout): PlannedTransfer[] {
  const model = new PlacementModel(layout);
  const meant = meantLeaders(layout, model);
  return [layout.cluster, ...layout.topics].flatMap((group) => {
    const { topicId, name } = group;
    const leader = layout.leaderOf?.(topicId);
    if (leader === undefined) return [];
    let target = group === layout.cluster ? leader : meant.get(topicId);
    const isSettled = group.leaving.length === 0;
    if (!model.isActive(leader)) {
      const able = ableToLead(model, group).filter((nodeId) => model.isUp(nodeId));
      target = target !== undefined && able.includes(target) ? target : able[0];
    } else if (!isSettled || target === undefined || !model.isUp(target)) {
      return [];
    }
    return target === undefined || target === leader
      ? []
      : [{ topicId, topic: name, targetNodeId: target }];
  });
}

/**
 * Who is meant to lead each topic, so that active servers lead as many as one another, as far as votes go. It
 * follows from the catalogue alone: all servers come to the same, whatever each knows of who leads, and whoever
 * is up; otherwise they would hand leaderships to and fro for ever.
 */
function meantLeaders(
  { topics }: ClusterLayout,
  model: PlacementModel,
): ReadonlyMap<number, string> {
  const meant = new Map<number, string>();
  const counts = new Map<string, number>();
  const countOf = (nodeId: string): number => counts.get(nodeId) ?? 0;
  const give = (topicId: number, nodeId: string): void => {
    const before = meant.get(topicId);
    if (before !== undefined) counts.set(before, countOf(before) - 1);
    counts.set(nodeId, countOf(nodeId) + 1);
    meant.set(topicId, nodeId);
  };
  // A new topic comes last, and changes little.
  const inIdOrder = topics.toSorted((left, right) => left.topicId - right.topicId);
  const movable = inIdOrder.map((group) => ({ group, able: ableToLead(model, group) }));
  for (const { group, able } of movable) {
    const first = smallest(able, (nodeId) => [countOf(nodeId)]);
    if (first !== undefined) give(group.topicId, first);
  }
  for (let isMoved = true; isMoved; ) {
    isMoved = false;
    for (const { group, able } of movable) {
      const leader = meant.get(group.topicId);
      const target = smallest(able, (nodeId) => [countOf(nodeId)]);
      if (leader === undefined || target === undefined) continue;
      if (countOf(leader) - countOf(target) <= SPREAD_MAX) continue;
      give(group.topicId, target);
      isMoved = true;
    }
  }
  return meant;
}

/** Voters on active servers. */
function ableToLead(model: PlacementModel, { replicas }: PlannedGroup): string[] {
  const voters = replicas.filter(({ role }) => role === "voter").map(({ nodeId }) => nodeId);
  return voters.filter((nodeId) => model.isActive(nodeId));
}

/** Moves replicas that share a zone to zones that have none, while there are such. */
function spreadOverZones(model: PlacementModel, plan: GroupPlan, layout: ClusterLayout): void {
  const leader = layout.leaderOf?.(plan.group.topicId);
  for (;;) {
    const { nodeIds } = plan;
    const crowded = nodeIds.filter((nodeId) => model.neighbours(nodeId, nodeIds) > 0);
    const source = smallest(crowded, (nodeId) => [
      nodeId === leader ? 1 : 0,
      -model.replicaCount(nodeId),
    ]);
    const free = openNodes(model, nodeIds).filter(
      (nodeId) => model.neighbours(nodeId, nodeIds) === 0,
    );
    const target = model.best(free, nodeIds);
    if (source === undefined || target === undefined) return;
    move(model, plan, source, target);
  }
}

/** Makes the most useful move there is. @returns false when there is none */
function moveOne(
  model: PlacementModel,
  plans: readonly GroupPlan[],
  layout: ClusterLayout,
): boolean {
  const rising = model
    .active()
    .sort((left, right) => model.replicaCount(left) - model.replicaCount(right));
  const targets = rising.filter((nodeId) => model.isUp(nodeId));
  for (const source of rising.toReversed()) {
    for (const target of targets) {
      if (model.replicaCount(source) - model.replicaCount(target) <= SPREAD_MAX) break;
      const able = plans.filter((plan) => canMove(model, plan, source, target));
      const plan = smallest(able, ({ group }) => [
        layout.leaderOf?.(group.topicId) === source ? 1 : 0,
      ]);
      if (plan === undefined) continue;
      move(model, plan, source, target);
      return true;
    }
  }
  return false;
}

function canMove(
  model: PlacementModel,
  { nodeIds }: GroupPlan,
  source: string,
  target: string,
): boolean {
  if (!nodeIds.includes(source) || nodeIds.includes(target)) return false;
  const after = nodeIds.map((nodeId) => (nodeId === source ? target : nodeId));
  return model.zoneConflicts(after) <= model.zoneConflicts(nodeIds);
}

function move(model: PlacementModel, plan: GroupPlan, source: string, target: string): void {
  plan.nodeIds = plan.nodeIds.map((nodeId) => (nodeId === source ? target : nodeId));
  model.count(source, -1);
  model.count(target, 1);
}

/** Nodes that can get a replica beside these. */
function openNodes(model: PlacementModel, nodeIds: readonly string[]): string[] {
  return model.active().filter((nodeId) => model.isUp(nodeId) && !nodeIds.includes(nodeId));
}

function movesOf({ group, nodeIds }: GroupPlan): PlannedMove[] {
  const { topicId, name, replicas } = group;
  const before = replicas.map(({ nodeId }) => nodeId);
  const sources = before.filter((nodeId) => !nodeIds.includes(nodeId));
  const targets = nodeIds.filter((nodeId) => !before.includes(nodeId));
  return targets.flatMap((targetNodeId, at) => {
    const sourceNodeId = sources[at];
    return sourceNodeId === undefined ? [] : [{ topicId, topic: name, sourceNodeId, targetNodeId }];
  });
}
