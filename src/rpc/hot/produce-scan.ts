import { EMPTY_BYTES } from "../../base/bytes.ts";
import { type RecordSpans, spansOf } from "../../base/record-spans.ts";
import { unknownFieldError } from "../library-errors.ts";
import type { RpcLimits } from "../limits.ts";
import { findRecordFault } from "../record-wire.ts";
import { malformed } from "./decode-request.ts";
import { WireReader } from "./wire-reader.ts";

/** Groups that a field which is not known may have inside each other: what protobuf-es allows. */
const GROUP_DEPTH_MAX = 100;

/** A tag of `ProduceRequest.records` and of `ProduceStreamRequest.batches`, with their wire type. */
const RECORDS_TAG = (2 << 3) | 2;

/** Longest topic name that is remembered: longer ones are refused anyway. */
const REMEMBERED_BYTES_MAX = 128;

/** Room for places at first: it grows up to the most records that a batch may have. */
const PLACES_MIN = 256;

const NO_RECORDS = spansOf([]);

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** An integer of 64 bits: a number when that is safe. */
export type WireInteger = number | bigint;

/** What a ProduceRequest says, as it was found; nothing is judged yet but its encoding. */
export interface ScannedBatch {
  topic: string;
  topicId: WireInteger;
  expectedNextOffset: WireInteger | undefined;
  producer: ScannedProducer | undefined;
  fencingToken: WireInteger | undefined;
  /** The first field that this server does not know. */
  unknownField: number | undefined;
  /** All of them, also those that were not kept. */
  recordCount: number;
  byteCount: number;
  /** The records in the request, as far as a batch may have so many and so large ones. */
  records: RecordSpans;
  /** What is wrong with the first record that is not valid, of those that were kept. */
  fault: { readonly recordNumber: number; readonly text: string } | undefined;
}

export interface ScannedProducer {
  id: string;
  epoch: WireInteger;
  sequence: WireInteger;
  unknownField: number | undefined;
}

/**
 * Finds in undecoded requests where their records are. What is over a limit is counted
 * on, but neither kept nor looked into, so that a message of millions of empty records
 * costs a walk over its bytes and nothing else.
 *
 * Valid is what protobuf-es decodes, by the descriptors in `wire-twin.ts`: like it,
 * this goes by the numbers of fields, whatever wire type they claim to have.
 */
export class ProduceScanner {
  readonly #limits: RpcLimits;
  readonly #reader = new WireReader();
  /** Places of the records of the present batch that are kept; the batch gets copies. */
  #starts = new Uint32Array(PLACES_MIN);
  #ends = new Uint32Array(PLACES_MIN);
  #keptCount = 0;
  #lastText = "";
  #lastTextBytes: Uint8Array = EMPTY_BYTES;

  constructor(limits: RpcLimits) {
    this.#limits = limits;
  }

  /** Scans a whole ProduceRequest. @throws MESSAGE_INVALID */
  scanRequest(message: Uint8Array): ScannedBatch {
    this.#reader.open(message);
    return this.#scanWhole(message.length, 1);
  }

  /**
   * Begins with a ProduceStreamRequest, and checks all of it: nothing of a broken message counts.
   * @throws MESSAGE_INVALID, FIELD_UNKNOWN
   */
  openStreamRequest(message: Uint8Array): void {
    const reader = this.#reader;
    reader.open(message);
    let unknownField: number | undefined;
    while (reader.at < message.length) {
      reader.readTag();
      if (reader.number === 1) this.#scanBatch(this.#enterMessage(), 2, undefined);
      else {
        unknownField ??= reader.number;
        reader.skip(GROUP_DEPTH_MAX - 1);
      }
    }
    if (unknownField !== undefined) throw unknownFieldError(`${unknownField}`);
    reader.at = 0;
  }

  /** The next batch of the message that was opened; undefined when there is none. */
  nextBatch(): ScannedBatch | undefined {
    const reader = this.#reader;
    if (reader.at >= reader.bytes.length) return undefined;
    reader.readTag();
    return this.#scanWhole(this.#enterMessage(), 2);
  }

