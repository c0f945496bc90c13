import { MalformedBytesError } from "../base/bytes.ts";
import { ProglogError } from "../base/errors.ts";
import { type Checkpoint, readCheckpoint } from "../storage/checkpoint.ts";
import { checkFrame } from "../storage/frame.ts";
import { topicDir } from "../storage/layout.ts";
import { Log } from "../storage/log.ts";
import type { ProposedCommand } from "../topics/commands.ts";
import { TopicReplica } from "../topics/replica.ts";
import { effectiveSettings } from "../topics/settings.ts";
import { Tail, type TailMemory } from "../topics/tail.ts";
import { type TopicOutcome, TopicState } from "../topics/topic-state.ts";
import type { EffectiveSettings } from "../topics/topics.ts";
import type { DamageCounts } from "./damage-counts.ts";
import { beginningOf, damaged, type FoundTopic, nothingApplied } from "./found-topic.ts";
import { confIn, Group, type GroupContext, settlePending } from "./group.ts";
import type { LocalTopic } from "./local-topic.ts";
import { withoutCheckpoint } from "./lost-checkpoint.ts";
import { addReplica, FIRST_INDEX, loadCheckpoint, removeFolder } from "./replica-files.ts";
import { TopicMender } from "./topic-mender.ts";

export type TopicGroup = Group<TopicOutcome, ProposedCommand, TopicReplica>;

/** What the groups of topics need beside what all need. */
export interface TopicContext extends GroupContext {
  readonly defaults: EffectiveSettings;
  /** Applied bytes of one topic that may wait for their write while the journal is applied at start. */
  readonly pendingBytesMax: number;
  readonly writeDelayMs: number;
  /** Of the tails of all topics together, and what one of them takes at most. */
  readonly tailMemory: TailMemory;
  readonly topicTailBytesMax: number;
  /** A trim left files that may go after a checkpoint of this replica. */
  readonly onTrimmedFiles: (replicaId: number) => void;
  /** Whether a node has been heard of lately; undefined: not known. */
  readonly isUp: (nodeId: string) => boolean | undefined;
  /** Of all topics here. */
  readonly damage: DamageCounts;
}

/**
 * Makes the replica of a new topic.
 * @throws STORE_CORRUPT when there are records in its folder: ids are never used twice
 */
export async function createTopic(context: TopicContext, entry: LocalTopic): Promise<TopicGroup> {
  // An attempt before this one may have come so far.
  if (context.journal.replica(entry.replicaId) !== undefined)
    return await openTopic(context, entry);
  await refuseUsedFolder(context, entry);
  const state = TopicState.empty(entry.settings).encode();
  const place = { topicId: entry.id, replicaId: entry.replicaId };
  await addReplica(context, place, { begins: beginningOf(entry), state });
  return await openFound(context, entry, { ...nothingApplied(entry), isUnsaved: false });
}

/**
 * Opens a topic's replica at its checkpoint, or without one. What the journal has beyond
 * it is not applied yet.
 *
 * @throws STORE_CORRUPT when the folder or something in it is missing or damaged and cannot be
 *   made good from the journal; nothing is cut then
 */
export async function openTopic(context: TopicContext, entry: LocalTopic): Promise<TopicGroup> {
  const { fs, journal } = context;
  const dir = topicDir(entry.id);
  if (!(await fs.exists(dir))) throw damaged(entry, `its folder "${dir}" is missing`);
  await settlePending(context, { dir, replicaId: entry.replicaId });
  const checkpoint = await loadCheckpoint(context, {
    topicId: entry.id,
    replicaId: entry.replicaId,
  });
  if (checkpoint === undefined || checkpoint === "damaged") {
    return await openFound(context, entry, await withoutCheckpoint(context, entry));
  }
  if (checkpoint.topicId !== entry.id || checkpoint.replicaId !== entry.replicaId) {
    const { topicId, replicaId } = checkpoint;
    throw damaged(entry, `"${dir}" holds replica ${replicaId} of topic ${topicId}`);
  }
  if (journal.firstIndex(entry.replicaId) > checkpoint.appliedIndex + 1) {
    context.logger.warn("A topic's checkpoint is older than the journal allows", { dir });
    return await openFound(context, entry, await withoutCheckpoint(context, entry));
  }
  return await openFound(context, entry, atCheckpoint(entry, checkpoint));
}

