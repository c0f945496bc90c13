import { hasReason } from "../base/errors.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { type Checkpoint, readCheckpoint } from "../storage/checkpoint.ts";
import { checkFrame } from "../storage/frame.ts";
import { topicDir } from "../storage/layout.ts";
import { Log } from "../storage/log.ts";
import type { LogRecovery, SegmentInfo } from "../storage/log-types.ts";
import { type NodeIdentity, readNodeFile } from "../storage/node-file.ts";
import { CATALOGUE_TOPIC_ID, CatalogueState } from "../topics/catalogue-state.ts";
import { CLUSTER_TOPIC_NAME } from "../topics/names.ts";
import { type DataFolder, topicIds } from "./data-folder.ts";
import { type JournalSummary, readJournal } from "./verify-folder.ts";

/** What a log looks like from outside. */
export interface LogSurvey {
  readonly firstOffset: number;
  readonly nextOffset: number;
  readonly diskBytes: number;
  readonly segments: readonly SegmentInfo[];
  readonly recovery: LogRecovery;
}

export interface TopicSurvey extends LogSurvey {
  readonly id: number;
  /** As the last checkpoint of the catalogue knows it: undefined for a newer topic. */
  readonly name: string | undefined;
  readonly checkpoint: Checkpoint | undefined | "damaged";
}

/** A data folder without its topics. */
export interface NodeSurvey {
  readonly node: NodeIdentity | undefined;
  readonly journal: JournalSummary | undefined;
  /** Why node file or journal could not be read. */
  readonly faults: readonly string[];
}

export async function surveyNode(folder: DataFolder): Promise<NodeSurvey> {
  const faults: string[] = [];
  const node = await orFault(faults, () => readNodeFile(folder.fs));
  const journal = await orFault(faults, () => readJournal(folder));
  return { node, journal, faults };
}

/** The topics one by one; with an id only that one. */
export async function* surveyTopics(
  folder: DataFolder,
  only?: number,
): AsyncGenerator<TopicSurvey> {
  const names = await readNames(folder.fs);
  for (const id of await topicIds(folder)) {
    if (only !== undefined && id !== only) continue;
    const dir = topicDir(id);
    const checkpoint = await readCheckpoint(folder.fs, dir);
    const name = id === CATALOGUE_TOPIC_ID ? CLUSTER_TOPIC_NAME : names.get(id);
    const survey = await surveyLog(folder.fs, dir, checkFrame);
    const start = typeof checkpoint === "object" ? checkpoint.startOffset : 0;
    yield { ...survey, firstOffset: Math.max(survey.firstOffset, start), id, name, checkpoint };
  }
}

/** @param check absent for raw logs */
export async function surveyLog(
  fs: FileSystem,
  dir: string,
  check?: typeof checkFrame,
): Promise<LogSurvey> {
  const log = await Log.openReadOnly({ fs, dir, ...(check === undefined ? {} : { check }) });
  try {
    const { firstOffset, nextOffset, diskBytes, recovery } = log;
    return { firstOffset, nextOffset, diskBytes, segments: log.segments(), recovery };
  } finally {
    await log.close();
  }
}

async function readNames(fs: FileSystem): Promise<Map<number, string>> {
  const checkpoint = await readCheckpoint(fs, topicDir(CATALOGUE_TOPIC_ID));
  if (checkpoint === undefined || checkpoint === "damaged") return new Map();
  const { state } = checkpoint;
  return new Map(
    CatalogueState.decode(state)
      .entries()
      .map(({ id, name }) => [id, name]),
  );
}

async function orFault<T>(faults: string[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!hasReason(error, "DATA_DIR_INVALID") && !hasReason(error, "JOURNAL_CORRUPT")) throw error;
    faults.push(error.message);
    return undefined;
  }
}
