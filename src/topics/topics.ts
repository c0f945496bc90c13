import type { Abortable } from "../base/abortable.ts";
import type { ProglogError } from "../base/errors.ts";
import type { RecordSpans } from "../base/record-spans.ts";

/**
 * Topics as the API sees them: the contract between `rpc/` and what lies below.
 * `registry.ts` implements {@link Topics}, `topic.ts` implements {@link Topic}.
 *
 * Offsets, ids, epochs, sequences and tokens are safe integers, 0 or more. Times
 * named `*Us` are microseconds since 1970-01-01 UTC. Everything rejects (or, where
 * it returns no promise, throws) with ProglogError only; the reasons are named.
 */

/** What can be set for one topic. Absent: the default applies. Ranges: `settings.ts`. */
export interface TopicSettings {
  /** Largest record in bytes, with what the server adds to it (ENVELOPE_BYTES_MAX). */
  readonly maxRecordBytes?: number;
  /** A segment is closed when its store reaches so many bytes. */
  readonly maxSegmentBytes?: number;
  /** A segment is closed when it has so many records. */
  readonly maxSegmentRecords?: number;
  /** Records may go so many milliseconds after they were appended; 0: never by age. */
  readonly retentionAgeMs?: number;
  /** Oldest records may go when the topic is larger on disk; 0: never by size. */
  readonly retentionBytes?: number;
  /** Servers that hold the topic: a target. */
  readonly replicationFactor?: number;
}

export type TopicSettingName = keyof TopicSettings;

/** Settings with nothing left open. */
export type EffectiveSettings = Readonly<Required<TopicSettings>>;

/** A topic as the catalogue knows it. */
export interface TopicInfo {
  readonly name: string;
  /** From 1; never given to another topic. */
  readonly id: number;
  readonly createTimeUs: number;
  /** As they were set for this topic. */
  readonly settings: TopicSettings;
  /** As they are in force. */
  readonly effectiveSettings: EffectiveSettings;
}

/** How a topic is now. */
export interface TopicStatus {
  /** First offset that is kept. */
  readonly firstOffset: number;
  /** Offset that the next record gets; equal to `firstOffset` when there is none. */
  readonly nextOffset: number;
  /** Stores and indexes. */
  readonly diskBytes: number;
  /** Undefined when nothing was ever appended. */
  readonly lastAppendTimeUs: number | undefined;
}

/** Which batch of which producer this is, so that a retry is appended once. */
export interface ProducerBatch {
  readonly id: string;
  /** From {@link Topic.openProducer}. */
  readonly epoch: number;
  /** 0 for the first batch of an epoch, then one more each. */
  readonly sequence: number;
}

/** Records to append, all or none, and the conditions under which. */
export interface ProduceBatch {
  /**
   * Bytes of valid `proglog.v1.Record` messages, one by one or side by side; not changed until
   * the call has settled. Side by side costs less: nothing is made for a record.
   */
  readonly records: readonly Uint8Array[] | RecordSpans;
  /** Append only if this is the topic's next offset. */
  readonly expectedNextOffset?: number | undefined;
  readonly producer?: ProducerBatch | undefined;
  /** Append only if no higher token was used on this topic. */
  readonly fencingToken?: number | undefined;
}

/** What an acknowledged batch survives; see `Durability` in record.proto. */
export type Durability = "not-synced" | "synced-one" | "synced-quorum";

export interface Acknowledgement {
  readonly firstOffset: number;
  readonly lastOffset: number;
  /** Of all records of the batch. */
  readonly appendTimeUs: number;
  readonly durability: Durability;
  /** True when the batch had been appended before, and this is that answer. */
  readonly duplicate: boolean;
}

/** Where a read begins. */
export type StartPlace =
  | { readonly at: "first" }
  | { readonly at: "offset"; readonly offset: number }
  /** So many records before the end, or the first one kept; 0: the end. */
  | { readonly at: "last"; readonly count: number }
  /** The first record appended at or after that time; the end if there is none. */
  | { readonly at: "time"; readonly timeUs: number };

/** How much one read may return. */
export interface ReadLimits {
  /** 1 or more. */
  readonly recordsMax: number;
  /** Bytes as stored; one record is returned whatever its size. */
  readonly bytesMax: number;
  /** Return nothing at or beyond this offset. */
  readonly endOffset?: number | undefined;
  /** The reader calls `giveBack` of a run that has it, when it has done with it; or never. */
  readonly givesBack?: boolean | undefined;
}

/**
 * Records side by side in one buffer, with nothing made for each of them: what the
 * fast ways out are served from. Nobody changes it after it was returned (but see
 * `isOwn`), and readers at the same place of a topic's end get the same object, so
 * that what is made of it can be shared (kept in a WeakMap).
 */
export interface RecordRun {
  /** How many records there are; the arrays below have that many entries or more. */
  readonly count: number;
  /** Holds the bodies; the bytes between them mean nothing to the reader. */
  readonly bytes: Uint8Array;
  /** Record `i` is `bytes.subarray(starts[i], ends[i])`. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Offsets rising; gaps are records that were removed. */
  readonly offsets: Float64Array;
  readonly appendTimesUs: Float64Array;
  /** Where to read next; past removed records, so also when there are no records. */
  readonly resumeOffset: number;
  /** Made for this reader alone, who may write over `bytes`: what came from disk. */
  readonly isOwn?: boolean;
  /** Lets others use the memory of the run, which nobody may look at any more. */
  readonly giveBack?: (() => void) | undefined;
}

