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

/** True when a majority of those who decide is so; while voters change, of the old and of the new ones. */
export function isMajority(
  { voters, votersOutgoing }: ConfState,
  isSo: (replicaId: number) => boolean,
): boolean {
  return [voters, votersOutgoing].every(
    (half) => half.length === 0 || 2 * half.filter(isSo).length > half.length,
  );
}

/** All who belong to the group, each once. */
export function membersOf(conf: ConfState): ReadonlySet<number> {
  const { voters, learners, votersOutgoing, learnersNext } = conf;
  return new Set([...voters, ...learners, ...votersOutgoing, ...learnersNext]);
}
