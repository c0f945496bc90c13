import type { TopicNeed } from "../../cluster/cluster-view.ts";
import type { ReadConsistency } from "../../gen/proglog/v1/record_pb.ts";
import { CLUSTER_TOPIC_NAME, DEFAULT_TOPIC_NAME } from "../../topics/names.ts";
import { needOfRead, needOfStart, type StartRequest } from "../read-topic.ts";

/** Where calls of a method go. */
export interface Rule<Request> {
  readonly topic: (request: Request) => string;
  /** @throws FIELD_INVALID */
  readonly need: (request: Request) => TopicNeed;
  readonly isWrite: boolean;
  /** Answers have a field for who leads, when that is another server. */
  readonly tellsLeader?: true;
}

interface NamesTopic {
  readonly topic: string;
}

/** A message of a stream of batches. */
export interface NamesTopicFirst {
  readonly batches: readonly NamesTopic[];
}

const named = ({ topic }: NamesTopic): string => topic;
const leader = (): TopicNeed => "leader";

/** Changes of a topic. */
export const TO_LEADER: Rule<NamesTopic> = { topic: named, need: leader, isWrite: true };

/** Appends to a topic. */
export const APPEND: Rule<NamesTopic> = { ...TO_LEADER, tellsLeader: true };

/** Changes of what topics and servers there are. */
export const TO_CATALOGUE: Rule<unknown> = {
  topic: () => CLUSTER_TOPIC_NAME,
  need: leader,
  isWrite: true,
};

/** Reads from a place on. */
export const FROM_PLACE: Rule<NamesTopic & StartRequest> = {
  topic: named,
  need: needOfStart,
  isWrite: false,
};

/** Questions about the end of a topic. */
export const OF_END: Rule<NamesTopic & { readonly consistency: ReadConsistency }> = {
  topic: named,
  need: ({ consistency }) => needOfRead(consistency, "leader"),
  isWrite: false,
};

export const SEED_WRITE: Rule<unknown> = {
  topic: () => DEFAULT_TOPIC_NAME,
  need: leader,
  isWrite: true,
};

export const SEED_READ: Rule<unknown> = {
  topic: () => DEFAULT_TOPIC_NAME,
  need: () => "replica",
  isWrite: false,
};
