import { ProglogError } from "../base/errors.ts";
import type { ConfState } from "../raft/core.ts";
import type { LogExtent } from "../storage/log-types.ts";
import type { CatalogueEntry } from "../topics/catalogue-topics.ts";
import type { ReplicaRole } from "../topics/group-placement.ts";
import { TopicState } from "../topics/topic-state.ts";
import type { LocalTopic } from "./local-topic.ts";
import { fromTheStart, KNOWS_NOTHING, type ReplicaBeginning } from "./replica-files.ts";

/** What a topic's replica is when it is opened, before the journal's entries beyond it. */
export interface FoundTopic {
  readonly state: TopicState;
  readonly extent: LogExtent;
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Who belongs to the group at that entry. */
  readonly conf: ConfState;
  /** False when it is exactly what the checkpoint on disk says. */
  readonly isUnsaved: boolean;
}

/** A replica of which nothing is in files yet. */
export function nothingApplied(entry: LocalTopic): FoundTopic {
  return {
    state: TopicState.empty(entry.settings),
    extent: { segments: [] },
    ...beginningOf(entry),
    isUnsaved: true,
  };
}

/** Where the replica here began: with its topic, or later. */
export function beginningOf({ initial, replicaId }: LocalTopic): ReplicaBeginning {
  if (!initial.some((place) => place.replicaId === replicaId)) return KNOWS_NOTHING;
  const idsOf = (role: ReplicaRole) =>
    initial.filter((place) => place.role === role).map((place) => place.replicaId);
  return fromTheStart(idsOf("voter"), idsOf("learner"));
}

/** @returns the STORE_CORRUPT of a topic that is left as it is */
export function damaged(entry: CatalogueEntry, state: string, cause?: unknown): ProglogError {
  return new ProglogError(
    "STORE_CORRUPT",
    `Cannot open topic "${entry.name}" (id ${entry.id}): ${state}. Nothing was changed`,
    { metadata: { topic: entry.name, offset: "" }, cause },
  );
}
