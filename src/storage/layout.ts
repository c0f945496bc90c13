import type { Offset } from "../base/units.ts";

/**
 * Names of files and folders in a data folder:
 *
 *     node.json                  which node this is
 *     LOCK                       which process uses the folder
 *     journal/                   the node's write-ahead log
 *     topics/17/                 the log of topic 17
 *       00000000000000000000.log   store of the segment that begins at offset 0
 *       00000000000000000000.idx   its index
 *       checkpoint                 what of the topic is synced
 *       checkpoint.pending         the same for a copy that is not yet adopted
 *     topics/17.deleted/         a topic on its way out
 */
export const NODE_FILE_NAME = "node.json";
export const LOCK_NAME = "LOCK";
export const JOURNAL_DIR = "journal";
export const TOPICS_DIR = "topics";
export const CHECKPOINT_NAME = "checkpoint";
export const CHECKPOINT_PENDING_NAME = "checkpoint.pending";

const STORE_SUFFIX = ".log";
const INDEX_SUFFIX = ".idx";
const DELETED_SUFFIX = ".deleted";
/** Digits of a base offset: enough for 2^64-1, as the seed's `%020d`. */
const BASE_DIGITS = 20;

export function storeName(base: Offset): string {
  return `${printBase(base)}${STORE_SUFFIX}`;
}

export function indexName(base: Offset): string {
  return `${printBase(base)}${INDEX_SUFFIX}`;
}

/** One of a segment's two files, as its name says. */
export interface SegmentFileName {
  readonly kind: "store" | "index";
  /** Not yet known to be an offset: may be above 2^53-1, and then rounded. */
  readonly base: number;
}

/** Undefined when `name` is not that of a segment's file. */
export function parseSegmentFileName(name: string): SegmentFileName | undefined {
  const found = /^(\d{20})\.(log|idx)$/.exec(name);
  if (found === null) return undefined;
  return { kind: found[2] === "log" ? "store" : "index", base: Number(found[1]) };
}

export function topicDir(topicId: number): string {
  return `${TOPICS_DIR}/${topicId}`;
}

/** Where a topic's folder is renamed to before it is deleted. */
export function deletedTopicDir(topicId: number): string {
  return `${topicDir(topicId)}${DELETED_SUFFIX}`;
}

/** What a name in `topics/` stands for. */
export interface TopicDirName {
  readonly topicId: number;
  readonly isDeleted: boolean;
}

/** Undefined when `name` is not that of a topic's folder. */
export function parseTopicDirName(name: string): TopicDirName | undefined {
  const found = /^(0|[1-9]\d*)(\.deleted)?$/.exec(name);
  if (found === null) return undefined;
  const topicId = Number(found[1]);
  if (!Number.isSafeInteger(topicId)) return undefined;
  return { topicId, isDeleted: found[2] !== undefined };
}

/** Joins a folder and a name; the root is "". */
export function joinPath(dir: string, name: string): string {
  return dir === "" ? name : `${dir}/${name}`;
}

/** The folder that `path` is in; "" for the root and what is in it. */
export function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end < 0 ? "" : path.slice(0, end);
}

function printBase(base: Offset): string {
  return `${base}`.padStart(BASE_DIGITS, "0");
}
