import type { CatalogueEntry } from "../topics/catalogue-topics.ts";
import { placeOn } from "../topics/group-placement.ts";

/** A topic of which this node holds a replica, or shall. */
export interface LocalTopic extends CatalogueEntry {
  /** Of the replica here; a Raft id. */
  readonly replicaId: number;
}

/** Undefined when the catalogue has no replica of the topic on the node. */
export function localTopic(entry: CatalogueEntry, nodeId: string): LocalTopic | undefined {
  const place = placeOn(entry, nodeId);
  return place === undefined ? undefined : { ...entry, replicaId: place.replicaId };
}
