import { ByteWriter, varintSize, writeVarint } from "../base/bytes.ts";
import { type RecordFrame, TAG } from "./record-parts.ts";

/** ProduceRequest's fields: `records` = 2, and what {@link encodeRequest} adds. */
const RECORDS_TAG = 0x12;
const TOPIC_TAG = 0x0a;
const PRODUCER_TAG = 0x22;
const TOPIC_ID_TAG = 0x30;
const PRODUCER_ID_TAG = 0x0a;
const PRODUCER_EPOCH_TAG = 0x10;
const PRODUCER_SEQUENCE_TAG = 0x18;

/** Values up to this size are copied byte by byte: a call of `copy` costs more. */
const COPY_LOOP_BYTES_MAX = 24;

/** Records of one batch, in the encoding of ProduceRequest's `records`. */
export interface EncodedBatch {
  readonly bytes: Uint8Array;
  readonly recordCount: number;
}

/** Gathers records into batches. Bytes are copied once, from the input's chunk to the batch. */
export class BatchEncoder {
  readonly #recordsMax: number;
  readonly #bytesMax: number;
  #bytes: Uint8Array;
  #size = 0;
  #count = 0;

  /** A batch holds at most so much, except that a single larger record gets a batch of its own. */
  constructor(limits: { readonly recordsMax: number; readonly bytesMax: number }) {
    this.#recordsMax = limits.recordsMax;
    this.#bytesMax = limits.bytesMax;
    this.#bytes = new Uint8Array(limits.bytesMax);
  }

  get recordCount(): number {
    return this.#count;
  }

  /**
   * Adds a record with the value `source[start, end)`.
   * @returns false when the batch must be taken first; nothing was added then.
   */
  add(frame: RecordFrame, source: Uint8Array, start: number, end: number): boolean {
    const valueBytes = end - start;
    const { before, after } = frame;
    const recordBytes = encodedBytes(frame, valueBytes);
    const fieldBytes = 1 + varintSize(recordBytes) + recordBytes;
    if (!this.#makeRoom(fieldBytes)) return false;
    const bytes = this.#bytes;
    bytes[this.#size] = RECORDS_TAG;
    let at = writeVarint(bytes, this.#size + 1, recordBytes);
    if (before.length > 0) {
      bytes.set(before, at);
      at += before.length;
    }
    if (valueBytes > 0) {
      bytes[at] = TAG.value;
      at = writeVarint(bytes, at + 1, valueBytes);
      copy(source, start, end, bytes, at);
      at += valueBytes;
    }
    if (after.length > 0) bytes.set(after, at);
    this.#size = at + after.length;
    this.#count += 1;
    return true;
  }

  /**
   * Adds a record that is encoded already, as it is.
   * @returns false when the batch must be taken first; nothing was added then.
   */
  addEncoded(record: Uint8Array): boolean {
    if (!this.#makeRoom(1 + varintSize(record.length) + record.length)) return false;
    const bytes = this.#bytes;
    bytes[this.#size] = RECORDS_TAG;
    const at = writeVarint(bytes, this.#size + 1, record.length);
    bytes.set(record, at);
    this.#size = at + record.length;
    this.#count += 1;
    return true;
  }

  /** Gives what was gathered and begins anew. The bytes are the caller's from now on. */
  take(): EncodedBatch {
    const batch = { bytes: this.#bytes.subarray(0, this.#size), recordCount: this.#count };
    // A small batch is copied out, so that slow input does not allocate a whole buffer a line.
    if (this.#size * 4 < this.#bytesMax) batch.bytes = batch.bytes.slice();
    else this.#bytes = new Uint8Array(this.#bytesMax);
    this.#size = 0;
    this.#count = 0;
    return batch;
  }

  /** @returns false when the batch must be taken first */
  #makeRoom(fieldBytes: number): boolean {
    if (this.#count === this.#recordsMax) return false;
    if (this.#size + fieldBytes <= this.#bytes.length) return true;
    if (this.#count > 0) return false;
    this.#bytes = new Uint8Array(fieldBytes);
    return true;
  }
}

/** Bytes of a record with a value of `valueBytes`, as the server counts them before its envelope. */
export function encodedBytes({ before, after }: RecordFrame, valueBytes: number): number {
  const valueField = valueBytes === 0 ? 0 : 1 + varintSize(valueBytes) + valueBytes;
  return before.length + valueField + after.length;
}

/** Which batch of which producer it is. */
export interface ProducerStamp {
  readonly id: string;
  readonly epoch: number;
  readonly sequence: number;
}

/** The whole ProduceRequest with its length before it: the data of ProduceStreamRequest's field 1. */
export function encodeRequest(
  batch: EncodedBatch,
  target: { readonly topic: string; readonly topicId: number; readonly producer?: ProducerStamp },
): Uint8Array {
  const { topic, topicId, producer } = target;
  const head = new ByteWriter().u8(TOPIC_TAG).text(topic).u8(TOPIC_ID_TAG).varint(topicId);
  if (producer !== undefined) {
    const stamp = new ByteWriter()
      .u8(PRODUCER_ID_TAG)
      .text(producer.id)
      .u8(PRODUCER_EPOCH_TAG)
      .varint(producer.epoch)
      .u8(PRODUCER_SEQUENCE_TAG)
      .varint(producer.sequence);
    head.u8(PRODUCER_TAG).sized(stamp.finish());
  }
  const headBytes = head.finish();
  const bodyBytes = headBytes.length + batch.bytes.length;
  const result = new Uint8Array(varintSize(bodyBytes) + bodyBytes);
  const at = writeVarint(result, 0, bodyBytes);
  result.set(headBytes, at);
  result.set(batch.bytes, at + headBytes.length);
  return result;
}

function copy(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): void {
  if (end - start > COPY_LOOP_BYTES_MAX) {
    target.set(source.subarray(start, end), at);
    return;
  }
  for (let index = start; index < end; index += 1) target[at + index - start] = source[index] ?? 0;
}
