import { hasReason, ProglogError } from "../base/errors.ts";
import { type LocalTopic, localTopic } from "./local-topic.ts";
import { replayJournal } from "./replay.ts";
import type { NodeParts } from "./shut-down.ts";
import { openTopic, type TopicGroup } from "./topic-group.ts";
import { forEachOf, orDiskFull } from "./wait.ts";

/** Topics that are opened side by side at start. */
const OPENING_MAX = 16;

/**
 * Opens the replicas that are here and that the catalogue lists, and brings each to where the journal
 * ends. Others are made or removed later, when the catalogue is known to be up to date.
 */
export async function recoverTopics(
  parts: Pick<NodeParts, "context" | "catalogue" | "reconciler" | "checkpoints">,
): Promise<void> {
  const { context, catalogue, reconciler, checkpoints } = parts;
  const { journal, clock } = context;
  const groups: TopicGroup[] = [];
  const topics = catalogue.machine.state
    .entries()
    .map((entry) => localTopic(entry, context.nodeId));
  const isHere = (topic: LocalTopic | undefined): topic is LocalTopic =>
    topic !== undefined && journal.replica(topic.replicaId) !== undefined;
  await forEachOf(topics.filter(isHere), OPENING_MAX, async (entry) => {
    const group = await openTopic(context, entry).catch((error) => unlessDamaged(error, entry));
    if (group instanceof ProglogError) {
      context.logger.error("A topic is damaged and not served", { topic: entry.name }, group);
      reconciler.setAside(entry, group);
      return;
    }
    reconciler.adopt(entry, group);
    groups.push(group);
  });
  await replayJournal(context, groups);
  await forEachOf(groups, OPENING_MAX, async (group) => {
    const recovering = group.raft.recover();
    await orDiskFull(recovering, () => group.machine.isDiskFull, clock);
    if (group.raft.isRecovering) recovering.catch(context.onFailure);
    // Before anything is judged by it: should the lost checkpoint turn up again, it must be too old.
    if (group.isUnsaved && !(await group.checkpoint())) checkpoints.want(group.replicaId);
  });
}

/** The others are served nevertheless. */
function unlessDamaged(error: unknown, { name }: LocalTopic): ProglogError {
  if (!hasReason(error, "STORE_CORRUPT")) throw error;
  return new ProglogError("STORE_CORRUPT", `Cannot use topic "${name}": ${error.message}`, {
    metadata: { offset: "", ...error.metadata, topic: name },
    cause: error,
  });
}
