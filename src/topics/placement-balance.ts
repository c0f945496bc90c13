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
 * Which leaderships shall be handed over: away from draining servers, and spread evenly over active ones. That of
 * `_cluster` moves only away from a draining one.
 */
export function planLeaders(layout: ClusterLayout): PlannedTransfer[] {
  const model = new PlacementModel(layout);
  const transfers = new Map<number, PlannedTransfer>();
  const led = [layout.cluster, ...layout.topics].flatMap((group) => {
    const leader = layout.leaderOf?.(group.topicId);
    return leader === undefined ? [] : [{ group, leader }];
  });
  const isTopic = (group: PlannedGroup) => group !== layout.cluster;
  const handOver = (item: { readonly group: PlannedGroup; leader: string }, target: string) => {
    const { group, leader } = item;
    if (isTopic(group)) {
      model.countLeader(leader, -1);
      model.countLeader(target, 1);
    }
    item.leader = target;
    const { topicId, name } = group;
    transfers.set(topicId, { topicId, topic: name, targetNodeId: target });
  };
  for (const item of led) {
    if (model.isActive(item.leader)) continue;
    const target = bestLeader(model, item.group);
    if (target !== undefined) handOver(item, target);
  }
  const movable = led.filter(({ group }) => isTopic(group) && group.leaving.length === 0);
  for (let isMoved = true; isMoved; ) {
    isMoved = false;
    for (const item of movable) {
      const target = bestLeader(model, item.group);
      if (target === undefined) continue;
      const gap = model.leaderCount(item.leader) - model.leaderCount(target);
      if (gap <= SPREAD_MAX) continue;
      handOver(item, target);
      isMoved = true;
    }
  }
  const present = (topicId: number) => layout.leaderOf?.(topicId);
  return [...transfers.values()].filter((at) => present(at.topicId) !== at.targetNodeId);
}

/** The voter that leads least of those that can lead. */
function bestLeader(model: PlacementModel, { replicas }: PlannedGroup): string | undefined {
  const voters = replicas.filter(({ role }) => role === "voter").map(({ nodeId }) => nodeId);
  const able = voters.filter((nodeId) => model.isActive(nodeId) && model.isUp(nodeId));
  return smallest(able, (nodeId) => [model.leaderCount(nodeId)]);
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
