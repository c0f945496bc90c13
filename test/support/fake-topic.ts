import assert from "node:assert/strict";
import type { Abortable } from "../../src/base/abortable.ts";
import { concat } from "../../src/base/bytes.ts";
import { ProglogError } from "../../src/base/errors.ts";
import { checkProducerId } from "../../src/topics/names.ts";
import { DEFAULT_TOPIC_SETTINGS, effectiveSettings } from "../../src/topics/settings.ts";
import type {
  Acknowledgement,
  Follower,
  ProduceBatch,
  ReadLimits,
  RecordRun,
  StartPlace,
  Topic,
  TopicInfo,
  TopicSettings,
  TopicStatus,
  Waiting,
} from "../../src/topics/topics.ts";
import { listOf } from "./spans.ts";
import type { ReadRecords, StoredRecord } from "./topic-reads.ts";

/** Append times of records: a second apart. */
const START_US = 1_767_225_600_000_000;

/** As a true topic says it. */
export function notFound(topic: string): ProglogError {
  return new ProglogError("TOPIC_NOT_FOUND", `There is no topic "${topic}"`, {
    metadata: { topic },
  });
}

/** A topic in memory: see fake-topics.ts. */
export class FakeTopic implements Topic {
  info: TopicInfo;
  /** How often it was read (but for `readTail`) and followed: for tests of back-pressure and of polling. */
  readCount = 0;
  waitCount = 0;
  /** How often `readTail` gave something. */
  tailCount = 0;
  /** Records from here on are in memory, as {@link readTail} sees it. */
  tailFrom = 0;
  #lastTail: { readonly key: string; readonly run: RecordRun } | undefined;
  /** Waits that have not ended. */
  get openWaits(): number {
    return this.#waiters.size;
  }
  /** When set, batches are journalled but not acknowledged until it resolves. */
  hold: Promise<void> | undefined;
  /** How often somebody wanted to be sure of the end. */
  confirmCount = 0;
  /** What is to be done before {@link confirm} resolves: a follower catches up, a leader is deposed. */
  onConfirm: (() => void | Promise<void>) | undefined;
  /** Batches that were taken, in order. */
  readonly batches: ProduceBatch[] = [];
  /** When set, the next batch is refused with it. */
  refuseNext: unknown;
  readonly damaged = new Set<number>();
  readonly #records: (StoredRecord | undefined)[] = [];
  #firstOffset = 0;
  #isDeleted = false;
  #fencingToken = 0;
  #epoch = 0;
  readonly #waiters = new Set<{ readonly offset: number; readonly follower: Follower }>();

  constructor(name: string, id: number, settings: TopicSettings) {
    this.info = {
      name,
      id,
      createTimeUs: START_US,
      settings,
      effectiveSettings: effectiveSettings(settings, DEFAULT_TOPIC_SETTINGS),
    };
  }

  get nextOffset(): number {
    return this.#records.length;
  }

  status(): TopicStatus {
    this.#checkThere();
    return {
      firstOffset: this.#firstOffset,
      nextOffset: this.nextOffset,
      diskBytes: 0,
      lastAppendTimeUs: this.#records.at(-1)?.appendTimeUs,
    };
  }

  async produce(batch: ProduceBatch, { caller }: Waiting = {}): Promise<Acknowledgement> {
    this.#checkThere();
    if (caller?.reason !== undefined) throw caller.reason;
    this.batches.push(batch);
    if (this.hold !== undefined) await this.#wait(this.hold, caller);
    this.#checkConditions(batch); // as the true ones: when its turn has come
    const firstOffset = this.nextOffset;
    this.append(...listOf(batch.records));
    return {
      firstOffset,
      lastOffset: this.nextOffset - 1,
      appendTimeUs: this.#records.at(-1)?.appendTimeUs ?? 0,
      durability: "synced-one",
      duplicate: false,
    };
  }

  /** Appends without conditions. */
  append(...bodies: readonly Uint8Array[]): void {
    for (const body of bodies) {
      const offset = this.nextOffset;
      this.#records.push({ offset, appendTimeUs: START_US + offset * 1_000_000, body });
    }
    this.#wakeAll();
  }

  /** As compaction does: the offset stays, the record is gone. */
  remove(offset: number): void {
    this.#records[offset] = undefined;
  }

