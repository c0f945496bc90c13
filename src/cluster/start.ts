import { ProglogError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Journal } from "../journal/journal.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { readCheckpoint } from "../storage/checkpoint.ts";
import {
  JOURNAL_DIR,
  joinPath,
  parseTopicDirName,
  TOPICS_DIR,
  type TopicDirName,
  topicDir,
} from "../storage/layout.ts";
import { type NodeIdentity, readNodeFile, writeNodeFile } from "../storage/node-file.ts";
import { namingPlatformErrors } from "../storage/storage-errors.ts";
import { CATALOGUE_TOPIC_ID, type CatalogueState } from "../topics/catalogue-state.ts";
import { placeOn } from "../topics/group-placement.ts";
import {
  deleteFolder,
  FIRST_INDEX,
  removeFolder,
  removeReplica,
  syncFolder,
} from "./replica-files.ts";

/** Hidden files, what a new file system has, and what a start that was cut short leaves. */
const MAY_BE_IN_A_NEW_FOLDER = /^(\.|lost\+found$|LOCK|reserve|node\.json\.|genesis\.json)/;

/**
 * Says which node the data folder is of, and makes it one when it is new.
 * @throws DATA_DIR_INVALID when there is data that no node file belongs to
 */
export async function identify(
  fs: FileSystem,
  random: Random,
  createTimeUs: number,
): Promise<NodeIdentity> {
  const known = await readNodeFile(fs);
  if (known !== undefined) return known;
  const foreign = (await fs.list("")).find((name) => !MAY_BE_IN_A_NEW_FOLDER.test(name));
  if (foreign !== undefined) {
    throw new ProglogError(
      "DATA_DIR_INVALID",
      `Cannot use the data folder: it has "${foreign}" but no "node.json", wanted a folder of proglog or an empty one`,
      { metadata: { file: "node.json" } },
    );
  }
  const [nodeId, folderNonce] = [hex(random, 8), hex(random, 16)];
  const identity = { nodeId, clusterId: "", folderNonce, createTimeUs };
  await writeNodeFile(fs, identity);
  return identity;
}

/** An id for a cluster that this node may found. */
export function newClusterId(random: Random): string {
  return hex(random, 16);
}

/** Raft id of this node's replica of the catalogue; undefined when the journal knows of none. */
export function catalogueReplica(journal: Journal): number | undefined {
  return journal.replicas().find(({ topicId }) => topicId === CATALOGUE_TOPIC_ID)?.replicaId;
}

/**
 * To be called when the journal knows no replica of the catalogue: makes sure that this is so because there
 * never was one.
 *
 * @throws JOURNAL_CORRUPT when there was, so that the journal must have been lost: a replica that has forgotten
 *   what it promised must not come back under its old id
 */
export async function refuseLostJournal(
  fs: FileSystem,
  journal: Journal,
  { nodeId, clusterId }: NodeIdentity,
): Promise<void> {
  const catalogue = await readCheckpoint(fs, topicDir(CATALOGUE_TOPIC_ID));
  const hasTopics = (await topicDirs(fs)).some((dir) => dir.topicId !== CATALOGUE_TOPIC_ID);
  const isUsed = typeof catalogue === "object" && catalogue.appliedIndex > FIRST_INDEX;
  if (!hasTopics && !isUsed && journal.replicas().length === 0 && clusterId === "") return;
  throw new ProglogError(
    "JOURNAL_CORRUPT",
    `Cannot start: this is server ${nodeId}${clusterId === "" ? "" : ` of cluster ${clusterId}`}, but its journal is gone. ` +
      "What was acknowledged last was in it; restore it with the topics. In a cluster where others have all of it: " +
      "start with an empty data folder and --join as a new server, and remove the old one",
    { metadata: { file: JOURNAL_DIR, position: "0" } },
  );
}

/** Notes that this node belongs to a cluster; durable on return. @throws DATA_DIR_INVALID when it is of another one */
export async function noteCluster(
  fs: FileSystem,
  identity: NodeIdentity,
  clusterId: string,
): Promise<NodeIdentity> {
  if (identity.clusterId === clusterId) return identity;
  if (identity.clusterId !== "") {
    throw new ProglogError(
      "DATA_DIR_INVALID",
      `Cannot use the data folder: "node.json" is of cluster ${identity.clusterId}, the catalogue is of cluster ${clusterId}`,
      { metadata: { file: "node.json" } },
    );
  }
  const noted = { ...identity, clusterId };
  await writeNodeFile(fs, noted);
  return noted;
}

/** Makes the folder of all topics. */
export async function makeTopicsDir(fs: FileSystem): Promise<void> {
  await namingPlatformErrors(`make the folder "${TOPICS_DIR}"`, () => fs.makeDir(TOPICS_DIR));
  await syncFolder(fs, "");
}

/**
 * Compares the folders and the journal with a catalogue that is known to be up to date: removes replicas that it lists no more,
 * finishes deletions, keeps and reports what nobody knows.
 *
 * @throws JOURNAL_CORRUPT when the journal has a replica that the catalogue never made
 */
export async function inspectFolders(
  fs: FileSystem,
  parts: {
    readonly nodeId: string;
    readonly journal: Journal;
    readonly catalogue: CatalogueState;
    readonly logger: Logger;
    readonly isOpen: (topicId: number) => boolean;
  },
): Promise<void> {
  const { nodeId, journal, catalogue, logger, isOpen } = parts;
  const listedId = (topicId: number): number | undefined => {
    const group = catalogue.group(topicId);
    return group === undefined ? undefined : placeOn(group, nodeId)?.replicaId;
  };
  for (const { replicaId, topicId } of journal.replicas()) {
    if (topicId === CATALOGUE_TOPIC_ID || listedId(topicId) === replicaId) continue;
    // Those that are open are closed first: the reconciler does that.
    if (isOpen(topicId)) continue;
    if (replicaId >= catalogue.nextReplicaId || topicId >= catalogue.nextTopicId) {
      throw unknownReplica(replicaId, topicId);
    }
    // Its id was given, and is given to no other one: it is wanted no more.
    await removeReplica({ fs, journal }, { topicId, replicaId });
  }
  for (const { topicId, isDeleted, name } of await topicDirs(fs)) {
    const dir = joinPath(TOPICS_DIR, name);
    if (isDeleted) await deleteFolder(fs, dir);
    else if (topicId === CATALOGUE_TOPIC_ID || isOpen(topicId)) continue;
    else if (listedId(topicId) === undefined) {
      if (topicId < catalogue.nextTopicId) await removeFolder(fs, topicId);
      else logger.warn("A folder is of no topic that the catalogue knows; it is kept", { dir });
    }
  }
}

function unknownReplica(replicaId: number, topicId: number): ProglogError {
  return new ProglogError(
    "JOURNAL_CORRUPT",
    `Cannot start: the journal has replica ${replicaId} of topic ${topicId}, which the catalogue does not know`,
    { metadata: { replicaId: `${replicaId}`, topicId: `${topicId}` } },
  );
}

async function topicDirs(fs: FileSystem): Promise<(TopicDirName & { readonly name: string })[]> {
  const result: (TopicDirName & { readonly name: string })[] = [];
  if (!(await fs.exists(TOPICS_DIR))) return result;
  for (const name of await fs.list(TOPICS_DIR)) {
    const parsed = parseTopicDirName(name);
    if (parsed !== undefined) result.push({ ...parsed, name });
  }
  return result;
}

function hex(random: Random, count: number): string {
  return Array.from(random.bytes(count), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
