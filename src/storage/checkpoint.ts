import { ByteReader, ByteWriter, bytesEqual, MalformedBytesError, viewOf } from "../base/bytes.ts";
import { ProglogError } from "../base/errors.ts";
import { crc32 } from "../platform/crc32.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { readWhole, writeAtomically } from "./atomic-file.ts";
import { CHECKPOINT_NAME, CHECKPOINT_PENDING_NAME, joinPath } from "./layout.ts";
import type { LogExtent, SegmentExtent } from "./log-types.ts";
import { diskFailed, namingPlatformErrors } from "./storage-errors.ts";

/** What of a topic's replica is synced. */
export interface Checkpoint {
  readonly topicId: number;
  readonly replicaId: number;
  /** Raft index and term of the last entry that is in it. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Raft's configuration at that entry; opaque here. */
  readonly confState: Uint8Array;
  /** First offset that is kept; trims move it. */
  readonly startOffset: number;
  readonly nextOffset: number;
  /** The log's files, synced. */
  readonly extent: LogExtent;
  /** The topic's small state: settings, producers, cursors; opaque here. */
  readonly state: Uint8Array;
}

/**
 * The file:
 *
 *     0          8           12                      size-4     size
 *     +----------+-----------+-----------------------+----------+
 *     | "plogckpt" | version: u32 | fields, see encode | crc32: u32 of all before |
 *     +----------+-----------+-----------------------+----------+
 */
const MAGIC = new TextEncoder().encode("plogckpt");
const VERSION = 1;
const CRC_BYTES = 4;

/** A larger file is no checkpoint: states are bounded far below. */
const CHECKPOINT_BYTES_MAX = 256 * 1024 * 1024;

/**
 * Writes a topic's checkpoint; afterwards it is durable. One at a time a folder.
 *
 * @param name another one for a copy that is not adopted yet (`CHECKPOINT_PENDING_NAME`)
 * @throws DISK_FULL: the one before is still valid, try again. DISK_FAILED: the node must end
 */
export async function writeCheckpoint(
  fs: FileSystem,
  dir: string,
  checkpoint: Checkpoint,
  name = CHECKPOINT_NAME,
): Promise<void> {
  const bytes = encodeCheckpoint(checkpoint);
  const what = `write a checkpoint in "${dir}"`;
  await namingPlatformErrors(what, () => writeAtomically(fs, { dir, name }, bytes));
}

/**
 * Reads a topic's checkpoint.
 *
 * @returns undefined when there is none, "damaged" when it is not what was written
 * @throws DATA_DIR_INVALID when a newer program wrote it; DISK_FAILED
 */
export async function readCheckpoint(
  fs: FileSystem,
  dir: string,
  name = CHECKPOINT_NAME,
): Promise<Checkpoint | undefined | "damaged"> {
  const path = joinPath(dir, name);
  const bytes = await namingPlatformErrors(`read "${path}"`, () =>
    readWhole(fs, path, CHECKPOINT_BYTES_MAX),
  );
  if (bytes === undefined) return undefined;
  return bytes === "too-large" ? "damaged" : decodeCheckpoint(bytes, path);
}

/** What the journal says of a replica's last snapshot, its own or one that a leader sent. */
export interface SnapshotMark {
  readonly replicaId: number;
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
}

/**
 * Says at start what becomes of a pending checkpoint, which holds a leader's snapshot: it counts from the
 * moment on at which the journal has its mark.
 *
 * "drop" also when it is damaged: should the journal count on it, then the checkpoint that is in its place is
 * older than the journal allows, which the owner finds.
 *
 * @param mark of the topic's replica; undefined when the journal does not know it
 */
export function pendingVerdict(
  pending: Checkpoint | "damaged",
  mark: SnapshotMark | undefined,
): "adopt" | "drop" {
  if (pending === "damaged" || mark === undefined) return "drop";
  const isIt =
    pending.replicaId === mark.replicaId &&
    pending.appliedIndex === mark.snapshotIndex &&
    pending.appliedTerm === mark.snapshotTerm;
  return isIt ? "adopt" : "drop";
}

