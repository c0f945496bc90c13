import { ProglogError } from "../base/errors.ts";

/** Always there; what `log.v1.Log` reads and writes. */
export const DEFAULT_TOPIC_NAME = "default";

/** The catalogue's own group. It has a state and no records, so it cannot be read as a topic. */
export const CLUSTER_TOPIC_NAME = "_cluster";

const TOPIC_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?$/;
const SERVER_TOPIC_NAME = /^_[a-z0-9](?:[a-z0-9._-]{0,125}[a-z0-9])?$/;
const PRODUCER_ID = /^[a-zA-Z0-9._-]{1,64}$/;

/** A name from outside is shown in errors only so far. */
const SHOWN_CHARACTERS_MAX = 140;

/** Checks a name that a client may give to a topic. @throws TOPIC_NAME_INVALID */
export function checkTopicName(name: string): void {
  if (TOPIC_NAME.test(name)) return;
  throw nameError(
    name,
    "must be 1 to 128 characters of [a-z0-9._-] that begin and end with a letter or digit",
  );
}

/** As {@link checkTopicName}, for looking a topic up: the server's own names are well formed too. */
export function checkKnownTopicName(name: string): void {
  if (!isServerTopic(name)) checkTopicName(name);
}

/** True for names of the server's own topics. */
export function isServerTopic(name: string): boolean {
  return SERVER_TOPIC_NAME.test(name);
}

/** @throws FIELD_INVALID */
export function checkProducerId(id: string): void {
  if (PRODUCER_ID.test(id)) return;
  throw new ProglogError(
    "FIELD_INVALID",
    `Cannot use "${shorten(id)}" as a producer id: must be 1 to 64 characters of [a-zA-Z0-9._-]`,
    { metadata: { field: "producer.id" } },
  );
}

function nameError(name: string, rule: string): ProglogError {
  return new ProglogError(
    "TOPIC_NAME_INVALID",
    `Cannot use "${shorten(name)}" as a topic name: ${rule}`,
    { metadata: { topic: shorten(name) } },
  );
}

function shorten(text: string): string {
  return text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}...`;
}