/** Who waits for records: exactly one of the two is called, once. */
export interface Follower {
  /** Records have come. Called for many readers in one go: return soon, do not throw. */
  wake(): void;
  /** None will come: the topic was deleted, or the server stops. */
  fail(error: ProglogError): void;
}

export interface TopicPage {
  readonly topics: readonly TopicInfo[];
  /** True when there are topics after the last one of this page. */
  readonly more: boolean;
}

export interface Waiting {
  /** When it is given up, the write rejects with its reason, `outcome` added to the metadata. */
  readonly caller?: Abortable | undefined;
}

/** All topics of this server. */
export interface Topics {
  /**
   * A topic by name. Cheap: to be asked for each call. With `topicId`, only that one.
   * @throws TOPIC_NAME_INVALID, TOPIC_NOT_FOUND, TOPIC_REPLACED
   */
  topic(name: string, topicId?: number): Topic;
  /**
   * Makes a topic; resolves when it takes records.
   * @throws TOPIC_NAME_INVALID, SETTING_INVALID, TOPIC_EXISTS, TOPIC_LIMIT, DISK_FULL, DRAINING
   */
  create(name: string, settings: TopicSettings): Promise<TopicInfo>;
  /**
   * Sets what is in `changes`, puts the settings in `cleared` back to their defaults.
   * @throws TOPIC_NAME_INVALID, TOPIC_NOT_FOUND, SETTING_INVALID, DISK_FULL, DRAINING
   */
  update(
    name: string,
    changes: TopicSettings,
    cleared: readonly TopicSettingName[],
  ): Promise<TopicInfo>;
  /**
   * Deletes a topic with its records; resolves when that is durable and the name is free.
   * @throws TOPIC_NAME_INVALID, TOPIC_NOT_FOUND, TOPIC_REPLACED, TOPIC_RESERVED, DRAINING
   */
  delete(name: string, topicId?: number): Promise<void>;
  /** Topics in name order whose names begin with `prefix` and come after `after`; at most `limit`. */
  list(options: {
    readonly prefix?: string;
    readonly after?: string;
    readonly limit: number;
  }): TopicPage;
}

/** One topic. After it was deleted everything answers TOPIC_NOT_FOUND. */
export interface Topic {
  /** As it is now: ask again after an update. */
  readonly info: TopicInfo;
  status(): TopicStatus;
  /**
   * Appends a batch, all or none, and resolves when it is durable and readable.
   * Batches of one caller that does not wait are appended in the order of the calls.
   *
   * Nothing was appended when it rejects, unless the metadata says `outcome: unknown`.
   * Beyond the bytes that may be in flight a call waits its turn, until its caller gives up;
   * when too many wait, it is RATE_LIMITED.
   *
   * @throws NOT_LEADER, NO_QUORUM, BATCH_EMPTY, BATCH_TOO_LARGE, RECORD_TOO_LARGE, OFFSET_MISMATCH, PRODUCER_UNKNOWN,
   *   PRODUCER_FENCED, SEQUENCE_GAP, SEQUENCE_TOO_OLD, FENCED, DISK_FULL, RATE_LIMITED, DRAINING,
   *   TOPIC_NOT_FOUND, CANCELED, DEADLINE_EXCEEDED, DISK_FAILED
   */
  produce(batch: ProduceBatch, options?: Waiting): Promise<Acknowledgement>;
  /** Begins a new epoch of a producer. @throws FIELD_INVALID, DISK_FULL, RATE_LIMITED, DRAINING, ... */
  openProducer(
    producerId: string,
    options?: Waiting,
  ): Promise<{ readonly epoch: number; readonly maxInFlight: number }>;
  /**
   * Resolves when everything acknowledged before the call is applied here: what is read then is
   * linearizable, and an offset that is out of range then is so everywhere.
   * @throws NOT_LEADER, NO_QUORUM, TOPIC_NOT_FOUND, CANCELED, DEADLINE_EXCEEDED
   */
  confirm(options?: Waiting): Promise<void>;
  /** Removes the records below an offset. @throws OFFSET_OUT_OF_RANGE when it is above the next one */
  trim(beforeOffset: number, options?: Waiting): Promise<{ readonly firstOffset: number }>;
  /** The offset where a read begins. @throws OFFSET_OUT_OF_RANGE for an offset outside [first, next] */
  resolve(start: StartPlace): Promise<number>;
  /**
   * Reads records that are still in memory, at once: for readers at the end of the topic.
   * @returns undefined when the record at `offset` is not in memory (then use {@link readRun}), or
   *   there is none yet; a run of records otherwise, which may be shared with other readers
   */
  readTail(offset: number, limits: ReadLimits): RecordRun | undefined;
  /**
   * Reads records from `offset` on, without waiting for more: those that lie together in one
   * place, so there may be more than it gives.
   * @throws OFFSET_OUT_OF_RANGE; STORE_CORRUPT (metadata `topic`, `offset`) when the record at
   *   `offset` is damaged: records before a damaged one are returned first
   */
  readRun(offset: number, limits: ReadLimits): Promise<RecordRun>;
  /**
   * Calls `follower` once when the next offset is above `offset`: at once when it is already.
   * @returns a function that gives up waiting; nothing is called afterwards
   */
  follow(offset: number, follower: Follower): () => void;
}
