import { CATALOGUE_TOPIC_ID } from "../topics/catalogue-state.ts";
import { type ClusterLayout, layoutOf } from "../topics/placement-model.ts";
import type { CatalogueGroup } from "./catalogue-group.ts";
import type { Directory } from "./directory.ts";
import type { NodeNetwork } from "./node-network.ts";
import type { Reconciler } from "./reconciler.ts";
import type { TopicContext } from "./topic-group.ts";

export interface LayoutParts {
  readonly context: TopicContext;
  readonly network: NodeNetwork;
  readonly directory: Directory;
  readonly catalogue: CatalogueGroup;
  readonly reconciler: Reconciler;
}

/** The cluster as plans want to see it: the catalogue, who is up, and who leads what as far as it is known here. */
export function clusterLayout(parts: LayoutParts): ClusterLayout {
  const { context, network, directory, catalogue, reconciler } = parts;
  return layoutOf(catalogue.machine.state, {
    replicationFactor: context.defaults.replicationFactor,
    isUp: (nodeId) => network.isUp(nodeId) !== false,
    leaderOf: (topicId) => {
      const group = topicId === CATALOGUE_TOPIC_ID ? catalogue : reconciler.group(topicId);
      const leader = group?.raft.leaderReplicaId;
      return leader === undefined ? undefined : directory.nodeOf(topicId, leader);
    },
  });
}
