import { hasReason } from "../base/errors.ts";
import { toOffset } from "../base/units.ts";
import type { BatchEncoder } from "../client/batch-encoder.ts";
import { encodeFrame } from "../client/record-parts.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { type Checkpoint, readCheckpoint } from "../storage/checkpoint.ts";
import { checkFrame, decodeRecord } from "../storage/frame.ts";
import { Log } from "../storage/log.ts";
import type { LogRecord } from "../storage/log-types.ts";

/** Frames that are looked at to tell whose log it is. */
const PROBED_FRAMES = 100;

/** A log whose records can be appended elsewhere. */
export interface ImportSource {
  readonly log: Log;
  /** "values": each frame is a record's value. "records": a topic of this program, with keys and headers. */
  readonly kind: "values" | "records";
  /** First offset to take. */
  readonly start: number;
  /** Offset before which to stop. */
  readonly end: number;
  /** Offset at which the log must begin at the latest; its files are missing when it begins later. */
  readonly syncedStart: number;
  /** Offset at which the log must end at least; it is damaged when it ends before. */
  readonly syncedEnd: number;
  /**
   * Puts a record of the log into the batch.
   * @returns "full": the batch must be taken first. "skipped": it was removed long ago
   * @throws STORE_CORRUPT
   */
  add(encoder: BatchEncoder, record: LogRecord): "added" | "skipped" | "full";
}

/**
 * Opens the one log in a folder. A topic's folder of this program is known by its frames: any
 * valid checksum tells, since frames of others have none.
 *
 * @param isRaw take frames as values whatever they are
 */
export async function openImportSource(
  fs: FileSystem,
  { isRaw }: { readonly isRaw: boolean },
): Promise<ImportSource> {
  const checkpoint = isRaw ? undefined : await readCheckpoint(fs, "");
  const isOwn = !isRaw && (checkpoint !== undefined || (await hasEnvelopes(fs)));
  return isOwn ? await openTopicLog(fs, checkpoint) : await openValues(fs);
}

async function openValues(fs: FileSystem): Promise<ImportSource> {
  const log = await Log.openReadOnly({ fs, dir: "" });
  const frame = encodeFrame({ key: new Uint8Array(0), headers: [] });
  return {
    log,
    kind: "values",
    start: log.firstOffset,
    end: log.recovery.unvouchedFrom?.offset ?? log.nextOffset,
    syncedStart: log.firstOffset,
    syncedEnd: 0,
    add: (encoder, { data }) => (encoder.add(frame, data, 0, data.length) ? "added" : "full"),
  };
}

async function openTopicLog(
  fs: FileSystem,
  checkpoint: Checkpoint | undefined | "damaged",
): Promise<ImportSource> {
  const log = await Log.openReadOnly({ fs, dir: "", check: checkFrame });
  const known = typeof checkpoint === "object" ? checkpoint : undefined;
  return {
    log,
    kind: "records",
    start: Math.max(log.firstOffset, known?.startOffset ?? 0),
    end: log.nextOffset,
    syncedStart: known?.startOffset ?? log.firstOffset,
    syncedEnd: known?.nextOffset ?? 0,
    add: (encoder, { offset, data }) => {
      const { kind, body } = decodeRecord(data, offset);
      if (kind === "removed") return "skipped";
      return encoder.addEncoded(body) ? "added" : "full";
    },
  };
}

async function hasEnvelopes(fs: FileSystem): Promise<boolean> {
  const log = await Log.openReadOnly({ fs, dir: "" });
  try {
    if (log.firstOffset === log.nextOffset) return false;
    for await (const { offset, data } of log.scan(log.firstOffset)) {
      if (checkFrame(data, offset) !== "damaged") return true;
      if (offset - log.firstOffset >= toOffset(PROBED_FRAMES)) return false;
    }
  } catch (error) {
    // Whoever reads on will say so.
    if (!hasReason(error, "STORE_CORRUPT")) throw error;
  } finally {
    await log.close();
  }
  return false;
}
