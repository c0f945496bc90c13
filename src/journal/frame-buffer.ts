import { viewOf, writeU64 } from "../base/bytes.ts";
import { crc32 } from "../platform/crc32.ts";
import { HEADER_BYTES, saltMask } from "./flush.ts";
import {
  BODY_AT,
  BODY_BYTES,
  FRAME_HEAD_BYTES,
  FrameType,
  REPLICA_AT,
  TYPE_AT,
  writeRecordBody,
} from "./frames.ts";
import type { HardState, NewEntry, ReplicaRecord } from "./journal-types.ts";

const START_BYTES = 64 * 1024;

/** Memory that is kept for the next flush; more is given back. */
const KEPT_BYTES_MAX = 1024 * 1024;

/**
 * Payload parts up to this size are copied next to their frame's head: one more
 * part of a gathered write costs about as much as copying 4 KiB.
 */
const COPIED_BYTES_MAX = 4096;

interface LargePart {
  /** Place in the buffer's own bytes that it comes before. */
  readonly before: number;
  readonly bytes: Uint8Array;
}

/**
 * Frames of a flush that is being gathered: encoded and checksummed when they
 * are added, which is while the flush before is on its way to the disk. The salt
 * is put in at the end ({@link seal}), since the file is not known until then.
 *
 * Own bytes begin with 64 free ones for the flush's header.
 */
export class FrameBuffer {
  #bytes = new Uint8Array(START_BYTES);
  #view = viewOf(this.#bytes);
  #used = HEADER_BYTES;
  #largeBytes = 0;
  #large: LargePart[] = [];
  /** Of each frame: its place in the own bytes, and among all frames of this buffer. */
  readonly #starts: number[] = [];
  readonly #positions: number[] = [];

  /** Bytes of all frames. */
  get frameBytes(): number {
    return this.#used - HEADER_BYTES + this.#largeBytes;
  }

  get frameCount(): number {
    return this.#starts.length;
  }