  /** Like protobuf-es, which finds out at the end of all bytes when a message is too long. */
  #enterMessage(): number {
    const length = this.#reader.readUint32();
    return this.#reader.at + length;
  }

  #scanWhole(end: number, depth: number): ScannedBatch {
    const batch = emptyBatch();
    this.#keptCount = 0;
    this.#scanBatch(end, depth, batch);
    const count = this.#keptCount;
    batch.records = {
      bytes: this.#reader.bytes,
      starts: this.#starts.slice(0, count),
      ends: this.#ends.slice(0, count),
      count,
    };
    return batch;
  }

  /** @param into undefined: the bytes are checked only */
  #scanBatch(end: number, depth: number, into: ScannedBatch | undefined): void {
    const reader = this.#reader;
    const { bytes } = reader;
    let { at } = reader;
    while (at < end) {
      const size = bytes[at + 1] ?? 128;
      if (bytes[at] === RECORDS_TAG && size < 128 && at + 2 + size <= bytes.length) {
        at += 2 + size;
        if (into !== undefined) this.#addRecord(into, at - size, at);
        continue;
      }
      reader.at = at;
      reader.readTag();
      this.#scanField(depth, into);
      at = reader.at;
    }
    reader.at = at;
  }

  #scanField(depth: number, into: ScannedBatch | undefined): void {
    const reader = this.#reader;
    switch (reader.number) {
      case 1: {
        const topic = this.#readText();
        if (into !== undefined) into.topic = topic;
        return;
      }
      case 2: {
        const end = reader.enterSized();
        if (into !== undefined) this.#addRecord(into, reader.at, end);
        reader.at = end;
        return;
      }
      case 3:
      case 5:
      case 6:
        this.#scanInteger(into);
        return;
      case 4: {
        const producer = into?.producer ?? emptyProducer();
        this.#scanProducer(this.#enterMessage(), depth + 1, producer);
        if (into !== undefined) into.producer = producer;
        return;
      }
      default:
        if (into !== undefined) into.unknownField ??= reader.number;
        reader.skip(GROUP_DEPTH_MAX - depth);
    }
  }

  #scanInteger(into: ScannedBatch | undefined): void {
    const { number } = this.#reader;
    const value = this.#reader.readUint64();
    if (into === undefined) return;
    if (number === 3) into.expectedNextOffset = value;
    else if (number === 5) into.fencingToken = value;
    else into.topicId = value;
  }

  /** One that comes twice is merged: what it says later counts. */
  #scanProducer(end: number, depth: number, into: ScannedProducer): void {
    const reader = this.#reader;
    while (reader.at < end) {
      reader.readTag();
      const { number } = reader;
      if (number === 1) into.id = this.#readText();
      else if (number === 2) into.epoch = reader.readUint64();
      else if (number === 3) into.sequence = reader.readUint64();
      else {
        into.unknownField ??= number;
        reader.skip(GROUP_DEPTH_MAX - depth);
      }
    }
  }

  #addRecord(into: ScannedBatch, start: number, end: number): void {
    const { batchRecordsMax, batchBytesMax } = this.#limits;
    into.recordCount += 1;
    into.byteCount += end - start;
    if (into.recordCount > batchRecordsMax || into.byteCount > batchBytesMax) return;
    const { bytes } = this.#reader;
    if (into.fault === undefined) {
      const text = findRecordFault(bytes, start, end);
      if (text !== undefined) into.fault = { recordNumber: into.recordCount - 1, text };
    }
    const place = this.#keptCount;
    if (place === this.#starts.length) this.#growPlaces();
    this.#starts[place] = start;
    this.#ends[place] = end;
    this.#keptCount = place + 1;
  }

  #growPlaces(): void {
    const [starts, ends] = [this.#starts, this.#ends];
    this.#starts = new Uint32Array(2 * starts.length);
    this.#starts.set(starts);
    this.#ends = new Uint32Array(2 * ends.length);
    this.#ends.set(ends);
  }

  /** Most of the time it is the text of the last time: then nothing is made. */
  #readText(): string {
    const reader = this.#reader;
    const end = reader.enterSized();
    const { at: start, bytes } = reader;
    reader.at = end;
    if (this.#isLastText(start, end)) return this.#lastText;
    try {
      const text = decoder.decode(bytes.subarray(start, end));
      if (end - start <= REMEMBERED_BYTES_MAX) {
        this.#lastText = text;
        this.#lastTextBytes = Uint8Array.prototype.slice.call(bytes, start, end);
      }
      return text;
    } catch (thrown) {
      throw malformed(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  #isLastText(start: number, end: number): boolean {
    const last = this.#lastTextBytes;
    if (end - start !== last.length) return false;
    const { bytes } = this.#reader;
    for (let at = 0; at < last.length; at += 1) if (bytes[start + at] !== last[at]) return false;
    return true;
  }
}

function emptyBatch(): ScannedBatch {
  return {
    topic: "",
    topicId: 0,
    expectedNextOffset: undefined,
    producer: undefined,
    fencingToken: undefined,
    unknownField: undefined,
    recordCount: 0,
    byteCount: 0,
    records: NO_RECORDS,
    fault: undefined,
  };
}

function emptyProducer(): ScannedProducer {
  return { id: "", epoch: 0, sequence: 0, unknownField: undefined };
}
