import {
  ByteWriter,
  MalformedBytesError,
  readVarint,
  type Varint,
  varintSize,
  writeVarint,
} from "../base/bytes.ts";
import type { RecordSpans } from "../storage/frame.ts";
import type { ProducerBatch } from "./topics.ts";

const HAS_EXPECTED_OFFSET = 1;
const HAS_PRODUCER = 2;
const HAS_FENCING_TOKEN = 4;
const CONDITIONS_KNOWN = HAS_EXPECTED_OFFSET | HAS_PRODUCER | HAS_FENCING_TOKEN;

const NO_CONDITIONS = Uint8Array.of(0);
const NO_PLACES = new Uint32Array(0);

const UTF8_ENCODER = new TextEncoder();
const UTF8_DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** Under which conditions a batch is appended; see `ProduceBatch`. */
export interface AppendConditions {
  readonly expectedNextOffset: number | undefined;
  readonly producer: ProducerBatch | undefined;
  readonly fencingToken: number | undefined;
}

/** A batch that is to be appended. */
export interface AppendBatch extends AppendConditions {
  /** 1 or more. */
  readonly records: readonly Uint8Array[];
}

/** A batch as it was found in an entry; its records are in the list of the entry's. */
export interface AppendCommand extends AppendConditions {
  readonly kind: "append";
  readonly clockUs: number;
  /** 1 or more. */
  readonly recordCount: number;
}

/**
 * Writes `head` and then the batches, as `commands.ts` describes them, into one new array.
 *
 * Hot, on the way of every record: one allocation and one copy of the records.
 */
export function encodeBatches(head: Uint8Array, batches: readonly AppendBatch[]): Uint8Array {
  const starts = batches.map(encodeConditions);
  let size = head.length;
  for (const start of starts) size += start.length;
  for (const { records } of batches) {
    size += varintSize(records.length);
    for (const record of records) size += varintSize(record.length) + record.length;
  }
  const result = new Uint8Array(size);
  result.set(head);
  let at = head.length;
  for (let batch = 0; batch < batches.length; batch += 1) {
    const start = starts[batch] ?? NO_CONDITIONS;
    const { records = [] } = batches[batch] ?? {};
    result.set(start, at);
    at = writeVarint(result, at + start.length, records.length);
    for (const record of records) at = writeVarint(result, at, record.length);
    for (const record of records) {
      result.set(record, at);
      at += record.length;
    }
  }
  return result;
}

function encodeConditions(batch: AppendConditions): Uint8Array {
  const { expectedNextOffset, producer, fencingToken } = batch;
  const conditions =
    (expectedNextOffset === undefined ? 0 : HAS_EXPECTED_OFFSET) |
    (producer === undefined ? 0 : HAS_PRODUCER) |
    (fencingToken === undefined ? 0 : HAS_FENCING_TOKEN);
  if (conditions === 0) return NO_CONDITIONS;
  const writer = new ByteWriter().u8(conditions);
  if (expectedNextOffset !== undefined) writer.varint(expectedNextOffset);
  if (producer !== undefined) {
    const id = UTF8_ENCODER.encode(producer.id);
    writer.u8(id.length).raw(id).varint(producer.epoch).varint(producer.sequence);
  }
  if (fencingToken !== undefined) writer.varint(fencingToken);
  return writer.finish();
}

/**
 * Reads what {@link encodeBatches} wrote behind the head: the records of all batches are found
 * as places in the payload, without anything made for each of them.
 *
 * @throws MalformedBytesError when it is not exactly that
 */
export class BatchReader {
  readonly #bytes: Uint8Array;
  readonly #varint: Varint;
  #starts = NO_PLACES;
  #ends = NO_PLACES;
  #count = 0;

  /** @param at of the first batch */
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#varint = { value: 0, next: at };
  }

  /** Makes room for `recordsMax` records of all batches. Without it there is one batch. */
  expect(recordsMax: number): void {
    // A record takes a byte at least: its length.
    if (recordsMax > this.#bytes.length) {
      throw new MalformedBytesError(`An append names ${recordsMax} records`);
    }
    this.#starts = new Uint32Array(recordsMax);
    this.#ends = new Uint32Array(recordsMax);
  }

  /** Place after what was read. */
  get at(): number {
    return this.#varint.next;
  }

  /** Records of all batches that were read. */
  get records(): RecordSpans {
    return { bytes: this.#bytes, starts: this.#starts, ends: this.#ends, count: this.#count };
  }

  read(clockUs: number): AppendCommand {
    const conditions = this.#byte();
    if ((conditions & ~CONDITIONS_KNOWN) !== 0) {
      throw new MalformedBytesError(`An append has the unknown conditions ${conditions}`);
    }
    const expectedNextOffset = conditions & HAS_EXPECTED_OFFSET ? this.#number() : undefined;
    const producer = conditions & HAS_PRODUCER ? this.#producer() : undefined;
    const fencingToken = conditions & HAS_FENCING_TOKEN ? this.#number() : undefined;
    const recordCount = this.#number();
    if (recordCount === 0) throw new MalformedBytesError("An append has no records");
    if (this.#starts === NO_PLACES) this.expect(recordCount);
    this.#records(recordCount);
    return { kind: "append", clockUs, expectedNextOffset, producer, fencingToken, recordCount };
  }

  /** The lengths, then the records. */
  #records(count: number): void {
    const first = this.#count;
    const end = first + count;
    if (end > this.#ends.length) {
      throw new MalformedBytesError(
        `An append has ${count} records, ${this.#ends.length} are left`,
      );
    }
    for (let record = first; record < end; record += 1) {
      this.#starts[record] = this.#number();
    }
    let at = this.#varint.next;
    for (let record = first; record < end; record += 1) {
      const length = this.#starts[record] ?? 0;
      this.#starts[record] = at;
      at += length;
      this.#ends[record] = at;
      // Also keeps a sum of lengths that is wrong from wrapping around.
      if (at > this.#bytes.length) break;
    }
    if (at > this.#bytes.length) {
      throw new MalformedBytesError(
        `An append has ${this.#bytes.length} bytes, its records need ${at}`,
      );
    }
    this.#varint.next = at;
    this.#count = end;
  }

  #producer(): ProducerBatch {
    const start = this.#varint.next + 1;
    const end = start + this.#byte();
    if (end > this.#bytes.length) throw new MalformedBytesError("An append ends within a name");
    const id = UTF8_DECODER.decode(this.#bytes.subarray(start, end));
    this.#varint.next = end;
    return { id, epoch: this.#number(), sequence: this.#number() };
  }

  #byte(): number {
    const byte = this.#bytes[this.#varint.next];
    if (byte === undefined) throw new MalformedBytesError("An append ends before its conditions");
    this.#varint.next += 1;
    return byte;
  }

  #number(): number {
    readVarint(this.#bytes, this.#varint.next, this.#varint);
    if (this.#varint.next < 0) throw new MalformedBytesError("An append ends within its numbers");
    return this.#varint.value;
  }
}
