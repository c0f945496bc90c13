import type { CatalogueGroup } from "./catalogue-group.ts";
import type { TopicGroup } from "./topic-group.ts";

/** The voter beside this one that has the most; undefined when none is active, or it does not lead. */
export function furthestVoter(group: CatalogueGroup | TopicGroup): number | undefined {
  const { conf } = group.raft;
  const others = group.raft
    .status()
    ?.progress.filter(
      ({ replicaId, isActive }) =>
        replicaId !== group.replicaId && isActive && conf.voters.includes(replicaId),
    );
  return others?.toSorted((left, right) => right.match - left.match)[0]?.replicaId;
}
