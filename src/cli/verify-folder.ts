import { hasReason, type ProglogError } from "../base/errors.ts";
import { SILENT_LOGGER } from "../base/log.ts";
import { toOffset } from "../base/units.ts";
import type { JournalRecovery } from "../journal/journal-types.ts";
import { Recovery } from "../journal/recovery.ts";
import { readCheckpoint } from "../storage/checkpoint.ts";
import { extentFrom } from "../storage/extent.ts";
import { checkFrame } from "../storage/frame.ts";
import { CHECKPOINT_NAME, JOURNAL_DIR, topicDir } from "../storage/layout.ts";
import { readNodeFile } from "../storage/node-file.ts";
import type { DataFolder } from "./data-folder.ts";
import { topicIds } from "./data-folder.ts";
import { type Finding, type VerifyCounts, verifyLog } from "./verify-log.ts";

/** A finding, and in whose log. */
export interface FolderFinding extends Finding {
  /** Undefined for the journal, the node's file, and raw logs. */
  readonly topicId?: number;
}

/** What a journal holds, as far as a reader can tell. */
export interface JournalSummary extends JournalRecovery {
  /** Topics that the journal says are here. */
  readonly topicIds: readonly number[];
}

/** Reads everything in the folder. Changes nothing. */
export async function* verifyFolder(
  folder: DataFolder,
  counts: VerifyCounts,
): AsyncGenerator<FolderFinding> {
  if (folder.kind === "raw") {
    yield* verifyLog({ fs: folder.fs, dir: "", counts });
    return;
  }
  yield* verifyNodeFile(folder);
  const journal = yield* verifyJournal(folder);
  const present = await topicIds(folder);
  for (const topicId of present) yield* verifyTopic(folder, topicId, counts);
  yield* compareTopics(present, journal);
}

/** Reads the journal; undefined when there is none. @throws JOURNAL_CORRUPT, DATA_DIR_INVALID */
export async function readJournal(folder: DataFolder): Promise<JournalSummary | undefined> {
  if (!(await folder.fs.exists(JOURNAL_DIR))) return undefined;
  const recovery = new Recovery(folder.fs, SILENT_LOGGER);
  const { info, replicas } = await recovery.run();
  await recovery.closeAll();
  return { ...info, topicIds: replicas.all().map(({ record }) => record.topicId) };
}

async function* verifyNodeFile({ fs }: DataFolder): AsyncGenerator<FolderFinding> {
  try {
    if ((await readNodeFile(fs)) !== undefined) return;
    yield { severity: "damage", file: "node.json", what: "the file is missing" };
  } catch (error) {
    if (!hasReason(error, "DATA_DIR_INVALID")) throw error;
    yield { severity: "damage", file: "node.json", what: error.message };
  }
}

async function* verifyJournal(
  folder: DataFolder,
): AsyncGenerator<FolderFinding, JournalSummary | undefined> {
  let journal: JournalSummary | undefined;
  try {
    journal = await readJournal(folder);
  } catch (error) {
    if (!hasReason(error, "JOURNAL_CORRUPT") && !hasReason(error, "DATA_DIR_INVALID")) throw error;
    yield journalDamage(error);
    return undefined;
  }
  if (journal === undefined) {
    yield { severity: "damage", file: JOURNAL_DIR, what: "the folder is missing" };
  } else if (journal.isTorn) {
    yield {
      severity: "note",
      file: `${JOURNAL_DIR}/${journal.endFile}`,
      position: journal.endPosition,
      what: `a flush that nobody was told about, as a crash leaves it (${journal.endReason})`,
    };
  }
  return journal;
}

function journalDamage(error: ProglogError): FolderFinding {
  const position = Number(error.metadata["position"]);
  return {
    severity: "damage",
    file: error.metadata["file"] ?? JOURNAL_DIR,
    what: error.message,
    ...(Number.isSafeInteger(position) ? { position } : {}),
  };
}

async function* verifyTopic(
  { fs }: DataFolder,
  topicId: number,
  counts: VerifyCounts,
): AsyncGenerator<FolderFinding> {
  const dir = topicDir(topicId);
  const checkpoint = await readCheckpoint(fs, dir);
  const isKnown = checkpoint !== undefined && checkpoint !== "damaged";
  if (!isKnown) {
    const what = `the checkpoint is ${checkpoint ?? "missing"}; the next start reads the log instead`;
    yield { severity: "damage", file: `${dir}/${CHECKPOINT_NAME}`, what, topicId };
  }
  const start = isKnown ? toOffset(checkpoint.startOffset) : toOffset(0);
  const extent = isKnown ? { extent: extentFrom(checkpoint.extent, start) } : {};
  for await (const finding of verifyLog({ fs, dir, check: checkFrame, counts, ...extent })) {
    yield { ...finding, topicId };
  }
}

function* compareTopics(
  present: readonly number[],
  journal: JournalSummary | undefined,
): Generator<FolderFinding> {
  if (journal === undefined) return;
  for (const topicId of journal.topicIds.filter((id) => !present.includes(id))) {
    const what = "the folder is missing, and the journal says that it is here";
    yield { severity: "damage", file: topicDir(topicId), what, topicId };
  }
  for (const topicId of present.filter((id) => !journal.topicIds.includes(id))) {
    const what = "a folder that the journal does not know; nothing uses it";
    yield { severity: "note", file: topicDir(topicId), what, topicId };
  }
}
