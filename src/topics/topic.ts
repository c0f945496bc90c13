import type { Abortable } from "../base/abortable.ts";
import { ProglogError } from "../base/errors.ts";
import { type RecordSpans, spansOf } from "../base/record-spans.ts";
import { MIB } from "../base/units.ts";
import { ENVELOPE_BYTES_MAX } from "../storage/envelope.ts";
import type { CatalogueEntry } from "./catalogue-topics.ts";
import type { ProposedCommand } from "./commands.ts";
import { checkProducerId } from "./names.ts";
import { IN_FLIGHT_MAX } from "./producers.ts";
import type { TopicReplica } from "./replica.ts";
import type { Replicator } from "./replicator.ts";
import { refusalError } from "./topic-errors.ts";
import type { TopicReader } from "./topic-reader.ts";
import type { TopicOutcome } from "./topic-state.ts";
import type {
  Acknowledgement,
  Durability,
  Follower,
  ProduceBatch,
  ReadLimits,
  RecordRun,
  StartPlace,
  Topic,
  TopicInfo,
  TopicSettingName,
  TopicSettings,
  TopicStatus,
  Waiting,
} from "./topics.ts";

/** Above what any server may be configured to take: a batch beyond it is a mistake of the caller. */
const BATCH_BYTES_MAX = 1024 * MIB;
const BATCH_RECORDS_MAX = 1_000_000;

/** Memory that a proposal takes beside its records. */
const PROPOSAL_BYTES = 256;
const RECORD_OVERHEAD_BYTES = 64;

export interface TopicHandleOptions {
  readonly entry: CatalogueEntry;
  readonly replica: TopicReplica;
  readonly replicator: Replicator<TopicOutcome, ProposedCommand>;
  /** What a batch survives that is acknowledged now. */
  readonly durability: () => Durability;
  /** Resolves when everything that was acknowledged before the call is applied here. */
  readonly confirm: (caller: Abortable | undefined) => Promise<void>;
}

/** A topic as the API sees it: turns calls into commands and outcomes into answers. */
export class TopicHandle implements Topic {
  readonly #options: TopicHandleOptions;
  #gone: ProglogError | undefined;

  constructor(options: TopicHandleOptions) {
    this.#options = options;
  }

  get info(): TopicInfo {
    const { entry, replica } = this.#options;
    return {
      name: entry.name,
      id: entry.id,
      createTimeUs: entry.createTimeUs,
      settings: replica.state.settings,
      effectiveSettings: replica.effectiveSettings,
    };
  }

  status(): TopicStatus {
    if (this.#gone !== undefined) throw this.#gone;
    return this.#options.replica.status;
  }

  produce(batch: ProduceBatch, options: Waiting = {}): Promise<Acknowledgement> {
    const { expectedNextOffset, producer, fencingToken } = batch;
    const records = "count" in batch.records ? batch.records : spansOf(batch.records);
    let recordBytes: number;
    try {
      recordBytes = this.#check(records);
    } catch (error) {
      return Promise.reject(error);
    }
    const bytes = recordBytes + records.count * RECORD_OVERHEAD_BYTES + PROPOSAL_BYTES;
    const command: ProposedCommand = {
      kind: "append",
      expectedNextOffset,
      producer,
      fencingToken,
      records,
    };
    const { replicator } = this.#options;
    return replicator.propose(command, { bytes, caller: options.caller }).then((outcome) => {
      if (outcome.kind !== "appended") throw this.#refused(outcome);
      const { firstOffset, recordCount, appendTimeUs, duplicate } = outcome;
      const durability = this.#options.durability();
      const lastOffset = firstOffset + recordCount - 1;
      return { firstOffset, lastOffset, appendTimeUs, durability, duplicate };
    });
  }

  async openProducer(producerId: string, options: Waiting = {}) {
    checkProducerId(producerId);
    const outcome = await this.#options.replicator.propose(
      { kind: "open", producerId },
      { bytes: PROPOSAL_BYTES, caller: options.caller },
    );
    if (outcome.kind !== "opened") throw this.#refused(outcome);
    return { epoch: outcome.epoch, maxInFlight: IN_FLIGHT_MAX };
  }

  async confirm({ caller }: Waiting = {}): Promise<void> {
    if (this.#gone !== undefined) throw this.#gone;
    await this.#options.confirm(caller);
  }

  async trim(beforeOffset: number, options: Waiting = {}) {
    const outcome = await this.#options.replicator.propose(
      { kind: "trim", beforeOffset },
      { bytes: PROPOSAL_BYTES, caller: options.caller, makesRoom: true },
    );
    if (outcome.kind !== "trimmed") throw this.#refused(outcome);
    return { firstOffset: outcome.firstOffset };
  }

