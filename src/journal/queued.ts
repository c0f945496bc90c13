import { assert } from "../base/assert.ts";
import type { Waiting } from "./batch.ts";
import type { NewEntry, RaftWrite } from "./journal-types.ts";
import type { Queued, Replica, ReplicaSet } from "./replica-set.ts";

/** Notes that `item` was taken, so that the next one can be judged. */
export function noteQueued(replicas: ReplicaSet, { write }: Waiting): void {
  if (write === undefined) return;
  const queued = begin(replicas.get(write.replicaId));
  if (queued === undefined) return;
  const { snapshot, hardState } = write;
  if (snapshot !== undefined) {
    queued.snapshotIndex = snapshot.index;
    queued.lastIndex = snapshot.index;
  }
  queued.lastIndex = write.entries.at(-1)?.index ?? queued.lastIndex;
  if (hardState === undefined) return;
  queued.term = hardState.term;
  queued.vote = hardState.vote;
}

function begin(replica: Replica | undefined): Queued | undefined {
  if (replica !== undefined) replica.queued ??= queuedOf(replica);
  return replica?.queued;
}

/**
 * Last index that the next entry may follow.
 * @param markIndex of the replica's checkpoint that is not durable in the journal yet; 0 for none
 */
function lastQueued(replica: Replica, markIndex: number): number {
  return Math.max(queuedOf(replica).lastIndex, replica.record.snapshotIndex, markIndex);
}

/**
 * Says what of `write` is to be journalled, and whether it must be synced in any case.
 * Breaks when it is not what a replica may write next.
 */
export function checkWrite(
  replica: Replica,
  write: RaftWrite,
  markIndex: number,
): { readonly write: RaftWrite; readonly isSynced: boolean } {
  const { record, isLeaving } = replica;
  const queued = queuedOf(replica);
  const { snapshot, hardState } = write;
  const id = `replica ${record.replicaId}`;
  assert(!isLeaving, `A write of ${id}, which is being removed`);
  let kept = Math.max(queued.snapshotIndex, record.snapshotIndex, markIndex);
  let last = lastQueued(replica, markIndex);
  if (snapshot !== undefined) {
    assert(snapshot.index >= kept, `A snapshot of ${id} is below its checkpoint ${kept}`);
    kept = snapshot.index;
    last = snapshot.index;
  }
  const entries = entriesAbove(write.entries, kept);
  // The first one may replace an entry.
  last = Math.min(last, (entries[0]?.index ?? last + 1) - 1);
  for (const { index } of entries) {
    assert(index === last + 1, `Entry ${index} of ${id} leaves a gap after ${last}`);
    last = index;
  }
  const isOther = hardState?.term !== queued.term || hardState.vote !== queued.vote;
  if (hardState !== undefined) {
    assert(hardState.term >= queued.term, `Term of ${id} goes back to ${hardState.term}`);
    assert(hardState.commit <= last, `Commit ${hardState.commit} of ${id} is above ${last}`);
  }
  const isSynced = snapshot !== undefined || (hardState !== undefined && isOther);
  return { write: { ...write, entries }, isSynced: isSynced || write.mustSync === true };
}

function entriesAbove(entries: readonly NewEntry[], index: number): readonly NewEntry[] {
  const [first] = entries;
  if (first === undefined || first.index > index) return entries;
  return entries.filter((entry) => entry.index > index);
}

function queuedOf({ queued, record, entries }: Replica): Queued {
  if (queued !== undefined) return queued;
  const lastIndex = entries.isEmpty ? record.snapshotIndex : entries.lastIndex;
  return { lastIndex, snapshotIndex: 0, term: record.term, vote: record.vote };
}
