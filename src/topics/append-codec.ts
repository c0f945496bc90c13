import {
  ByteWriter,
  MalformedBytesError,
  readVarint,
  type Varint,
  varintSize,
  writeVarint,
} from "../base/bytes.ts";
import { moveToEnd, type RecordSpans, spansOf } from "../base/record-spans.ts";
import type { ProducerBatch } from "./topics.ts";

const HAS_EXPECTED_OFFSET = 1;
const HAS_PRODUCER = 2;
const HAS_FENCING_TOKEN = 4;
const CONDITIONS_KNOWN = HAS_EXPECTED_OFFSET | HAS_PRODUCER | HAS_FENCING_TOKEN;

const NO_CONDITIONS = Uint8Array.of(0);
const NO_PLACES = new Uint32Array(0);
const NO_BATCH = { records: spansOf([]) };

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
  readonly records: RecordSpans;
}

/** A batch as it was found in an entry; its records are in the list of the entry's. */
export interface AppendCommand extends AppendConditions {
  readonly kind: "append";
  readonly clockUs: number;
  /** 1 or more. */
  readonly recordCount: number;
}

/**
 * Writes the numbers of `head` and then the batches, as `commands.ts` describes them, into new memory.
 *
 * Hot, on the way of every record: nothing is made for one.
 */
export function encodeBatches(
  head: readonly number[],
  batches: readonly AppendBatch[],
): Uint8Array {
  const conditions = batches.map(encodeConditions);
  let size = 0;
  for (const number of head) size += varintSize(number);
  let gapBytesMax = 0;
  for (let batch = 0; batch < batches.length; batch += 1) {
    const { records } = batches[batch] ?? NO_BATCH;
    size += (conditions[batch] ?? NO_CONDITIONS).length + varintSize(records.count);
    const bytes = sizeOf(records);
    size += bytes.withLengths;
    gapBytesMax = Math.max(gapBytesMax, bytes.inGaps);
  }
  // Records are copied with what lies between them: there must be room for that, unless it is much.
  const room = gapBytesMax <= size ? gapBytesMax : 0;
  const result = new Uint8Array(size + room);
  let at = 0;
  for (const number of head) at = writeVarint(result, at, number);
  for (let batch = 0; batch < batches.length; batch += 1) {
    const start = conditions[batch] ?? NO_CONDITIONS;
    result.set(start, at);
    at = writeRecords(result, at + start.length, (batches[batch] ?? NO_BATCH).records);
  }
  return room === 0 ? result : result.subarray(0, size);
}

function sizeOf({ starts, ends, count }: RecordSpans) {
  let bodies = 0;
  let lengths = 0;
  for (let record = 0; record < count; record += 1) {
    const length = (ends[record] ?? 0) - (starts[record] ?? 0);
    bodies += length;
    lengths += length < 128 ? 1 : varintSize(length);
  }
  const inGaps = (ends[count - 1] ?? 0) - (starts[0] ?? 0) - bodies;
  return { withLengths: lengths + bodies, inGaps };
}

/** Their count, the lengths, then the records. @returns the place after them */
function writeRecords(target: Uint8Array, start: number, records: RecordSpans): number {
  const { bytes, starts, ends, count } = records;
  let at = writeVarint(target, start, count);
  for (let record = 0; record < count; record += 1) {
    at = writeVarint(target, at, (ends[record] ?? 0) - (starts[record] ?? 0));
  }
  if (count === 1) {
    target.set(bytes.subarray(starts[0], ends[0]), at);
    return at + (ends[0] ?? 0) - (starts[0] ?? 0);
  }
  const moved = moveToEnd(records, target.subarray(at)) + at;
  for (let record = 0; record < count; record += 1) {
    const from = starts[record] ?? 0;
    const end = ends[record] ?? 0;
    if (from + moved >= 0) target.copyWithin(at, from + moved, end + moved);
    else target.set(bytes.subarray(from, end), at);
    at += end - from;
  }
  return at;
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
    const expectedNextOffset = conditions & HAS_EXPECTED_OFFSET ? this.number() : undefined;
    const producer = conditions & HAS_PRODUCER ? this.#producer() : undefined;
    const fencingToken = conditions & HAS_FENCING_TOKEN ? this.number() : undefined;
    const recordCount = this.number();
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
      this.#starts[record] = this.number();
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
    return { id, epoch: this.number(), sequence: this.number() };
  }

  #byte(): number {
    const byte = this.#bytes[this.#varint.next];
    if (byte === undefined) throw new MalformedBytesError("An append ends before its conditions");
    this.#varint.next += 1;
    return byte;
  }

  /** @throws MalformedBytesError when there is none */
  number(): number {
    readVarint(this.#bytes, this.#varint.next, this.#varint);
    if (this.#varint.next < 0) throw new MalformedBytesError("An append ends within its numbers");
    return this.#varint.value;
  }
}
