import type { Abortable } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { ProglogError } from "../base/errors.ts";
import type { ReplicaPlace } from "../topics/group-placement.ts";
import { giveUpAfter } from "./give-up-after.ts";
import type { LocalTopic } from "./local-topic.ts";

/** When a new topic still has no leader, so long after its replica was made here: others make theirs meanwhile. */
const ATTEMPTS_MS = [0, 50, 150, 400];

/** Longest wait for a leader of a new topic before its creation is answered nevertheless. */
const LED_MS_MAX = 3_000;

/** A replica as this sees it. */
export interface LedGroup {
  readonly raft: { readonly leaderReplicaId: number | undefined; campaign(): void };
}

/** The voter that leads a new topic first: by the topic's id, so that topics that are made one after the other are spread. */
export function firstLeader({
  id,
  initial,
}: {
  readonly id: number;
  readonly initial: readonly ReplicaPlace[];
}): ReplicaPlace | undefined {
  const voters = initial.filter(({ role }) => role === "voter");
  return voters[id % voters.length];
}

/**
 * Has a new topic's first leader stand for election at once instead of after an election time-out, and again
 * shortly afterwards: the others vote only when they have made their replicas.
 *
 * @returns a function that ends it
 */
export function campaignFirst(clock: Clock, entry: LocalTopic, group: LedGroup): () => void {
  const { raft } = group;
  const isFirst = firstLeader(entry)?.replicaId === entry.replicaId;
  if (!isFirst || raft.leaderReplicaId !== undefined) return () => {};
  const cancels = ATTEMPTS_MS.map((delayMs) =>
    clock.schedule(delayMs, () => {
      if (raft.leaderReplicaId === undefined) raft.campaign();
    }),
  );
  return () => {
    for (const cancel of cancels) cancel();
  };
}

/**
 * Resolves when the topic has a leader as far as this server knows, or nothing is known of it here; after some
 * seconds in any case.
 */
export async function untilLed(
  parts: {
    readonly clock: Clock;
    readonly group: (topicId: number) => LedGroup | undefined;
    /** Resolves at the next change of a leader. */
    readonly changed: (caller: Abortable) => Promise<void>;
  },
  topicId: number,
): Promise<void> {
  const { clock, group, changed } = parts;
  const isLed = () => {
    const here = group(topicId);
    return here === undefined || here.raft.leaderReplicaId !== undefined;
  };
  if (isLed()) return;
  const late = new ProglogError("DEADLINE_EXCEEDED", "The topic has no leader yet");
  const timer = giveUpAfter(clock, LED_MS_MAX, late);
  try {
    while (!isLed()) await changed(timer);
  } catch (error) {
    if (timer.reason === undefined) throw error;
  } finally {
    timer.end();
  }
}
