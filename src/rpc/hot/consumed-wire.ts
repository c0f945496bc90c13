import { varintSize, viewOf } from "../../base/bytes.ts";
import type { RecordRun } from "../../topics/topics.ts";
import type { Measure, MeasuredRun } from "../read-topic.ts";
import { sizeOfLength, writeSmall, writeVarintField } from "./wire-writer.ts";

/**
 * Runs of stored records as `repeated ConsumedRecord records = 1`, the first field of
 * ConsumeResponse and of ConsumeStreamResponse:
 *
 *     0A size [08 offset] [10 append time] 1A length body        0 is the default and not written
 */
const RECORDS_TAG = (1 << 3) | 2;
const OFFSET = 1;
const APPEND_TIME = 2;
const BODY_TAG = (3 << 3) | 2;

/** A tag, and a varint of 8 bytes: the longest there is. */
const TIME_BYTES = 9;

/** As many records as take `bytesMax` bytes in an answer, or one that takes more. */
export function measureConsumed(run: RecordRun, bytesMax: number): Measure {
  const { starts, ends, offsets, appendTimesUs } = run;
  let offsetSize = 1;
  let offsetLimit = 128;
  let timeUs = 0;
  let timeBytes = 0;
  let byteLength = 0;
  let shiftMax = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (; count < run.count; count += 1) {
    const offset = offsets[count] ?? 0;
    for (; offset >= offsetLimit; offsetLimit *= 128) offsetSize += 1;
    const time = appendTimesUs[count] ?? 0;
    if (time !== timeUs) {
      timeUs = time;
      timeBytes = time === 0 ? 0 : 1 + varintSize(time);
    }
    const start = starts[count] ?? 0;
    const length = (ends[count] ?? 0) - start;
    const size =
      (offset === 0 ? 0 : 1 + offsetSize) + timeBytes + 1 + sizeOfLength(length) + length;
    const end = byteLength + 1 + sizeOfLength(size) + size;
    if (end > bytesMax && count > 0) break;
    if (end - length - start > shiftMax) shiftMax = end - length - start;
    byteLength = end;
  }
  return { count, byteLength, shiftMax };
}

/** Bytes of the buffer in which {@link writeConsumed} makes an answer: its length or a bit more. */
export function bufferBytesFor({ run, measure }: MeasuredRun): number {
  const { count, byteLength, shiftMax } = measure;
  return count === 0 ? 0 : Math.max(byteLength, shiftMax + (run.ends[count - 1] ?? 0));
}

/** What was measured, in a buffer of its own. */
export function encodeConsumed(measured: MeasuredRun): Uint8Array {
  const target = new Uint8Array(bufferBytesFor(measured));
  return target.subarray(0, writeConsumed(target, 0, measured));
}

/**
 * Writes what was measured at `start` of `target`, which must have room for
 * {@link bufferBytesFor} there.
 *
 * The stored bytes are copied in one piece to the end of that room, and each body is
 * then moved to its place: inside a buffer that costs a third of a copy between two,
 * since no view is made for it. The room is so large that what is written never
 * reaches what is still to be moved.
 *
 * @returns the place after it
 */
export function writeConsumed(target: Uint8Array, start: number, measured: MeasuredRun): number {
  const { run, measure } = measured;
  if (measure.count === 0) return start;
  const from = run.starts[0] ?? 0;
  const to = run.ends[measure.count - 1] ?? 0;
  const shift = start + bufferBytesFor(measured) - to;
  target.set(run.bytes.subarray(from, to), from + shift);
  return moveBodies(target, start, { ...measured, shift });
}

/**
 * The same inside `run.bytes`, whose records are lost: nothing is copied that does not move.
 * Only for runs of one's own, when `start + measure.shiftMax` is at most 0.
 */
export function writeInPlace({ run, measure }: MeasuredRun, start: number): number {
  return moveBodies(run.bytes, start, { run, measure, shift: 0 });
}

/** Bodies are in `target`, `shift` bytes further than `run` says, and none before its place. */
function moveBodies(
  target: Uint8Array,
  start: number,
  { run, measure, shift }: MeasuredRun & { readonly shift: number },
): number {
  const { starts, ends, offsets, appendTimesUs } = run;
  const { count } = measure;
  const time = new TimeField(target);
  let offsetSize = 1;
  let offsetLimit = 128;
  let at = start;
  for (let index = 0; index < count; index += 1) {
    const offset = offsets[index] ?? 0;
    for (; offset >= offsetLimit; offsetLimit *= 128) offsetSize += 1;
    const timeUs = appendTimesUs[index] ?? 0;
    if (timeUs !== time.valueUs) time.set(timeUs);
    const bodyStart = starts[index] ?? 0;
    const length = (ends[index] ?? 0) - bodyStart;
    const offsetBytes = offset === 0 ? 0 : 1 + offsetSize;
    target[at] = RECORDS_TAG;
    at = writeSmall(target, at + 1, offsetBytes + time.size + 1 + sizeOfLength(length) + length);
    at = writeVarintField(target, at, OFFSET, offset);
    at = time.write(at);
    target[at] = BODY_TAG;
    at = writeSmall(target, at + 1, length);
    target.copyWithin(at, bodyStart + shift, bodyStart + shift + length);
    at += length;
  }
  return at;
}

/** The append time as a field: records of one batch have the same, so it is made once for them. */
class TimeField {
  valueUs = 0;
  size = 0;
  readonly #target: Uint8Array;
  readonly #targetView: DataView;
  readonly #bytes = new Uint8Array(TIME_BYTES);
  readonly #view = viewOf(this.#bytes);
  #first = 0;
  #second = 0;

  constructor(target: Uint8Array) {
    this.#target = target;
    this.#targetView = viewOf(target);
  }

  set(valueUs: number): void {
    this.valueUs = valueUs;
    this.size = writeVarintField(this.#bytes, 0, APPEND_TIME, valueUs);
    this.#first = this.#view.getUint32(0);
    this.#second = this.#view.getUint32(4);
  }

  /** @returns the place after it */
  write(at: number): number {
    const { size } = this;
    if (size !== TIME_BYTES) {
      for (let place = 0; place < size; place += 1) {
        this.#target[at + place] = this.#bytes[place] ?? 0;
      }
      return at + size;
    }
    // As all times since 1987: two words and a byte.
    this.#targetView.setUint32(at, this.#first);
    this.#targetView.setUint32(at + 4, this.#second);
    this.#target[at + 8] = this.#bytes[8] ?? 0;
    return at + size;
  }
}

/** The ConsumedRecord messages in what {@link encodeConsumed} made, each without tag and size. */
export function splitConsumed(bytes: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    let size = 0;
    let scale = 1;
    let byte: number;
    do {
      at += 1;
      byte = bytes[at] ?? 0;
      size += (byte & 127) * scale;
      scale *= 128;
    } while (byte >= 128);
    messages.push(bytes.subarray(at + 1, at + 1 + size));
    at += 1 + size;
  }
  return messages;
}
