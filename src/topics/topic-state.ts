import { ByteReader, ByteWriter, MalformedBytesError } from "../base/bytes.ts";
import type { ErrorMetadata } from "../base/errors.ts";
import type { Reason } from "../base/reasons.ts";
import type { AppendCommand } from "./append-codec.ts";
import type { TopicCommand } from "./commands.ts";
import { ProducerTable, type ProducerVerdict } from "./producers.ts";
import { changeSettings, readSettings, writeSettings } from "./settings.ts";
import type { ProducerBatch, TopicSettings } from "./topics.ts";

/** What a command did. It is the answer to the proposer, and says the host what to carry out. */
export type TopicOutcome =
  | AppendedOutcome
  | { readonly kind: "opened"; readonly epoch: number }
  | { readonly kind: "trimmed"; readonly firstOffset: number }
  | { readonly kind: "settings"; readonly settings: TopicSettings }
  | Refusal;

/** When it is no duplicate, the host writes the command's records at `firstOffset`. */
export interface AppendedOutcome {
  readonly kind: "appended";
  readonly firstOffset: number;
  readonly recordCount: number;
  readonly appendTimeUs: number;
  readonly duplicate: boolean;
}

/** The command changed nothing. */
export interface Refusal {
  readonly kind: "refused";
  readonly reason: Reason;
  readonly metadata: ErrorMetadata;
}

const SNAPSHOT_VERSION = 1;
const HAS_APPEND_TIME = 1;
const HAS_FENCING_TOKEN = 2;

/** What is known of a topic whose state was lost but whose records are there. */
export interface KnownExtent {
  readonly settings: TopicSettings;
  readonly startOffset: number;
  readonly nextOffset: number;
  readonly lastAppendTimeUs: number | undefined;
}

/**
 * The state machine of one topic. Deterministic: the outcome and the state after
 * it are a function of the state before, the command and its Raft index; the
 * leader's clock travels in the command. So every replica, and every restart,
 * comes to the same. It does no I/O; records are the host's to write.
 */
export class TopicState {
  #settings: TopicSettings;
  #startOffset: number;
  #nextOffset: number;
  #lastAppendTimeUs: number | undefined;
  #fencingToken: number | undefined;
  #producers = new ProducerTable();

  constructor(known: KnownExtent) {
    this.#settings = known.settings;
    this.#startOffset = known.startOffset;
    this.#nextOffset = known.nextOffset;
    this.#lastAppendTimeUs = known.lastAppendTimeUs;
  }

  /** A topic that nothing was ever appended to. */
  static empty(settings: TopicSettings): TopicState {
    return new TopicState({
      settings,
      startOffset: 0,
      nextOffset: 0,
      lastAppendTimeUs: undefined,
    });
  }

  get settings(): TopicSettings {
    return this.#settings;
  }

  /** First offset that is kept. */
  get startOffset(): number {
    return this.#startOffset;
  }

  /** Offset that the next record gets. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  get lastAppendTimeUs(): number | undefined {
    return this.#lastAppendTimeUs;
  }

  get producerCount(): number {
    return this.#producers.count;
  }

  /** Carries out a command of the entry at `raftIndex`. Commands come in order, each once. */
  apply(command: TopicCommand, raftIndex: number): TopicOutcome {
    switch (command.kind) {
      case "append":
        return this.#append(command);
      case "open":
        // The entry's index is above that of every epoch before, also of forgotten producers.
        this.#producers.open(command.producerId, raftIndex);
        return { kind: "opened", epoch: raftIndex };
      case "trim":
        return this.#trim(command.beforeOffset);
      case "settings":
        this.#settings = changeSettings(this.#settings, command.changes, command.cleared);
        return { kind: "settings", settings: this.#settings };
    }
  }

  /**
   * Retries are answered first, so that one gets its answer whatever has changed
   * since; then fencing token, producer and expected offset must hold, in this order.
   */
  #append(command: AppendCommand): TopicOutcome {
    const { producer } = command;
    if (producer === undefined) return this.#refusal(command) ?? this.#accept(command);
    const verdict = this.#producers.judge(producer);
    if (verdict.kind === "retry") return { kind: "appended", ...verdict.answer, duplicate: true };
    if (verdict.kind === "forgotten") {
      return refuse("SEQUENCE_TOO_OLD", {
        producerId: producer.id,
        sequence: `${producer.sequence}`,
      });
    }
    return this.#refusal(command, refusalOf(producer, verdict)) ?? this.#accept(command);
  }

  /** Why the batch is not appended, if so; `producerRefusal` is what the table of producers says. */
  #refusal(command: AppendCommand, producerRefusal?: Refusal): Refusal | undefined {
    const { fencingToken, expectedNextOffset } = command;
    if (fencingToken !== undefined && fencingToken < (this.#fencingToken ?? 0)) {
      return refuse("FENCED", {
        fencingToken: `${fencingToken}`,
        currentFencingToken: `${this.#fencingToken}`,
      });
    }
    if (producerRefusal !== undefined) return producerRefusal;
    if (expectedNextOffset !== undefined && expectedNextOffset !== this.#nextOffset) {
      return refuse("OFFSET_MISMATCH", {
        expectedNextOffset: `${expectedNextOffset}`,
        nextOffset: `${this.#nextOffset}`,
      });
    }
    return undefined;
  }

