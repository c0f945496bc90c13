import { readU64 } from "../base/bytes.ts";
import { EntryTable } from "./entry-table.ts";
import {
  BODY_AT,
  ENTRY_HEAD_BYTES,
  FrameType,
  frameBytesAt,
  KIND_AT,
  REPLICA_AT,
  readRecord,
  TYPE_AT,
} from "./frames.ts";
import type { ReplicaRecord } from "./journal-types.ts";
import { LiveCounts } from "./live-counts.ts";

/** Where a replica will be when all is durable that it handed in. */
export interface Queued {
  lastIndex: number;
  /** Of the last snapshot handed in; 0 for none. */
  snapshotIndex: number;
  term: number;
  vote: number;
}

/** A replica as the journal's durable frames say. */
export interface Replica {
  record: ReplicaRecord;
  readonly entries: EntryTable;
  /** Undefined: nothing was handed to the journal since it was opened. */
  queued: Queued | undefined;
  /** Its removal is on the way. */
  isLeaving: boolean;
}

/** Where a frame stands. */
export interface FramePlace {
  /** Sequence of the file. */
  readonly file: number;
  readonly position: number;
}

/**
 * What the frames add up to: the live replicas, their state and their entries.
 * Recovery and the running journal apply the same frames in the same order, so
 * they cannot come to different ends.
 */
export class ReplicaSet {
  readonly counts = new LiveCounts();
  readonly #replicas = new Map<number, Replica>();

  get count(): number {
    return this.#replicas.size;
  }

  get(replicaId: number): Replica | undefined {
    return this.#replicas.get(replicaId);
  }

  /** In no particular order. */
  values(): Iterable<Replica> {
    return this.#replicas.values();
  }

  /** In the order of their ids. */
  all(): readonly Replica[] {
    return [...this.#replicas.values()].sort(
      (left, right) => left.record.replicaId - right.record.replicaId,
    );
  }

  /**
   * Applies the frame at `at` of `view`.
   * @returns what is impossible about it, for a person; then the journal is damaged
   */
  apply(view: DataView, at: number, place: FramePlace): string | undefined {
    const type = view.getUint8(at + TYPE_AT) as FrameType;
    if (type === FrameType.closeMark) return undefined;
    const replicaId = readU64(view, at + REPLICA_AT);
    if (type === FrameType.replicaAdded || type === FrameType.replicaListed) {
      return this.#put(type, readRecord(view, at));
    }
    const replica = this.#replicas.get(replicaId);
    if (replica === undefined) return `replica ${replicaId} is not known there`;
    switch (type) {
      case FrameType.entry:
      case FrameType.copiedEntry:
        return putEntry(replica, view, at, place);
      case FrameType.hardState:
        replica.record = {
          ...replica.record,
          term: readU64(view, at + BODY_AT),
          vote: readU64(view, at + BODY_AT + 8),
          commit: readU64(view, at + BODY_AT + 16),
        };
        return undefined;
      case FrameType.snapshotInstalled:
        replica.entries.clear();
        putSnapshot(replica, view, at);
        return undefined;
      case FrameType.snapshotMark:
        putSnapshot(replica, view, at);
        return undefined;
      case FrameType.replicaRemoved:
        replica.entries.clear();
        this.#replicas.delete(replicaId);
        return undefined;
    }
  }

  /** Removes all but `replicaIds`: a file's list names every live replica. */
  keepOnly(replicaIds: ReadonlySet<number>): void {
    for (const [replicaId, replica] of this.#replicas) {
      if (replicaIds.has(replicaId)) continue;
      replica.entries.clear();
      this.#replicas.delete(replicaId);
    }
  }

  /** What is missing, for a person; undefined when every replica's entries follow its snapshot without gaps. */
  gap(): string | undefined {
    for (const { record, entries } of this.#replicas.values()) {
      const index = entries.holeAbove(record.snapshotIndex);
      if (index !== undefined) return `entry ${index} of replica ${record.replicaId} is missing`;
    }
    return undefined;
  }

  #put(type: FrameType, record: ReplicaRecord): string | undefined {
    const known = this.#replicas.get(record.replicaId);
    if (known === undefined) {
      const entries = new EntryTable(this.counts);
      const replica = { record, entries, queued: undefined, isLeaving: false };
      this.#replicas.set(record.replicaId, replica);
      return undefined;
    }
    if (type === FrameType.replicaAdded) return `replica ${record.replicaId} is added again`;
    known.record = record;
    known.entries.dropThrough(record.snapshotIndex);
    return undefined;
  }
}

/** Never goes back: a checkpoint and a leader's snapshot may be journalled in any order. */
function putSnapshot(replica: Replica, view: DataView, at: number): void {
  const snapshotIndex = readU64(view, at + BODY_AT);
  if (snapshotIndex < replica.record.snapshotIndex) return;
  const snapshotTerm = readU64(view, at + BODY_AT + 8);
  replica.record = { ...replica.record, snapshotIndex, snapshotTerm };
  replica.entries.dropThrough(snapshotIndex);
}

/** Used again and again: this runs for every entry. */
const place = { index: 0, term: 0, kind: 0, file: 0, position: 0, payloadBytes: 0 };

function putEntry(
  replica: Replica,
  view: DataView,
  at: number,
  { file, position }: FramePlace,
): string | undefined {
  const index = readU64(view, at + BODY_AT);
  // What the checkpoint holds is not needed, whatever came after it.
  if (index <= replica.record.snapshotIndex) return undefined;
  const isCopy = view.getUint8(at + TYPE_AT) === FrameType.copiedEntry;
  if (!isCopy) replica.entries.dropFrom(index);
  place.index = index;
  place.term = readU64(view, at + BODY_AT + 8);
  place.kind = view.getUint8(at + KIND_AT);
  place.file = file;
  place.position = position;
  place.payloadBytes = frameBytesAt(view, at) - ENTRY_HEAD_BYTES;
  return replica.entries.set(place)
    ? undefined
    : `entry ${index} is far from the others of its replica`;
}