  /** Changes settings that were checked; see `Topics.update`. */
  async update(changes: TopicSettings, cleared: readonly TopicSettingName[]): Promise<TopicInfo> {
    const outcome = await this.#options.replicator.propose(
      { kind: "settings", changes, cleared },
      { bytes: PROPOSAL_BYTES },
    );
    if (outcome.kind !== "settings") throw this.#refused(outcome);
    return this.info;
  }

  async resolve(start: StartPlace): Promise<number> {
    return await this.#reading(start.at === "offset" ? start.offset : undefined, (reader) =>
      reader.resolve(start),
    );
  }

  readTail(offset: number, limits: ReadLimits): RecordRun | undefined {
    if (this.#gone !== undefined) throw this.#gone;
    return this.#options.replica.reader.readTail(offset, limits);
  }

  async readRun(offset: number, limits: ReadLimits): Promise<RecordRun> {
    return await this.#reading(offset, (reader) => reader.readRun(offset, limits));
  }

  follow(offset: number, follower: Follower): () => void {
    return this.#options.replica.followers.follow(offset, follower);
  }

  /** The topic was deleted, or the server stops: everybody who waits or comes is told `reason`. */
  end(reason: ProglogError): void {
    this.#gone ??= reason;
    this.#options.replica.followers.close(this.#gone);
  }

  /** @returns bytes of the records */
  #check(records: RecordSpans): number {
    if (this.#gone !== undefined) throw this.#gone;
    const { starts, ends, count } = records;
    if (count === 0) {
      throw new ProglogError("BATCH_EMPTY", "Cannot append: the batch has no records");
    }
    const { maxRecordBytes } = this.#options.replica.effectiveSettings;
    const bodyBytesMax = maxRecordBytes - ENVELOPE_BYTES_MAX;
    let bytes = 0;
    let largest = 0;
    for (let record = 0; record < count; record += 1) {
      const length = (ends[record] ?? 0) - (starts[record] ?? 0);
      bytes += length;
      if (length > largest) largest = length;
    }
    if (largest > bodyBytesMax) throw recordTooLarge(records, maxRecordBytes);
    if (count > BATCH_RECORDS_MAX || bytes > BATCH_BYTES_MAX) throw batchTooLarge(count, bytes);
    return bytes;
  }

  async #reading<T>(
    offset: number | undefined,
    read: (reader: TopicReader) => Promise<T>,
  ): Promise<T> {
    if (this.#gone !== undefined) throw this.#gone;
    const { replica, replicator } = this.#options;
    // Acknowledged before a restart and not applied again yet: not out of range, but not here.
    if (replicator.isRecovering && (offset ?? 0) > replica.state.nextOffset) throw this.#behind();
    try {
      return await read(replica.reader);
    } catch (error) {
      throw this.#gone ?? error;
    }
  }

  #behind(): ProglogError {
    const { name } = this.#options.entry;
    return new ProglogError(
      "DISK_FULL",
      `Cannot read topic "${name}" there: the disk has no room for records that are in the journal`,
      { metadata: { topic: name } },
    );
  }

  #refused(outcome: TopicOutcome): ProglogError {
    const { name } = this.#options.entry;
    if (outcome.kind === "refused") return refusalError(outcome, name);
    return new ProglogError("INTERNAL", `A command of topic "${name}" had a foreign outcome`);
  }
}

function recordTooLarge({ starts, ends }: RecordSpans, maxRecordBytes: number): ProglogError {
  const bodyBytesMax = maxRecordBytes - ENVELOPE_BYTES_MAX;
  const lengths = ends.map((end, record) => end - (starts[record] ?? 0));
  const number = lengths.findIndex((length) => length > bodyBytesMax);
  const bytes = (lengths[number] ?? 0) + ENVELOPE_BYTES_MAX;
  return new ProglogError(
    "RECORD_TOO_LARGE",
    `Cannot append record ${number}: it takes ${bytes} bytes with the server's ${ENVELOPE_BYTES_MAX}, at most ${maxRecordBytes} are allowed`,
    {
      metadata: {
        recordNumber: `${number}`,
        recordBytes: `${bytes}`,
        recordBytesMax: `${maxRecordBytes}`,
      },
    },
  );
}

function batchTooLarge(recordCount: number, batchBytes: number): ProglogError {
  return new ProglogError(
    "BATCH_TOO_LARGE",
    `Cannot append ${recordCount} records of ${batchBytes} bytes: at most ${BATCH_RECORDS_MAX} records of ${BATCH_BYTES_MAX} bytes are allowed`,
    {
      metadata: {
        recordCount: `${recordCount}`,
        recordCountMax: `${BATCH_RECORDS_MAX}`,
        batchBytes: `${batchBytes}`,
        batchBytesMax: `${BATCH_BYTES_MAX}`,
      },
    },
  );
}