  #accept(command: AppendCommand): AppendedOutcome {
    const { producer, recordCount } = command;
    const firstOffset = this.#nextOffset;
    const appendTimeUs = Math.max(command.clockUs, this.#lastAppendTimeUs ?? 0);
    this.#nextOffset += recordCount;
    this.#lastAppendTimeUs = appendTimeUs;
    if (command.fencingToken !== undefined) this.#fencingToken = command.fencingToken;
    if (producer !== undefined) {
      this.#producers.appended(producer.id, { firstOffset, recordCount, appendTimeUs });
    }
    return { kind: "appended", firstOffset, recordCount, appendTimeUs, duplicate: false };
  }

  #trim(beforeOffset: number): TopicOutcome {
    if (beforeOffset > this.#nextOffset) {
      return refuse("OFFSET_OUT_OF_RANGE", {
        offset: `${beforeOffset}`,
        firstOffset: `${this.#startOffset}`,
        nextOffset: `${this.#nextOffset}`,
      });
    }
    this.trimTo(beforeOffset);
    return { kind: "trimmed", firstOffset: this.#startOffset };
  }

  /** Moves the start, never back, to `offset`, which is at most the next one. */
  trimTo(offset: number): void {
    this.#startOffset = Math.max(this.#startOffset, offset);
  }

  /** Becomes what `other` is, which is not used afterwards: a leader's snapshot takes the place of what was applied here. */
  become(other: TopicState): void {
    this.#settings = other.#settings;
    this.#startOffset = other.#startOffset;
    this.#nextOffset = other.#nextOffset;
    this.#lastAppendTimeUs = other.#lastAppendTimeUs;
    this.#fencingToken = other.#fencingToken;
    this.#producers = other.#producers;
  }

  /**
   * The state as a checkpoint holds it:
   *
   *     [version u8 = 1][present u8: 1 append time, 2 fencing token]
   *     [start offset varint][next offset varint]
   *     [last append time varint]? [fencing token varint]?
   *     [settings: see writeSettings][producers: see ProducerTable.encode]
   *
   * The same state gives the same bytes on every replica.
   */
  encode(): Uint8Array {
    const present =
      (this.#lastAppendTimeUs === undefined ? 0 : HAS_APPEND_TIME) |
      (this.#fencingToken === undefined ? 0 : HAS_FENCING_TOKEN);
    const writer = new ByteWriter().u8(SNAPSHOT_VERSION).u8(present);
    writer.varint(this.#startOffset).varint(this.#nextOffset);
    if (this.#lastAppendTimeUs !== undefined) writer.varint(this.#lastAppendTimeUs);
    if (this.#fencingToken !== undefined) writer.varint(this.#fencingToken);
    writeSettings(writer, this.#settings);
    this.#producers.encode(writer);
    return writer.finish();
  }

  /** Reads what {@link encode} wrote. @throws MalformedBytesError also for an unknown version */
  static decode(bytes: Uint8Array): TopicState {
    const reader = new ByteReader(bytes);
    const version = reader.u8();
    if (version !== SNAPSHOT_VERSION) {
      throw new MalformedBytesError(`A topic's state has the unknown version ${version}`);
    }
    const present = reader.u8();
    const startOffset = reader.varint();
    const nextOffset = reader.varint();
    const lastAppendTimeUs = present & HAS_APPEND_TIME ? reader.varint() : undefined;
    const fencingToken = present & HAS_FENCING_TOKEN ? reader.varint() : undefined;
    const settings = readSettings(reader);
    const state = new TopicState({ settings, startOffset, nextOffset, lastAppendTimeUs });
    state.#fencingToken = fencingToken;
    state.#producers = ProducerTable.decode(reader);
    if (reader.remaining > 0) {
      throw new MalformedBytesError(`A topic's state has ${reader.remaining} bytes too many`);
    }
    return state;
  }
}

/** A refused batch changes nothing, its fencing token included. */
function refusalOf(producer: ProducerBatch, verdict: ProducerVerdict): Refusal | undefined {
  const metadata = { producerId: producer.id };
  switch (verdict.kind) {
    case "unknown":
      return refuse("PRODUCER_UNKNOWN", metadata);
    case "fenced":
      return refuse("PRODUCER_FENCED", {
        ...metadata,
        epoch: `${producer.epoch}`,
        currentEpoch: `${verdict.currentEpoch}`,
      });
    case "gap":
      return refuse("SEQUENCE_GAP", {
        ...metadata,
        sequence: `${producer.sequence}`,
        expectedSequence: `${verdict.expectedSequence}`,
      });
    default:
      return undefined;
  }
}

function refuse(reason: Reason, metadata: ErrorMetadata): Refusal {
  return { kind: "refused", reason, metadata };
}