  async openProducer(producerId: string): Promise<{ epoch: number; maxInFlight: number }> {
    this.#checkThere();
    checkProducerId(producerId);
    this.#epoch += 1;
    return { epoch: this.#epoch, maxInFlight: 5 };
  }

  async confirm({ caller }: Waiting = {}): Promise<void> {
    this.#checkThere();
    if (caller?.reason !== undefined) throw caller.reason;
    this.confirmCount += 1;
    await this.onConfirm?.();
  }

  async trim(beforeOffset: number): Promise<{ firstOffset: number }> {
    if (beforeOffset > this.nextOffset) throw this.#outOfRange(beforeOffset);
    this.#firstOffset = Math.max(this.#firstOffset, beforeOffset);
    return { firstOffset: this.#firstOffset };
  }

  async resolve(start: StartPlace): Promise<number> {
    this.#checkThere();
    if (start.at === "first") return this.#firstOffset;
    if (start.at === "last") return Math.max(this.#firstOffset, this.nextOffset - start.count);
    if (start.at === "offset") {
      this.#checkRange(start.offset);
      return start.offset;
    }
    const found = this.#records.find(
      (record) =>
        record !== undefined &&
        record.offset >= this.#firstOffset &&
        record.appendTimeUs >= start.timeUs,
    );
    return found?.offset ?? this.nextOffset;
  }

  readTail(offset: number, limits: ReadLimits): RecordRun | undefined {
    this.#checkThere();
    if (offset < Math.max(this.tailFrom, this.#firstOffset) || offset >= this.nextOffset)
      return undefined;
    const key = `${offset} ${this.nextOffset} ${JSON.stringify(limits)}`;
    if (this.#lastTail?.key !== key) {
      this.#lastTail = { key, run: runOf(this.#read(offset, limits)) };
    }
    this.tailCount += 1;
    return this.#lastTail.run;
  }

  async readRun(offset: number, limits: ReadLimits): Promise<RecordRun> {
    this.readCount += 1;
    return runOf(this.#read(offset, limits));
  }

  #read(offset: number, limits: ReadLimits): ReadRecords {
    this.#checkThere();
    this.#checkRange(offset);
    const end = Math.min(this.nextOffset, limits.endOffset ?? this.nextOffset);
    const records: StoredRecord[] = [];
    let bytes = 0;
    let next = offset;
    for (; next < end && records.length < limits.recordsMax; next += 1) {
      const record = this.#records[next];
      if (this.damaged.has(next)) {
        if (records.length > 0) break;
        throw new ProglogError("STORE_CORRUPT", `Record ${next} is damaged`, {
          metadata: { topic: this.info.name, offset: `${next}` },
        });
      }
      bytes += record?.body.length ?? 0;
      if (bytes > limits.bytesMax && records.length > 0) break;
      if (record !== undefined) records.push(record);
    }
    return { records, resumeOffset: next };
  }

  follow(offset: number, follower: Follower): () => void {
    this.waitCount += 1;
    const waiter = { offset, follower };
    this.#waiters.add(waiter);
    if (this.#isDeleted || this.nextOffset > offset) this.#wakeAll();
    return () => {
      this.#waiters.delete(waiter);
    };
  }

  change(settings: TopicSettings): void {
    const effective = effectiveSettings(settings, DEFAULT_TOPIC_SETTINGS);
    this.info = { ...this.info, settings, effectiveSettings: effective };
  }

  /** The topic was deleted. */
  end(): void {
    this.#isDeleted = true;
    this.#wakeAll();
  }

  #checkConditions(batch: ProduceBatch): void {
    const { expectedNextOffset, fencingToken, producer } = batch;
    const refusal = this.refuseNext;
    this.refuseNext = undefined;
    if (refusal !== undefined) throw refusal;
    if (fencingToken !== undefined) {
      if (fencingToken < this.#fencingToken) {
        throw new ProglogError("FENCED", "A higher fencing token was used", {
          metadata: {
            fencingToken: `${fencingToken}`,
            currentFencingToken: `${this.#fencingToken}`,
          },
        });
      }
      this.#fencingToken = fencingToken;
    }
    if (producer !== undefined && producer.epoch !== this.#epoch) {
      throw new ProglogError("PRODUCER_UNKNOWN", `Producer "${producer.id}" was never opened`, {
        metadata: { producerId: producer.id },
      });
    }
    if (expectedNextOffset !== undefined && expectedNextOffset !== this.nextOffset) {
      throw new ProglogError("OFFSET_MISMATCH", "The next offset is another", {
        metadata: {
          expectedNextOffset: `${expectedNextOffset}`,
          nextOffset: `${this.nextOffset}`,
        },
      });
    }
  }

  /** After the journal has a batch, an abort only stops waiting for it. */
  #wait(held: Promise<void>, caller: Abortable | undefined): Promise<void> {
    if (caller === undefined) return held;
    return new Promise((resolve, reject) => {
      held.then(resolve, reject);
      caller.whenAborted(() => reject(withOutcomeUnknown(caller.reason)));
    });
  }

  #wakeAll(): void {
    for (const waiter of this.#waiters) {
      if (!this.#isDeleted && waiter.offset >= this.nextOffset) continue;
      this.#waiters.delete(waiter);
      if (this.#isDeleted) waiter.follower.fail(notFound(this.info.name));
      else waiter.follower.wake();
    }
  }

  #checkThere(): void {
    if (this.#isDeleted) throw notFound(this.info.name);
  }

  #checkRange(offset: number): void {
    if (offset < this.#firstOffset || offset > this.nextOffset) throw this.#outOfRange(offset);
  }

  #outOfRange(offset: number): ProglogError {
    return new ProglogError("OFFSET_OUT_OF_RANGE", `Offset ${offset} is out of range`, {
      metadata: {
        offset: `${offset}`,
        firstOffset: `${this.#firstOffset}`,
        nextOffset: `${this.nextOffset}`,
      },
    });
  }
}

function withOutcomeUnknown(reason: ProglogError | undefined): ProglogError {
  assert.ok(reason !== undefined, "given up without a reason");
  const metadata = { ...reason.metadata, outcome: "unknown" };
  return new ProglogError(reason.reason, reason.message, { metadata });
}

function runOf({ records, resumeOffset }: ReadRecords): RecordRun {
  const ends: number[] = [];
  let size = 0;
  for (const { body } of records) {
    size += body.length;
    ends.push(size);
  }
  return {
    count: records.length,
    bytes: concat(records.map(({ body }) => body)),
    starts: Uint32Array.from(ends, (end, at) => end - (records[at]?.body.length ?? 0)),
    ends: Uint32Array.from(ends),
    offsets: Float64Array.from(records, ({ offset }) => offset),
    appendTimesUs: Float64Array.from(records, ({ appendTimeUs }) => appendTimeUs),
    resumeOffset,
  };
}