  addEntry(replicaId: number, entry: NewEntry, type: FrameType = FrameType.entry): void {
    let payloadBytes = 0;
    for (const part of entry.payload) payloadBytes += part.length;
    const start = this.#begin(type, replicaId, payloadBytes);
    const body = start + BODY_AT;
    writeU64(this.#view, body, entry.index);
    writeU64(this.#view, body + 8, entry.term);
    this.#view.setUint8(body + 16, entry.kind);
    let crc = 0;
    let crcFrom = start + 4;
    for (const part of entry.payload) {
      if (part.length <= COPIED_BYTES_MAX) {
        this.#reserve(part.length);
        this.#bytes.set(part, this.#used);
        this.#used += part.length;
        continue;
      }
      if (crcFrom < this.#used) crc = crc32(this.#bytes.subarray(crcFrom, this.#used), crc);
      crc = crc32(part, crc);
      crcFrom = this.#used;
      this.#large.push({ before: this.#used, bytes: part });
      this.#largeBytes += part.length;
    }
    if (crcFrom < this.#used) crc = crc32(this.#bytes.subarray(crcFrom, this.#used), crc);
    this.#view.setUint32(start, crc, true);
  }

  addHardState(replicaId: number, { term, vote, commit }: HardState): void {
    const body = this.#beginSmall(FrameType.hardState, replicaId);
    writeU64(this.#view, body, term);
    writeU64(this.#view, body + 8, vote);
    writeU64(this.#view, body + 16, commit);
    this.#endSmall(body);
  }

  addSnapshot(
    type: typeof FrameType.snapshotMark | typeof FrameType.snapshotInstalled,
    replicaId: number,
    { index, term }: { readonly index: number; readonly term: number },
  ): void {
    const body = this.#beginSmall(type, replicaId);
    writeU64(this.#view, body, index);
    writeU64(this.#view, body + 8, term);
    this.#endSmall(body);
  }

  addReplica(
    type: typeof FrameType.replicaAdded | typeof FrameType.replicaListed,
    record: ReplicaRecord,
  ): void {
    const body = this.#beginSmall(type, record.replicaId);
    writeRecordBody(this.#view, body, record);
    this.#endSmall(body);
  }

  /** A frame without a body. */
  addMark(
    type: typeof FrameType.replicaRemoved | typeof FrameType.closeMark,
    replicaId: number,
  ): void {
    this.#endSmall(this.#beginSmall(type, replicaId));
  }

  /**
   * Puts `salt` into the frames' checksums; nothing may be added afterwards.
   *
   * @param crc of the heads of the frames before these
   * @returns CRC of the heads (the first 8 bytes of each frame) up to here, without the salt
   */
  seal(salt: number, crc: number): number {
    const mask = saltMask(salt);
    const heads = new Uint8Array(this.#starts.length * FRAME_HEAD_BYTES);
    const view = viewOf(heads);
    let at = 0;
    for (const start of this.#starts) {
      const masked = (this.#view.getUint32(start, true) ^ mask) >>> 0;
      this.#view.setUint32(start, masked, true);
      view.setUint32(at, masked, true);
      view.setUint32(at + 4, this.#view.getUint32(start + 4, true), true);
      at += FRAME_HEAD_BYTES;
    }
    return at === 0 ? crc : crc32(heads, crc);
  }

  /** The 64 bytes for a flush's header. */
  get header(): Uint8Array {
    return this.#bytes.subarray(0, HEADER_BYTES);
  }

  /**
   * Adds what is to be written, in order, to `target`.
   * @param from 0 to begin with the header, 64 to leave it out
   * @param paddingBytes zeros to end with, less than a block
   */
  collect(target: Uint8Array[], from: 0 | typeof HEADER_BYTES, paddingBytes: number): void {
    this.#reserve(paddingBytes);
    const end = this.#used + paddingBytes;
    this.#bytes.fill(0, this.#used, end);
    let at: number = from;
    for (const { before, bytes } of this.#large) {
      if (at < before) target.push(this.#bytes.subarray(at, before));
      target.push(bytes);
      at = before;
    }
    if (at < end) target.push(this.#bytes.subarray(at, end));
  }

  /** Calls `visit` with each frame: the view and place of its head, and its place among the frames. */
  visit(visit: (view: DataView, at: number, position: number) => void): void {
    for (let frame = 0; frame < this.#starts.length; frame += 1) {
      visit(this.#view, this.#starts[frame] ?? 0, this.#positions[frame] ?? 0);
    }
  }

  /** Empties it for the next flush. */
  clear(): void {
    if (this.#bytes.length > KEPT_BYTES_MAX) {
      this.#bytes = new Uint8Array(START_BYTES);
      this.#view = viewOf(this.#bytes);
    }
    this.#used = HEADER_BYTES;
    this.#largeBytes = 0;
    this.#large = [];
    this.#starts.length = 0;
    this.#positions.length = 0;
  }

  /** @returns the place of the body */
  #beginSmall(type: FrameType, replicaId: number): number {
    return this.#begin(type, replicaId, 0) + BODY_AT;
  }

  #endSmall(body: number): void {
    const start = body - BODY_AT;
    const crc = crc32(this.#bytes.subarray(start + 4, this.#used));
    this.#view.setUint32(start, crc, true);
  }

  /**
   * Begins a frame, with room for a body of the type's own size, which the caller writes.
   * All of it is in use on return: what grows the buffer later takes it along.
   *
   * @param payloadBytes what comes behind
   * @returns the place of the frame
   */
  #begin(type: FrameType, replicaId: number, payloadBytes: number): number {
    const start = this.#used;
    const headBytes = BODY_AT + BODY_BYTES[type];
    this.#reserve(headBytes);
    this.#used = start + headBytes;
    this.#starts.push(start);
    this.#positions.push(start - HEADER_BYTES + this.#largeBytes);
    this.#view.setUint32(start + 4, headBytes - FRAME_HEAD_BYTES + payloadBytes, true);
    this.#view.setUint8(start + TYPE_AT, type);
    writeU64(this.#view, start + REPLICA_AT, replicaId);
    return start;
  }

  #reserve(count: number): void {
    const wanted = this.#used + count;
    if (wanted <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, wanted));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
    this.#view = viewOf(grown);
  }
}
