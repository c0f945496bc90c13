import { ENTRY_KIND_MAX } from "../raft/entry-kinds.ts";
import { ENTRY_COMMAND } from "../raft/voter.ts";
import { entryMissing, entryUnknown } from "../raft/voter-errors.ts";
import { CHECKPOINT_NAME, joinPath, topicDir } from "../storage/layout.ts";
import { decodeEntry, type TopicCommand } from "../topics/commands.ts";
import { ForgottenState } from "../topics/forgotten.ts";
import { rebuildExtent } from "../topics/rebuild.ts";
import { TopicState } from "../topics/topic-state.ts";
import { beginningOf, damaged, type FoundTopic, nothingApplied } from "./found-topic.ts";
import type { GroupContext } from "./group.ts";
import type { LocalTopic } from "./local-topic.ts";
import { FIRST_TERM } from "./replica-files.ts";

type Context = Pick<GroupContext, "fs" | "journal" | "logger">;

/**
 * Finds what a topic's replica is when its checkpoint is lost. If the journal has every entry,
 * nothing is lost. Else the frames say what was applied, and what only the checkpoint knew is
 * forgotten.
 *
 * @throws STORE_CORRUPT when records may be missing, or when an entry of the journal was decided
 *   by what is forgotten; JOURNAL_CORRUPT
 */
export async function withoutCheckpoint(context: Context, entry: LocalTopic): Promise<FoundTopic> {
  const { fs, journal, logger } = context;
  const { replicaId, settings } = entry;
  const dir = topicDir(entry.id);
  const file = joinPath(dir, CHECKPOINT_NAME);
  const savedIndex = journal.firstIndex(replicaId) - 1;
  if (savedIndex === beginningOf(entry).appliedIndex) {
    const fields = { topic: entry.name, dir };
    logger.warn("A topic's checkpoint is lost; the journal has all of the topic", fields);
    return nothingApplied(entry);
  }
  if (!isAlone(entry)) {
    throw damaged(entry, `"${file}" is lost, and with it who belongs to the topic's group`);
  }
  const rebuilt = await rebuildExtent({ fs, dir, lastIndex: savedIndex });
  const { extent, startOffset, nextOffset, lastAppendTimeUs, damage } = rebuilt;
  const appliedIndex = rebuilt.appliedIndex ?? 0;
  if (appliedIndex < savedIndex || appliedIndex > journal.lastIndex(replicaId)) {
    throw damaged(
      entry,
      `"${file}" is lost, the records reach to entry ${rebuilt.appliedIndex ?? "none"}, ` +
        `and the journal begins after entry ${savedIndex}${damage === undefined ? "" : ` (${damage.message})`}`,
      damage,
    );
  }
  // A checkpoint that was newer than the journal's mark may have let files go.
  if (appliedIndex > savedIndex && !(await isTrimmed(context, replicaId, startOffset))) {
    throw damaged(entry, `"${file}" is lost, and so are records before offset ${startOffset}`);
  }
  await refuseForgotten(context, entry, appliedIndex);
  logger.error(
    "A topic's checkpoint is lost: its records are whole, but its producers, fencing token, changed settings and trims up to this entry are forgotten",
    { topic: entry.name, dir, startOffset, nextOffset, appliedIndex },
  );
  const state = new TopicState({ settings, startOffset, nextOffset, lastAppendTimeUs });
  const appliedTerm = journal.termAt(replicaId, appliedIndex) ?? FIRST_TERM;
  const { conf } = beginningOf(entry);
  return { state, extent, appliedIndex, appliedTerm, conf, isUnsaved: true };
}

/** True when the replica here has always been the only one. */
function isAlone({ initial, placementVersion }: LocalTopic): boolean {
  return initial.length === 1 && placementVersion === 1;
}

/** True when the journal has a trim of all records before `offset`. */
async function isTrimmed(context: Context, replicaId: number, offset: number): Promise<boolean> {
  const savedIndex = context.journal.firstIndex(replicaId) - 1;
  for await (const { commands } of entriesAfter(context, replicaId, savedIndex)) {
    const isTrim = (command: TopicCommand) =>
      command.kind === "trim" && command.beforeOffset >= offset;
    if (commands.some(isTrim)) return true;
  }
  return false;
}

/** Throws when an entry after `appliedIndex` would come out otherwise than its callers were told. */
async function refuseForgotten(
  context: Context,
  entry: LocalTopic,
  appliedIndex: number,
): Promise<void> {
  const { id, replicaId } = entry;
  const forgotten = new ForgottenState(appliedIndex);
  for await (const { index, commands } of entriesAfter(context, replicaId, appliedIndex)) {
    for (const command of commands) {
      const what = forgotten.decided(command);
      if (what === undefined) continue;
      throw damaged(
        entry,
        `"${joinPath(topicDir(id), CHECKPOINT_NAME)}" is lost, and with it the ${what} ` +
          `that decided whether entry ${index} of the journal was appended. ` +
          'Put that file back, or save the records with "proglog log import"',
      );
    }
  }
}

async function* entriesAfter(
  { journal }: Context,
  replicaId: number,
  appliedIndex: number,
): AsyncGenerator<{ readonly index: number; readonly commands: readonly TopicCommand[] }> {
  const lastIndex = journal.lastIndex(replicaId);
  let next = appliedIndex + 1;
  for await (const { index, kind, payload } of journal.entries(replicaId, next)) {
    if (index !== next) throw entryMissing(replicaId, next, index);
    if (kind > ENTRY_KIND_MAX) throw entryUnknown(replicaId, index, kind);
    if (kind === ENTRY_COMMAND) yield { index, commands: decodeEntry(payload).commands };
    next += 1;
  }
  if (next !== lastIndex + 1) throw entryMissing(replicaId, next, lastIndex);
}
