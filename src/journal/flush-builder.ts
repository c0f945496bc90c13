import { assert } from "../base/assert.ts";
import type { Batch } from "./batch.ts";
import { encodeFlushHeader, flushBytes, HEADER_BYTES, saltMask } from "./flush.ts";
import { FrameBuffer } from "./frame-buffer.ts";
import { BODY_AT, BODY_BYTES, FrameType } from "./frames.ts";
import type { JournalFile } from "./journal-file.ts";
import type { ReplicaSet } from "./replica-set.ts";

const LISTED_BYTES = BODY_AT + BODY_BYTES[FrameType.replicaListed];
const MARK_BYTES = BODY_AT + BODY_BYTES[FrameType.snapshotMark];

/** Where the journal ends, so that the next flush can follow. */
export interface FlushChain {
  /** Of the last flush; 0 for none. */
  readonly number: number;
  readonly headerCrc: number;
  readonly syncedThrough: number;
}

/** A checkpoint that was made, but is not durable in the journal yet. */
export interface PendingMark {
  readonly index: number;
  readonly term: number;
}

/** What a flush is made of. */
export interface FlushInput {
  readonly batch: Batch;
  readonly replicas: ReplicaSet;
  /** By replica id. */
  readonly marks: ReadonlyMap<number, PendingMark>;
  readonly file: JournalFile;
  readonly chain: FlushChain;
}

/** A flush that is ready to be written. */
export interface Flush {
  readonly batch: Batch;
  /** List, marks and copies that come before the batch. */
  readonly prelude: FrameBuffer | undefined;
  readonly file: JournalFile;
  readonly position: number;
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly number: number;
  readonly headerCrc: number;
}

/** Bytes in the file of the flush that {@link buildFlush} would make, at most. */
export function flushBytesMax(
  { replicas, marks, file }: Omit<FlushInput, "batch" | "chain">,
  batch: Batch | undefined,
): number {
  const listBytes = file.isUnused ? replicas.count * LISTED_BYTES : 0;
  const marksBytes = marks.size * MARK_BYTES;
  return flushBytes(listBytes + marksBytes + (batch?.frameBytesMax ?? 0));
}

/** Puts a flush together; no payload is copied any more. */
export function buildFlush(input: FlushInput): Flush {
  const { batch, file, chain } = input;
  const prelude = preludeOf(input);
  const frameBytes = (prelude?.frameBytes ?? 0) + batch.frames.frameBytes;
  const bytes = flushBytes(frameBytes);
  const paddingBytes = bytes - HEADER_BYTES - frameBytes;
  const headsCrc = batch.frames.seal(file.salt, prelude?.seal(file.salt, 0) ?? 0);
  const first = prelude ?? batch.frames;
  const number = chain.number + 1;
  const headerCrc = encodeFlushHeader(first.header, {
    sequence: file.sequence,
    salt: file.salt,
    number,
    syncedThrough: chain.syncedThrough,
    frameBytes,
    frameCount: (prelude?.frameCount ?? 0) + batch.frames.frameCount,
    framesCrc: (headsCrc ^ saltMask(file.salt)) >>> 0,
    previousCrc: chain.headerCrc,
  });
  const parts: Uint8Array[] = [];
  prelude?.collect(parts, 0, 0);
  batch.frames.collect(parts, prelude === undefined ? 0 : HEADER_BYTES, paddingBytes);
  const position = file.endPosition;
  return { batch, prelude, file, position, parts, bytes, number, headerCrc };
}

/** Applies a flush that is durable (or, with sync "none", written) to what it is about. */
export function applyFlush({ batch, prelude, file, position }: Flush, replicas: ReplicaSet): void {
  let start = position + HEADER_BYTES;
  for (const frames of [prelude, batch.frames]) {
    if (frames === undefined) continue;
    frames.visit((view, at, place) => {
      const fault = replicas.apply(view, at, { file: file.sequence, position: start + place });
      assert(fault === undefined, `Journalled what cannot be: ${fault}`);
    });
    start += frames.frameBytes;
  }
}

/**
 * A file opens with all live replicas, so that older files hold nothing that is needed but entries.
 * Other flushes begin with the checkpoints made since the last one.
 */
function preludeOf({ batch, replicas, marks, file }: FlushInput): FrameBuffer | undefined {
  const copies = batch.liveCopies(replicas);
  if (!file.isUnused && marks.size === 0 && copies.length === 0) return undefined;
  const frames = new FrameBuffer();
  if (file.isUnused) {
    for (const { record } of replicas.all()) {
      const mark = marks.get(record.replicaId);
      const snapshot =
        mark === undefined ? {} : { snapshotIndex: mark.index, snapshotTerm: mark.term };
      frames.addReplica(FrameType.replicaListed, { ...record, ...snapshot });
    }
  } else {
    for (const [replicaId, mark] of marks) {
      if (replicas.get(replicaId) !== undefined) {
        frames.addSnapshot(FrameType.snapshotMark, replicaId, mark);
      }
    }
  }
  for (const entry of copies) {
    if (entry.index > (marks.get(entry.replicaId)?.index ?? 0)) {
      frames.addEntry(entry.replicaId, entry, FrameType.copiedEntry);
    }
  }
  return frames;
}
