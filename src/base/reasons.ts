import { CLUSTER_REASONS } from "./reasons-cluster.ts";

/** What a caller may do about an error without changing its request. */
export type Retry = "no" | "after-backoff" | "at-leader" | "with-producer";

/** Codes of Connect and gRPC, in Connect's spelling. `unknown` is not among them: nothing answers it. */
export type ErrorCode =
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "failed_precondition"
  | "aborted"
  | "out_of_range"
  | "resource_exhausted"
  | "unavailable"
  | "data_loss"
  | "deadline_exceeded"
  | "canceled"
  | "unimplemented"
  | "internal";

export interface ReasonInfo {
  readonly code: ErrorCode;
  readonly retry: Retry;
  /** When it happens, a sentence. */
  readonly when: string;
  /** What to do about it, a sentence. */
  readonly fix: string;
  /** Keys of the metadata that is always there. */
  readonly metadata?: readonly string[];
}

/**
 * Every reason proglog reports. A key is part of the wire contract
 * (`google.rpc.ErrorInfo.reason`): never rename one, never reuse one.
 * docs/errors.md is generated from this table.
 */
export const REASONS = {
  TOPIC_NAME_INVALID: {
    code: "invalid_argument",
    retry: "no",
    when: "A topic name breaks the rules for names.",
    fix: "Use 1 to 128 characters of `[a-z0-9._-]` that begin and end with a letter or digit.",
    metadata: ["topic"],
  },
  FIELD_INVALID: {
    code: "invalid_argument",
    retry: "no",
    when: "A field of the request has a value out of its range.",
    fix: "See the field named in BadRequest.",
    metadata: ["field"],
  },
  FIELD_UNKNOWN: {
    code: "invalid_argument",
    retry: "no",
    when: "A produce request has a field that this server does not know; it could be a condition.",
    fix: "Update the server, or leave the field out.",
    metadata: ["field"],
  },
  MESSAGE_INVALID: {
    code: "invalid_argument",
    retry: "no",
    when: "The request's bytes are not the message that the method takes.",
    fix: "Encode it with the published proto files; JSON as protobuf's JSON mapping says.",
  },
  SETTING_INVALID: {
    code: "invalid_argument",
    retry: "no",
    when: "A topic setting is out of its range, or two settings do not fit together.",
    fix: "See the field named in BadRequest.",
    metadata: ["field"],
  },
  BATCH_EMPTY: {
    code: "invalid_argument",
    retry: "no",
    when: "A batch has no records.",
    fix: "Send at least one record; it may be empty.",
  },
  BATCH_TOO_LARGE: {
    code: "invalid_argument",
    retry: "no",
    when: "A batch has more records or bytes than a batch may have.",
    fix: "Send several batches.",
    metadata: ["recordCount", "recordCountMax", "batchBytes", "batchBytesMax"],
  },
  RECORD_TOO_LARGE: {
    code: "invalid_argument",
    retry: "no",
    when: "A record with what the server adds to it is over the topic's `max_record_bytes`.",
    fix: "Send a smaller record, or raise `max_record_bytes`.",
    metadata: ["recordNumber", "recordBytes", "recordBytesMax"],
  },
  RECORD_INVALID: {
    code: "invalid_argument",
    retry: "no",
    when: "A record is not a valid proglog.v1.Record.",
    fix: "Encode it with the published proto files.",
    metadata: ["recordNumber"],
  },
  TOPIC_NOT_FOUND: {
    code: "not_found",
    retry: "no",
    when: "There is no topic of that name.",
    fix: "Create it: `proglog topic create NAME`. Producing to a topic does not create it.",
    metadata: ["topic"],
  },
  TOPIC_REPLACED: {
    code: "not_found",
    retry: "no",
    when: "The topic of that name is not the one whose `topic_id` was given.",
    fix: "Its offsets mean other records now: begin anew with the topic's present id.",
    metadata: ["topic", "topicId"],
  },
  TOPIC_EXISTS: {
    code: "already_exists",
    retry: "no",
    when: "A topic of that name exists; also after a retry of a call that succeeded.",
    fix: "Use it, or choose another name.",
    metadata: ["topic"],
  },
  TOPIC_RESERVED: {
    code: "failed_precondition",
    retry: "no",
    when: "The topic is `default` or the server's own, and cannot be deleted.",
    fix: "Trim it instead.",
    metadata: ["topic"],
  },
  TOPIC_LIMIT: {
    code: "resource_exhausted",
    retry: "no",
    when: "The server holds as many topics as it may.",
    fix: "Delete a topic, or raise `--topics-max`.",
    metadata: ["topicCountMax"],
  },
  SERVICE_NOT_FOUND: {
    code: "not_found",
    retry: "no",
    when: "A health check names a service that this server does not have.",
    fix: "List the services with reflection; the empty name stands for the server.",
    metadata: ["service"],
  },
  OFFSET_NOT_FOUND: {
    code: "not_found",
    retry: "no",
    when: "`log.v1.Log` has no record at that offset: trimmed, removed, or not appended yet.",
    fix: "Ask for another offset, or try again later.",
    metadata: ["offset"],
  },
  OFFSET_OUT_OF_RANGE: {
    code: "out_of_range",
    retry: "no",
    when: "The offset is below the first one kept or above the next one.",
    fix: "Go on at `firstOffset`, knowing that records before it are gone, or at `nextOffset`.",
    metadata: ["offset", "firstOffset", "nextOffset"],
  },
  OFFSET_MISMATCH: {
    code: "failed_precondition",
    retry: "no",
    when: "`expected_next_offset` is not the topic's next offset. Nothing was appended.",
    fix: "Read what was appended meanwhile, then decide anew.",
    metadata: ["expectedNextOffset", "nextOffset"],
  },
  PRODUCER_UNKNOWN: {
    code: "failed_precondition",
    retry: "no",
    when: "The producer was never opened on this topic, or was forgotten.",
    fix: "Open it again; what was in flight may have been appended.",
    metadata: ["producerId"],
  },
  PRODUCER_FENCED: {
    code: "aborted",
    retry: "no",
    when: "The producer was opened again elsewhere: a higher epoch exists.",
    fix: "Stop: another process has taken this producer's place.",
    metadata: ["producerId", "epoch", "currentEpoch"],
  },
  SEQUENCE_GAP: {
    code: "failed_precondition",
    retry: "no",
    when: "A batch's sequence is not the next one of its producer.",
    fix: "Send the batches that are missing first, from `expectedSequence` on.",
    metadata: ["producerId", "sequence", "expectedSequence"],
  },
  SEQUENCE_TOO_OLD: {
    code: "already_exists",
    retry: "no",
    when: "The batch was appended long ago; its offsets are forgotten.",
    fix: "Treat it as appended.",
    metadata: ["producerId", "sequence"],
  },
  FENCED: {
    code: "aborted",
    retry: "no",
    when: "A higher fencing token was used on this topic.",
    fix: "Stop: another writer holds the lock now.",
    metadata: ["fencingToken", "currentFencingToken"],
  },
  STORE_CORRUPT: {
    code: "data_loss",
    retry: "no",
    when: "Stored records are damaged. None were skipped.",
    fix: "Run `proglog log verify`; read on after the damaged range, or `proglog log repair`.",
    metadata: ["topic", "offset"],
  },
  DISK_FULL: {
    code: "resource_exhausted",
    retry: "after-backoff",
    when: "The server's disk is full. Nothing was appended.",
    fix: "Free space or trim topics; the server goes on by itself.",
  },
  RATE_LIMITED: {
    code: "resource_exhausted",
    retry: "after-backoff",
    when: "More bytes or calls are in flight than the server takes.",
    fix: "Wait for answers before sending more.",
  },
  REQUEST_TOO_LARGE: {
    code: "resource_exhausted",
    retry: "no",
    when: "A request message is over the server's limit.",
    fix: "Send smaller batches, or raise `--request-bytes-max`.",
    metadata: ["requestBytesMax"],
  },
  STARTING: {
    code: "unavailable",
    retry: "after-backoff",
    when: "This server is not ready yet: it recovers.",
    fix: "Try again soon; `/readyz` says what it waits for.",
  },
  DRAINING: {
    code: "unavailable",
    retry: "after-backoff",
    when: "This server is stopping.",
    fix: "Call another server, or this one when it is back.",
  },
  NOT_LEADER: {
    code: "unavailable",
    retry: "at-leader",
    when: "This server does not lead the topic.",
    fix: "Call the server in `leaderAddress`.",
  },
  NO_QUORUM: {
    code: "unavailable",
    retry: "after-backoff",
    when: "The topic has no leader, or it cannot reach a majority of its voters.",
    fix: "Try again; check `proglog topic get`.",
  },
  ...CLUSTER_REASONS,
  DEADLINE_EXCEEDED: {
    code: "deadline_exceeded",
    retry: "with-producer",
    when: "The call's deadline passed. If it was a write, `outcome` says whether it may have happened.",
    fix: "Allow more time. Retry a write with a producer, so that it is appended once.",
  },
  CANCELED: {
    code: "canceled",
    retry: "with-producer",
    when: "The caller gave up. If it was a write, `outcome` says whether it may have happened.",
    fix: "Retry a write with a producer, so that it is appended once.",
  },
  UNIMPLEMENTED: {
    code: "unimplemented",
    retry: "no",
    when: "This server has no such method or option.",
    fix: "Update the server.",
  },
  INTERNAL: {
    code: "internal",
    retry: "no",
    when: "A defect in proglog. The server's log has the cause.",
    fix: "Report it with the server's log.",
  },
  DATA_DIR_LOCKED: {
    code: "failed_precondition",
    retry: "no",
    when: "Another process uses the data folder. Only at start and in offline tools.",
    fix: "Stop the process named in the message, or use another `--data-dir`.",
    metadata: ["pid"],
  },
  DATA_DIR_INVALID: {
    code: "failed_precondition",
    retry: "no",
    when: "The folder is not a proglog data folder, or of a version this program cannot read.",
    fix: "Check `--data-dir`; use the program version that wrote it, or a newer one.",
  },
  JOURNAL_CORRUPT: {
    code: "data_loss",
    retry: "no",
    when: "The journal is damaged where it was synced. Only at start; the files are kept.",
    fix: "In a cluster: start the server with an empty folder and --join, the others have all of it. Alone: restore the folder from a backup, or see docs/format.md for what can be saved.",
  },
  DISK_FAILED: {
    code: "unavailable",
    retry: "with-producer",
    when: "A write or sync of the server's disk failed. The process ends.",
    fix: "Check the disk, then start the server: it recovers from what was synced.",
  },
} as const satisfies Record<string, ReasonInfo>;

export type Reason = keyof typeof REASONS;