/**
 * Puts the pending checkpoint in the place of the checkpoint; durable on return. The log is opened at its
 * extent afterwards: until then it must not be used.
 *
 * @throws DISK_FULL: nothing has changed; DISK_FAILED
 */
export async function adoptPendingCheckpoint(fs: FileSystem, dir: string): Promise<void> {
  const from = joinPath(dir, CHECKPOINT_PENDING_NAME);
  await namingPlatformErrors(`adopt "${from}"`, () =>
    fs.rename(from, joinPath(dir, CHECKPOINT_NAME)),
  );
  await syncDir(fs, dir);
}

/**
 * Deletes the pending checkpoint; durable on return, also when there was none. It must be gone before the log
 * is appended to or cut, since it speaks of files that are then other ones.
 *
 * @throws DISK_FAILED
 */
export async function dropPendingCheckpoint(fs: FileSystem, dir: string): Promise<void> {
  const path = joinPath(dir, CHECKPOINT_PENDING_NAME);
  await namingPlatformErrors(`delete "${path}"`, () => fs.remove(path));
  await syncDir(fs, dir);
}

/** An error is never about space here: what a failed sync has lost a second one does not bring back. */
async function syncDir(fs: FileSystem, dir: string): Promise<void> {
  try {
    await fs.syncDir(dir);
  } catch (cause) {
    throw diskFailed(`sync the folder "${dir}"`, cause);
  }
}

/** Bytes of the file; see above. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const { segments } = checkpoint.extent;
  const writer = new ByteWriter()
    .raw(MAGIC)
    .u32(VERSION)
    .varint(checkpoint.topicId)
    .varint(checkpoint.replicaId)
    .varint(checkpoint.appliedIndex)
    .varint(checkpoint.appliedTerm)
    .sized(checkpoint.confState)
    .varint(checkpoint.startOffset)
    .varint(checkpoint.nextOffset)
    .varint(segments.length);
  for (const { base, records, storeBytes } of segments) {
    writer.varint(base).varint(records).varint(storeBytes);
  }
  const body = writer.sized(checkpoint.state).finish();
  return new ByteWriter().raw(body).u32(crc32(body)).finish();
}

/** @param path for messages */
export function decodeCheckpoint(bytes: Uint8Array, path: string): Checkpoint | "damaged" {
  const crcAt = bytes.length - CRC_BYTES;
  if (crcAt < MAGIC.length || !bytesEqual(bytes.subarray(0, MAGIC.length), MAGIC)) return "damaged";
  const body = bytes.subarray(0, crcAt);
  if (viewOf(bytes).getUint32(crcAt, true) !== crc32(body)) return "damaged";
  try {
    const reader = new ByteReader(body.subarray(MAGIC.length));
    const version = reader.u32();
    if (version !== VERSION) throw newerVersion(path, version);
    return decodeFields(reader);
  } catch (error) {
    if (error instanceof MalformedBytesError) return "damaged";
    throw error;
  }
}

function decodeFields(reader: ByteReader): Checkpoint {
  const topicId = reader.varint();
  const replicaId = reader.varint();
  const appliedIndex = reader.varint();
  const appliedTerm = reader.varint();
  const confState = reader.sized().slice();
  const startOffset = reader.varint();
  const nextOffset = reader.varint();
  const segments: SegmentExtent[] = [];
  for (let left = reader.varint(); left > 0; left -= 1) {
    segments.push({
      base: reader.varint(),
      records: reader.varint(),
      storeBytes: reader.varint(),
    });
  }
  const state = reader.sized().slice();
  if (reader.remaining > 0) throw new MalformedBytesError("Bytes follow the checkpoint");
  const extent = { segments };
  return {
    topicId,
    replicaId,
    appliedIndex,
    appliedTerm,
    confState,
    startOffset,
    nextOffset,
    extent,
    state,
  };
}

function newerVersion(path: string, version: number): ProglogError {
  return new ProglogError(
    "DATA_DIR_INVALID",
    `Cannot read "${path}": it is of version ${version}, wanted ${VERSION}`,
    { metadata: { file: path, version: `${version}` } },
  );
}
