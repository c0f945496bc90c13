import { ProglogError } from "../base/errors.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { readWhole, writeAtomically } from "./atomic-file.ts";
import { NODE_FILE_NAME } from "./layout.ts";
import { namingPlatformErrors } from "./storage-errors.ts";

/** Version of everything in a data folder; a program reads only the ones that it knows. */
export const FORMAT_VERSION = 1;

/** A larger file is not ours. */
const NODE_FILE_BYTES_MAX = 64 * 1024;

/** Which node a data folder belongs to. */
export interface NodeIdentity {
  /** Made once, never given to another node. */
  readonly nodeId: string;
  /** Of the cluster that it belongs to; empty until it does. */
  readonly clusterId: string;
  /** Made with the folder, in hex: tells this node from another one with its id. */
  readonly folderNonce: string;
  /** Microseconds since 1970 when the folder was made. */
  readonly createTimeUs: number;
}

/**
 * Reads `node.json`.
 *
 * @returns undefined when there is none: the folder is new, or not a data folder
 * @throws DATA_DIR_INVALID when it is not what {@link writeNodeFile} writes, or of another
 *   version; DISK_FAILED
 */
export async function readNodeFile(fs: FileSystem): Promise<NodeIdentity | undefined> {
  const bytes = await namingPlatformErrors(`read "${NODE_FILE_NAME}"`, () =>
    readWhole(fs, NODE_FILE_NAME, NODE_FILE_BYTES_MAX),
  );
  if (bytes === undefined) return undefined;
  const fields = bytes === "too-large" ? undefined : parseObject(bytes);
  if (fields === undefined) throw invalid("it is not a JSON object");
  const { nodeId, clusterId, folderNonce, formatVersion, createTimeUs } = fields;
  if (formatVersion !== FORMAT_VERSION) {
    throw invalid(
      `its formatVersion is ${JSON.stringify(formatVersion)}, wanted ${FORMAT_VERSION}`,
    );
  }
  if (typeof nodeId !== "string" || nodeId === "") throw invalid("nodeId is not a text");
  if (typeof clusterId !== "string") throw invalid("clusterId is not a text");
  if (typeof folderNonce !== "string") throw invalid("folderNonce is not a text");
  if (typeof createTimeUs !== "number" || !Number.isSafeInteger(createTimeUs)) {
    throw invalid("createTimeUs is not an integer");
  }
  return { nodeId, clusterId, folderNonce, createTimeUs };
}

/** Writes `node.json`; durable on return. @throws DISK_FULL, DISK_FAILED */
export async function writeNodeFile(fs: FileSystem, identity: NodeIdentity): Promise<void> {
  const { nodeId, clusterId, folderNonce, createTimeUs } = identity;
  const content = { nodeId, clusterId, folderNonce, formatVersion: FORMAT_VERSION, createTimeUs };
  const bytes = new TextEncoder().encode(`${JSON.stringify(content, undefined, 2)}\n`);
  await namingPlatformErrors(`write "${NODE_FILE_NAME}"`, () =>
    writeAtomically(fs, { dir: "", name: NODE_FILE_NAME }, bytes),
  );
}

type Fields = { readonly [name in string]?: unknown };

function parseObject(bytes: Uint8Array): Fields | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function invalid(state: string): ProglogError {
  return new ProglogError(
    "DATA_DIR_INVALID",
    `Cannot read "${NODE_FILE_NAME}": ${state}; is this a data folder of this program's version?`,
    { metadata: { file: NODE_FILE_NAME } },
  );
}
