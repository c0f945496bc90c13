import { ProglogError } from "../base/errors.ts";

/** Nothing was proposed. */
export function notLeader(topicId: number, leaderReplica: number | undefined): ProglogError {
  return new ProglogError(
    "NOT_LEADER",
    `Cannot append to topic ${topicId}: this replica does not lead it`,
    {
      metadata: {
        topicId: `${topicId}`,
        ...(leaderReplica === undefined ? {} : { leaderReplica: `${leaderReplica}` }),
        outcome: "none",
      },
    },
  );
}

/** It may be appended yet, or never: nobody leads who could say. */
export function outcomeUnknown(topicId: number): ProglogError {
  return new ProglogError(
    "NO_QUORUM",
    `Cannot say what came of the append to topic ${topicId}: nobody leads it any more`,
    { metadata: { topicId: `${topicId}`, outcome: "unknown" } },
  );
}

/** To who waits no longer, when others were silent for so long. */
export function quorumSilent(topicId: number, silentMs: number): ProglogError {
  return new ProglogError(
    "NO_QUORUM",
    `Cannot acknowledge the append to topic ${topicId}: no majority was heard of for ${silentMs} ms`,
    { metadata: { topicId: `${topicId}` } },
  );
}

/** A change of membership was not proposed. */
export function confChangePending(topicId: number): ProglogError {
  const message = `Cannot change the replicas of topic ${topicId}: another change is under way`;
  return new ProglogError("CONF_CHANGE_PENDING", message, { metadata: { topicId: `${topicId}` } });
}

export function notAVoter(topicId: number, replicaId: number): ProglogError {
  return new ProglogError(
    "NOT_A_VOTER",
    `Cannot let replica ${replicaId} lead topic ${topicId}: it is not one of its voters`,
    { metadata: { topicId: `${topicId}`, replicaId: `${replicaId}` } },
  );
}

export function transferFailed(topicId: number, replicaId: number): ProglogError {
  return new ProglogError(
    "NO_QUORUM",
    `Cannot hand topic ${topicId} over: replica ${replicaId} did not take the leadership in time`,
    { metadata: { topicId: `${topicId}`, replicaId: `${replicaId}` } },
  );
}

/** The core has lost its footing in this group: it is opened again from disk. */
export function groupFailed(topicId: number, cause: unknown): ProglogError {
  const message = `Cannot go on with topic ${topicId}: its replica here is being opened again`;
  return new ProglogError("NOT_LEADER", message, { metadata: { topicId: `${topicId}` }, cause });
}