async function openFound(
  context: TopicContext,
  entry: LocalTopic,
  found: FoundTopic,
): Promise<TopicGroup> {
  const { fs, logger, clock, defaults, pendingBytesMax, writeDelayMs, onFailure } = context;
  const { state, extent, appliedIndex, appliedTerm, conf, isUnsaved } = found;
  const dir = topicDir(entry.id);
  const { maxSegmentBytes, maxSegmentRecords } = effectiveSettings(state.settings, defaults);
  const limits = { segmentBytesMax: maxSegmentBytes, segmentRecordsMax: maxSegmentRecords };
  const log = await Log.openAt(
    {
      ...{ fs, dir, logger, clock, pendingBytesMax, writeDelayMs, onFailure },
      ...limits,
      check: checkFrame,
      syncOnRoll: false,
    },
    extent,
  );
  if (log.recovery.rebuiltIndexes > 0) logger.warn("A lost index was made anew", { dir });
  if (log.nextOffset !== state.nextOffset) {
    await log.close();
    throw damaged(entry, `its files end at offset ${log.nextOffset}, not ${state.nextOffset}`);
  }
  const { id: topicId, replicaId, name } = entry;
  const onTrimmedFiles = () => context.onTrimmedFiles(replicaId);
  const tail = new Tail(context.tailMemory, context.topicTailBytesMax);
  const { peers, raft, isUp, damage } = context;
  const mender = new TopicMender({
    ...{ topic: name, log, clock, logger, peers, isUp },
    counts: damage,
    nodeOf: (id) => raft.nodeOf(topicId, id),
  });
  const machine = new TopicReplica({ name, log, state, defaults, tail, mender, onTrimmedFiles });
  const group = new Group<TopicOutcome, ProposedCommand, TopicReplica>({
    context,
    topicId,
    replicaId,
    dir,
    machine,
    appliedIndex,
    appliedTerm,
    conf,
    isUnsaved,
  });
  mender.attach(group);
  return group;
}

function atCheckpoint(entry: LocalTopic, checkpoint: Checkpoint): FoundTopic {
  const { extent, appliedIndex, appliedTerm } = checkpoint;
  try {
    const state = TopicState.decode(checkpoint.state);
    const conf = confIn(checkpoint.confState);
    return { state, extent, appliedIndex, appliedTerm, conf, isUnsaved: false };
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause;
    // Its checksum is right, so this is what was written: by another program.
    throw new ProglogError(
      "DATA_DIR_INVALID",
      `Cannot open topic "${entry.name}": ${cause.message}, wanted a state that this program knows`,
      { metadata: { topic: entry.name }, cause },
    );
  }
}

/**
 * A crash may have left the beginnings of this very replica, or what a replica before it held that the journal has
 * removed already: that is deleted. Never more.
 */
async function refuseUsedFolder(context: TopicContext, entry: LocalTopic): Promise<void> {
  const { fs, journal } = context;
  const dir = topicDir(entry.id);
  if (!(await fs.exists(dir))) return;
  const checkpoint = await readCheckpoint(fs, dir);
  const owner = typeof checkpoint === "object" ? checkpoint.replicaId : undefined;
  if (owner !== undefined && owner !== entry.replicaId && journal.replica(owner) === undefined) {
    await removeFolder(fs, entry.id);
    return;
  }
  const names = await fs.list(dir);
  const isUsed =
    (typeof checkpoint === "object" && checkpoint.appliedIndex > FIRST_INDEX) ||
    names.some((name) => name.endsWith(".log"));
  if (isUsed) throw damaged(entry, `"${dir}" holds records, and the journal does not know it`);
}
