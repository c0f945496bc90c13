import { ProglogError } from "../base/errors.ts";
import type { LogExtent } from "../storage/log-types.ts";
import type { CatalogueEntry } from "../topics/catalogue-topics.ts";
import { TopicState } from "../topics/topic-state.ts";
import { FIRST_INDEX, FIRST_TERM } from "./replica-files.ts";

/** What a topic's replica is when it is opened, before the journal's entries beyond it. */
export interface FoundTopic {
  readonly state: TopicState;
  readonly extent: LogExtent;
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** False when it is exactly what the checkpoint on disk says. */
  readonly isUnsaved: boolean;
}

export function nothingApplied(entry: CatalogueEntry): FoundTopic {
  return {
    state: TopicState.empty(entry.settings),
    extent: { segments: [] },
    appliedIndex: FIRST_INDEX,
    appliedTerm: FIRST_TERM,
    isUnsaved: true,
  };
}

/** @returns the STORE_CORRUPT of a topic that is left as it is */
export function damaged(entry: CatalogueEntry, state: string, cause?: unknown): ProglogError {
  return new ProglogError(
    "STORE_CORRUPT",
    `Cannot open topic "${entry.name}" (id ${entry.id}): ${state}. Nothing was changed`,
    { metadata: { topic: entry.name, offset: "" }, cause },
  );
}
