import { platformCode } from "../base/errors.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { encodeConfState } from "../raft/conf-state.ts";
import type { ConfState } from "../raft/core.ts";
import { confOf } from "../raft/membership.ts";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "../storage/checkpoint.ts";
import { deletedTopicDir, TOPICS_DIR, topicDir } from "../storage/layout.ts";
import { diskFailed, namingPlatformErrors } from "../storage/storage-errors.ts";
import type { GroupContext } from "./group.ts";

/** Every group begins at a virtual entry, so that every replica begins at a checkpoint. */
export const FIRST_INDEX = 1;
export const FIRST_TERM = 1;

/** Where a replica begins. */
export interface ReplicaBeginning {
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  readonly conf: ConfState;
}

/** One that its group was made with: at the virtual entry, with the others that were. */
export function fromTheStart(
  voters: readonly number[],
  learners: readonly number[],
): ReplicaBeginning {
  return { appliedIndex: FIRST_INDEX, appliedTerm: FIRST_TERM, conf: confOf(voters, learners) };
}

/** One that comes later: it knows nothing, not even of itself, until a leader's snapshot tells it. */
export const KNOWS_NOTHING: ReplicaBeginning = {
  appliedIndex: 0,
  appliedTerm: 0,
  conf: confOf([]),
};

/**
 * Makes a replica durable: its folder with a first checkpoint, then its place in the
 * journal. In this order, so that one that the journal knows always had a checkpoint.
 *
 * @param state of the machine before its first entry
 * @throws DISK_FULL: it may be tried again; DISK_FAILED
 */
export async function addReplica(
  context: Pick<GroupContext, "fs" | "journal">,
  place: { readonly topicId: number; readonly replicaId: number },
  { begins, state }: { readonly begins: ReplicaBeginning; readonly state: Uint8Array },
): Promise<void> {
  const { fs, journal } = context;
  const { topicId, replicaId } = place;
  const { appliedIndex, appliedTerm, conf } = begins;
  const dir = topicDir(topicId);
  await namingPlatformErrors(`make the folder "${dir}"`, () => fs.makeDir(dir));
  await writeCheckpoint(fs, dir, {
    ...place,
    ...{ appliedIndex, appliedTerm },
    confState: encodeConfState(conf),
    startOffset: 0,
    nextOffset: 0,
    extent: { segments: [] },
    state,
  });
  await syncFolder(fs, TOPICS_DIR);
  await journal.addReplica({
    ...{ replicaId, topicId },
    term: appliedTerm,
    vote: 0,
    commit: appliedIndex,
    snapshotIndex: appliedIndex,
    snapshotTerm: appliedTerm,
  });
}

/**
 * Reads a replica's checkpoint, and sees to it that it is durable when the journal does
 * not count on it yet: a process that was killed may have got no further than renaming it,
 * and the journal must not let entries go for what a power cut could still take back.
 */
export async function loadCheckpoint(
  { fs, journal }: Pick<GroupContext, "fs" | "journal">,
  place: { readonly topicId: number; readonly replicaId: number },
): Promise<Checkpoint | undefined | "damaged"> {
  const dir = topicDir(place.topicId);
  const checkpoint = await readCheckpoint(fs, dir);
  if (typeof checkpoint !== "object") return checkpoint;
  if (checkpoint.appliedIndex >= journal.firstIndex(place.replicaId)) {
    await syncFolder(fs, dir);
  }
  return checkpoint;
}

/**
 * Removes a replica that is closed, or finishes doing so: its place in the journal, then its folder.
 * The folder is renamed first, so that a half deleted one is never taken for a whole one.
 */
export async function removeReplica(
  context: Pick<GroupContext, "fs" | "journal">,
  place: { readonly topicId: number; readonly replicaId: number },
): Promise<void> {
  const { fs, journal } = context;
  const { topicId, replicaId } = place;
  if (journal.replica(replicaId) !== undefined) await journal.removeReplica(replicaId);
  await removeFolder(fs, topicId);
}

/** Removes a topic's folder, of which the journal knows nothing. */
export async function removeFolder(fs: FileSystem, topicId: number): Promise<void> {
  const dir = topicDir(topicId);
  await namingPlatformErrors(`delete the folder "${dir}"`, async () => {
    if (await fs.exists(dir)) {
      await fs.removeDir(deletedTopicDir(topicId));
      await fs.rename(dir, deletedTopicDir(topicId));
    }
  });
  // Also when it had been renamed before: that may not have been durable.
  await syncFolder(fs, TOPICS_DIR);
  await deleteFolder(fs, deletedTopicDir(topicId));
}

/** Deletes a folder that was renamed. */
export async function deleteFolder(fs: FileSystem, dir: string): Promise<void> {
  await namingPlatformErrors(`delete the folder "${dir}"`, () => fs.removeDir(dir));
  await syncFolder(fs, TOPICS_DIR);
}

/**
 * Makes what changed in a folder durable.
 * @throws DISK_FAILED for every error, also one about space: what a failed sync has lost a second one does not bring back
 */
export async function syncFolder(fs: FileSystem, dir: string): Promise<void> {
  try {
    await fs.syncDir(dir);
  } catch (cause) {
    throw platformCode(cause) === undefined ? cause : diskFailed(`sync the folder "${dir}"`, cause);
  }
}
