import { readU64, viewOf, writeU64 } from "../base/bytes.ts";
import { crc32 } from "../platform/crc32.ts";
import { type FlushHeader, saltMask } from "./flush.ts";
import type { ReplicaRecord } from "./journal-types.ts";

/**
 * Frames: what a flush says, one after the other, without gaps.
 *
 *     0     4        8      9           17
 *     +-----+--------+------+-----------+------
 *     | crc | length | type | replica id| body
 *     | u32 | u32    | u8   | u64       |
 *     +-----+--------+------+-----------+------
 *
 * `length` counts what follows it. `crc` is that of all that follows it, XOR the
 * low 32 bits of the file's salt.
 *
 *     body of entry, copied entry       index u64, term u64, kind u8, payload
 *             hard state                term u64, vote u64, commit u64
 *             snapshot mark             index u64, term u64
 *             snapshot installed        index u64, term u64
 *             replica added, listed     topic id, term, vote, commit, snapshot index and term, u64 each
 *             replica removed           nothing
 *             close mark                nothing; the replica id is 0
 */
export const FrameType = {
  /** Drops, for its replica, this index and everything above, then stands for it. */
  entry: 1,
  hardState: 2,
  /** Everything up to this index is in the replica's checkpoint: drops it. */
  snapshotMark: 3,
  replicaAdded: 4,
  replicaRemoved: 5,
  /** An entry that is live here, written again so that an older file can go; drops nothing. */
  copiedEntry: 6,
  /** These open each file: all live replicas with their state; who is not listed is no longer there. */
  replicaListed: 7,
  /** Clean stop. */
  closeMark: 8,
  /** A snapshot that a leader sent: as a snapshot mark, but drops all entries of the replica. */
  snapshotInstalled: 9,
} as const;

export type FrameType = (typeof FrameType)[keyof typeof FrameType];

const TYPE_MAX = FrameType.snapshotInstalled;

/** The crc and the length. */
export const FRAME_HEAD_BYTES = 8;
export const TYPE_AT = FRAME_HEAD_BYTES;
export const REPLICA_AT = TYPE_AT + 1;
export const BODY_AT = REPLICA_AT + 8;

/** Bytes before an entry's payload. */
export const ENTRY_HEAD_BYTES = BODY_AT + 17;
export const KIND_AT = BODY_AT + 16;

/** Bytes of the bodies that have one size. */
export const BODY_BYTES: Readonly<Record<FrameType, number>> = {
  [FrameType.entry]: 17,
  [FrameType.copiedEntry]: 17,
  [FrameType.hardState]: 24,
  [FrameType.snapshotMark]: 16,
  [FrameType.replicaAdded]: 48,
  [FrameType.replicaListed]: 48,
  [FrameType.replicaRemoved]: 0,
  [FrameType.closeMark]: 0,
  [FrameType.snapshotInstalled]: 16,
};

/** Bytes of a frame with the head, from its `length` field. */
export function frameBytesAt(view: DataView, at: number): number {
  return FRAME_HEAD_BYTES + view.getUint32(at + 4, true);
}

export function writeRecordBody(view: DataView, at: number, record: ReplicaRecord): void {
  writeU64(view, at, record.topicId);
  writeU64(view, at + 8, record.term);
  writeU64(view, at + 16, record.vote);
  writeU64(view, at + 24, record.commit);
  writeU64(view, at + 32, record.snapshotIndex);
  writeU64(view, at + 40, record.snapshotTerm);
}

/** @param at of the frame */
export function readRecord(view: DataView, at: number): ReplicaRecord {
  const body = at + BODY_AT;
  return {
    replicaId: readU64(view, at + REPLICA_AT),
    topicId: readU64(view, body),
    term: readU64(view, body + 8),
    vote: readU64(view, body + 16),
    commit: readU64(view, body + 24),
    snapshotIndex: readU64(view, body + 32),
    snapshotTerm: readU64(view, body + 40),
  };
}

/**
 * Says whether `bytes` (all frames of a flush) are what its header says.
 *
 * @returns "valid"; or "unsupported" when they are, but a frame's type is unknown here; else
 *   what is wrong, for a person
 */
export function checkFrames(bytes: Uint8Array, header: FlushHeader): string {
  if (bytes.length !== header.frameBytes) return "the flush is cut off";
  const view = viewOf(bytes);
  const mask = saltMask(header.salt);
  // A frame has at least the 17 bytes of its head, type and replica id.
  if (header.frameCount > bytes.length / BODY_AT) return "the frame count is impossible";
  const heads = new Uint8Array(header.frameCount * FRAME_HEAD_BYTES);
  let isSupported = true;
  let at = 0;
  for (let frame = 0; frame < header.frameCount; frame += 1) {
    if (at + BODY_AT > bytes.length) return "the frames end too early";
    const end = at + frameBytesAt(view, at);
    if (end < at + BODY_AT || end > bytes.length) return "a frame's length is impossible";
    const crc = (crc32(bytes.subarray(at + 4, end)) ^ mask) >>> 0;
    if (crc !== view.getUint32(at, true)) return "a frame's checksum does not match";
    heads.set(bytes.subarray(at, at + FRAME_HEAD_BYTES), frame * FRAME_HEAD_BYTES);
    isSupported &&= isKnown(view, at, end);
    at = end;
  }
  if (at !== bytes.length) return "bytes follow the last frame";
  if ((crc32(heads) ^ mask) >>> 0 !== header.framesCrc)
    return "the frames' checksum does not match";
  return isSupported ? "valid" : "unsupported";
}

function isKnown(view: DataView, at: number, end: number): boolean {
  const type = view.getUint8(at + TYPE_AT);
  if (type < 1 || type > TYPE_MAX) return false;
  const bodyBytes = end - at - BODY_AT;
  const wanted = BODY_BYTES[type as FrameType];
  if (type === FrameType.entry || type === FrameType.copiedEntry) return bodyBytes >= wanted;
  return bodyBytes === wanted;
}
