import { hasReason, type ProglogError } from "../base/errors.ts";
import { SILENT_LOGGER } from "../base/log.ts";
import { toOffset } from "../base/units.ts";
import { FIRST_INDEX } from "../cluster/replica-files.ts";
import type { JournalRecovery, ReplicaRecord } from "../journal/journal-types.ts";
import { Recovery } from "../journal/recovery.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { readCheckpoint } from "../storage/checkpoint.ts";
import { extentFrom } from "../storage/extent.ts";
import { checkFrame } from "../storage/frame.ts";
import { CHECKPOINT_NAME, JOURNAL_DIR, topicDir } from "../storage/layout.ts";
import { Log } from "../storage/log.ts";
import { readNodeFile } from "../storage/node-file.ts";
import { CATALOGUE_TOPIC_ID } from "../topics/catalogue-state.ts";
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
  readonly replicas: readonly ReplicaRecord[];
}

/** Reads everything in the folder. Changes nothing. */
export async function* verifyFolder(
  folder: DataFolder,
  counts: VerifyCounts,
): AsyncGenerator<FolderFinding> {
  if (folder.kind === "raw") {
    yield* verifyRawLog(folder.fs, counts);
    return;
  }
  yield* verifyNodeFile(folder);
  const present = await topicIds(folder);
  const journal = yield* verifyJournal(folder, present);
  for (const topicId of present) yield* verifyTopic(folder, { topicId, journal, counts });
  yield* compareTopics(present, journal);
}

/** Reads the journal; undefined when there is none. @throws JOURNAL_CORRUPT, DATA_DIR_INVALID */
export async function readJournal(folder: DataFolder): Promise<JournalSummary | undefined> {
  if (!(await folder.fs.exists(JOURNAL_DIR))) return undefined;
  const recovery = new Recovery(folder.fs, SILENT_LOGGER, "read");
  const { info, replicas } = await recovery.run();
  await recovery.closeAll();
  const records = replicas.all().map(({ record }) => record);
  return { ...info, topicIds: records.map(({ topicId }) => topicId), replicas: records };
}

async function* verifyRawLog(fs: FileSystem, counts: VerifyCounts): AsyncGenerator<FolderFinding> {
  const log = await Log.openReadOnly({ fs, dir: "" });
  const { unvouchedFrom } = log.recovery;
  await log.close();
  yield* verifyLog({ fs, dir: "", counts, unvouchedFrom });
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
  present: readonly number[],
): AsyncGenerator<FolderFinding, JournalSummary | undefined> {
  let journal: JournalSummary | undefined;
  try {
    journal = await readJournal(folder);
  } catch (error) {
    if (!hasReason(error, "JOURNAL_CORRUPT") && !hasReason(error, "DATA_DIR_INVALID")) throw error;
    yield journalDamage(error);
    return undefined;
  }
  // As the start judges it: a node that has never held anything may be without.
  const isKnown = journal?.topicIds.includes(CATALOGUE_TOPIC_ID) === true;
  if (!isKnown && ((journal?.topicIds.length ?? 0) > 0 || (await isUsed(folder, present)))) {
    const state =
      journal === undefined ? "the folder is missing" : "it does not know the catalogue";
    const what = `${state}, but there are topics: the server does not start without the journal that belongs to them`;
    yield { severity: "damage", file: JOURNAL_DIR, what };
  }
  if (journal?.isTorn === true) {
    yield {
      severity: "note",
      file: `${JOURNAL_DIR}/${journal.endFile}`,
      position: journal.endPosition,
      what: `a flush that nobody was told about, as a crash leaves it (${journal.endReason})`,
    };
  }
  return journal;
}

/** True when there is more than what the very first start leaves when it is cut short. */
async function isUsed({ fs }: DataFolder, present: readonly number[]): Promise<boolean> {
  if (present.some((topicId) => topicId !== CATALOGUE_TOPIC_ID)) return true;
  const catalogue = await readCheckpoint(fs, topicDir(CATALOGUE_TOPIC_ID));
  return typeof catalogue === "object" && catalogue.appliedIndex > FIRST_INDEX;
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
  options: {
    readonly topicId: number;
    readonly journal: JournalSummary | undefined;
    readonly counts: VerifyCounts;
  },
): AsyncGenerator<FolderFinding> {
  const { topicId, journal, counts } = options;
  const dir = topicDir(topicId);
  const checkpoint = await readCheckpoint(fs, dir);
  const isKnown = checkpoint !== undefined && checkpoint !== "damaged";
  if (!isKnown) {
    const replica = journal?.replicas.find((record) => record.topicId === topicId);
    // A topic whose creation was cut short; that nothing uses the folder is said elsewhere.
    const isUnused = journal !== undefined && journal.topicIds.length > 0 && replica === undefined;
    const what = `the checkpoint is ${checkpoint ?? "missing"}; ${withoutCheckpoint(topicId, replica)}`;
    const file = `${dir}/${CHECKPOINT_NAME}`;
    if (!isUnused) yield { severity: "damage", file, what, topicId };
  }
  const start = isKnown ? toOffset(checkpoint.startOffset) : toOffset(0);
  const extent = isKnown ? { extent: extentFrom(checkpoint.extent, start) } : {};
  for await (const finding of verifyLog({ fs, dir, check: checkFrame, counts, ...extent })) {
    yield { ...finding, topicId };
  }
}

/** What the next start does about it. */
function withoutCheckpoint(topicId: number, replica: ReplicaRecord | undefined): string {
  if (replica?.snapshotIndex === FIRST_INDEX) {
    return "the next start makes it anew: the journal has everything";
  }
  if (topicId === CATALOGUE_TOPIC_ID) {
    return "the server does not start without it: restore it from a backup, or import the topics' folders into a new server";
  }
  return "the next start reads the records instead, or sets the topic aside when batches in the journal depend on what is lost: producers, fencing token, settings and trims since then";
}

function* compareTopics(
  present: readonly number[],
  journal: JournalSummary | undefined,
): Generator<FolderFinding> {
  // Without the catalogue it is another folder's, or new: that was said.
  if (journal?.topicIds.includes(CATALOGUE_TOPIC_ID) !== true) return;
  for (const topicId of journal.topicIds.filter((id) => !present.includes(id))) {
    const what = "the folder is missing, and the journal says that it is here";
    yield { severity: "damage", file: topicDir(topicId), what, topicId };
  }
  for (const topicId of present.filter((id) => !journal.topicIds.includes(id))) {
    const what = "a folder that the journal does not know; nothing uses it";
    yield { severity: "note", file: topicDir(topicId), what, topicId };
  }
}
