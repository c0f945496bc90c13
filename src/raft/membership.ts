import type { ConfState } from "./core.ts";

/** A group that has these voters and nobody else. */
export function confOf(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false };
}

/** True when what that replica has journalled is committed. */
export function isOnlyVoter({ voters, votersOutgoing }: ConfState, replicaId: number): boolean {
  return voters.length === 1 && voters[0] === replicaId && votersOutgoing.length === 0;
}

/** True when nobody else belongs to the group. */
export function isSoleMember(conf: ConfState, replicaId: number): boolean {
  const isAlone = conf.learners.length === 0 && conf.learnersNext.length === 0;
  return isAlone && isOnlyVoter(conf, replicaId);
}

/** All who belong to the group, each once. */
export function membersOf(conf: ConfState): ReadonlySet<number> {
  const { voters, learners, votersOutgoing, learnersNext } = conf;
  return new Set([...voters, ...learners, ...votersOutgoing, ...learnersNext]);
}
