import type { SeenContent } from "./content.ts";
import type { History } from "./history.ts";
import type { Machine } from "./machine.ts";
import type { Ways } from "./routed.ts";
import type { Violations } from "./violation.ts";

/** A topic as clients know it. */
export interface KnownTopic {
  readonly name: string;
  readonly id: number;
  /** Name and id: in histories and reports. */
  readonly key: string;
  /** Its deletion was asked for: it may be gone. */
  isDeleteAsked: boolean;
  /** Its deletion was acknowledged. */
  isDeleted: boolean;
  /** Offset up to which the simulation has seen every record; nothing beyond may be trimmed. */
  seenEnd: number;
}

export function knownTopic(name: string, id: number): KnownTopic {
  const flags = { isDeleteAsked: false, isDeleted: false };
  return { name, id, key: `${name}#${id}`, seenEnd: 0, ...flags };
}

/** What clients and operators share. */
export interface World {
  readonly ways: Ways;
  readonly history: History;
  readonly seen: SeenContent;
  readonly violations: Violations;
  /** Members of the cluster and those that want to be, up or down. */
  readonly machines: readonly Machine[];
  readonly topics: KnownTopic[];
  /** Unique in the run. */
  nextBatch(): number;
  /** Clients end what they do and begin nothing new. */
  readonly isStopping: boolean;
  /** True once some disk was full or broken: calls may say so. */
  readonly wasDiskFaulty: boolean;
}
