import type { ConfChange, ConfState } from "../raft/core.ts";

/** A replica that the catalogue wants in a group, and the part it shall play. */
export interface WantedReplica {
  readonly replicaId: number;
  readonly role: "voter" | "learner";
}

export interface MembershipInput {
  /** The leader's own replica. */
  readonly self: number;
  /** Membership as applied on the leader. */
  readonly conf: ConfState;
  readonly wanted: readonly WantedReplica[];
  /** True for a replica that is heard of and has nearly everything that is committed. */
  readonly isCaughtUp: (replicaId: number) => boolean;
}

export type MembershipStep =
  | { readonly kind: "change"; readonly changes: readonly ConfChange[] }
  /** The leader is not wanted any more: the next change is another one's to make. */
  | { readonly kind: "hand-over"; readonly toReplica: number }
  /** A joint change is under way, or replicas are not caught up yet. */
  | { readonly kind: "wait" }
  | { readonly kind: "done" };

/**
 * What a leader does next to bring its group from the membership it has to the one the catalogue
 * wants. New replicas come in as learners, which cost no quorum anything; those that are to vote do so
 * when all of them have caught up, in one joint change with those that leave: so there is no moment
 * with fewer voters than before or after, none with two of three in one place more than wanted, and
 * no voter leaves before its successor counts.
 */
export function nextMembershipStep(input: MembershipInput): MembershipStep {
  const { conf, wanted, isCaughtUp, self } = input;
  if (conf.votersOutgoing.length > 0 || conf.learnersNext.length > 0) return { kind: "wait" };
  const members = [...conf.voters, ...conf.learners];
  const missing = wanted.filter(({ replicaId }) => !members.includes(replicaId));
  if (missing.length > 0) return change(missing.map(asLearner));
  const wantedVoters = wanted.filter(({ role }) => role === "voter").map(idOf);
  // Nobody would be left to decide anything: a catalogue that says so is not to be followed.
  if (wantedVoters.length === 0) return { kind: "wait" };
  const newVoters = wantedVoters.filter((id) => !conf.voters.includes(id));
  if (!newVoters.every(isCaughtUp)) return { kind: "wait" };
  const surplusVoters = conf.voters.filter((id) => !wantedVoters.includes(id));
  if (surplusVoters.includes(self)) return handOver(input, wantedVoters, newVoters);
  const changes: ConfChange[] = newVoters.map((replicaId) => ({ type: "add-voter", replicaId }));
  for (const replicaId of surplusVoters) {
    const isKept = wanted.some((replica) => replica.replicaId === replicaId);
    changes.push({ type: isKept ? "add-learner" : "remove", replicaId });
  }
  for (const replicaId of conf.learners) {
    const isWanted = wanted.some((replica) => replica.replicaId === replicaId);
    if (!isWanted) changes.push({ type: "remove", replicaId });
  }
  return changes.length === 0 ? { kind: "done" } : change(changes);
}

/** The leader leaves, or loses its vote: first somebody else must be able to lead. */
function handOver(
  { conf, isCaughtUp }: MembershipInput,
  wantedVoters: readonly number[],
  newVoters: readonly number[],
): MembershipStep {
  const successor = wantedVoters.find((id) => conf.voters.includes(id) && isCaughtUp(id));
  if (successor !== undefined) return { kind: "hand-over", toReplica: successor };
  // None of those that stay has a vote yet.
  if (newVoters.length === 0) return { kind: "wait" };
  return change(newVoters.map((replicaId) => ({ type: "add-voter", replicaId })));
}

function change(changes: readonly ConfChange[]): MembershipStep {
  return { kind: "change", changes };
}

function asLearner({ replicaId }: WantedReplica): ConfChange {
  return { type: "add-learner", replicaId };
}

function idOf({ replicaId }: WantedReplica): number {
  return replicaId;
}
