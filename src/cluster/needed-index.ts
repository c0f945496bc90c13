import type { CoreProgress } from "../raft/core.ts";

/** What a leader's journal has of its group, and what is in the checkpoint that it has just written. */
export interface KeptEntries {
  /** The entries above it are there. */
  readonly keptFrom: number;
  readonly appliedIndex: number;
}

/**
 * Up to where a leader's journal may let entries go, so that replicas that are behind need no snapshot for
 * that: also those that a snapshot is on its way to, or they would need another one when they have it, and
 * so on for as long as records come fast. Whoever lacks what is gone already gets a snapshot in any case.
 */
export function neededIndex(
  progress: readonly Pick<CoreProgress, "match" | "next" | "state">[],
  { keptFrom, appliedIndex }: KeptEntries,
): number {
  const has = progress.map((replica) => indexOf(replica) ?? keptFrom);
  return Math.min(appliedIndex, ...has.filter((index) => index >= keptFrom));
}

/** The last entry that a replica has, or will have with its snapshot; undefined: a new leader does not know yet. */
function indexOf({
  state,
  match,
  next,
}: Pick<CoreProgress, "match" | "next" | "state">): number | undefined {
  if (state === "snapshot") return next - 1;
  return match === 0 ? undefined : match;
}
