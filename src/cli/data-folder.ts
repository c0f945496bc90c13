import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { ProglogError, platformCode } from "../base/errors.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { openFileSystem } from "../platform/open-file-system.ts";
import { isAlive, processIdentity } from "../platform/process-identity.ts";
import { type FolderLock, lockFolder, readHolder } from "../storage/folder-lock.ts";
import {
  JOURNAL_DIR,
  NODE_FILE_NAME,
  parseSegmentFileName,
  parseTopicDirName,
  TOPICS_DIR,
} from "../storage/layout.ts";

/** A folder that an offline tool looks at. */
export interface DataFolder {
  readonly fs: FileSystem;
  /** As the user wrote it. */
  readonly name: string;
  /** "data": a server's; "raw": one log in the seed's format, by whatever program. */
  readonly kind: "data" | "raw";
}

/** @throws DATA_DIR_INVALID when it is neither */
export async function openFolder(name: string): Promise<DataFolder> {
  const isFolder = await stat(name).then(
    (found) => found.isDirectory(),
    (error: unknown) => {
      if (platformCode(error) === "ENOENT") return false;
      throw error;
    },
  );
  if (!isFolder) throw invalid(name, "there is no such folder");
  const fs = openFileSystem(resolve(name));
  const names = await fs.list("");
  const isData = [NODE_FILE_NAME, JOURNAL_DIR, TOPICS_DIR].some((known) => names.includes(known));
  if (isData) return { fs, name, kind: "data" };
  const isRaw = names.some((file) => parseSegmentFileName(file) !== undefined);
  if (isRaw) return { fs, name, kind: "raw" };
  throw invalid(name, "it holds neither a server's data nor a log's segments");
}

/** Takes the folder for this process. @throws DATA_DIR_LOCKED naming who has it */
export function takeFolder({ fs }: DataFolder): Promise<FolderLock> {
  return lockFolder(fs, processIdentity(), isAlive);
}

/** Who uses the folder now, without taking it; undefined when nobody does. */
export async function holderOf({ fs }: DataFolder): Promise<number | undefined> {
  const holder = await readHolder(fs);
  return holder !== undefined && isAlive(holder) ? holder.pid : undefined;
}

/** Ids of the topics that have a folder, ascending. */
export async function topicIds({ fs }: DataFolder): Promise<readonly number[]> {
  if (!(await fs.exists(TOPICS_DIR))) return [];
  const names = await fs.list(TOPICS_DIR);
  return names
    .map(parseTopicDirName)
    .flatMap((parsed) => (parsed === undefined || parsed.isDeleted ? [] : [parsed.topicId]))
    .sort((left, right) => left - right);
}

function invalid(name: string, state: string): ProglogError {
  return new ProglogError("DATA_DIR_INVALID", `Cannot read "${name}": ${state}`);
}
