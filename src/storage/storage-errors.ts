import { ProglogError, platformCode } from "../base/errors.ts";
import type { Offset } from "../base/units.ts";
import { RECORD_BYTES_MAX } from "./scan.ts";

/** Where damage was found. */
export interface DamagePlace {
  readonly offset?: number | undefined;
  /** Name of the file. */
  readonly file?: string | undefined;
  /** Byte in that file. */
  readonly position?: number | undefined;
}

/**
 * Damage of what was stored. Nothing was cut or skipped.
 *
 * @param message as everywhere: "Cannot <what>: <present state>, <wanted state>"
 */
export function storeCorrupt(message: string, place: DamagePlace, cause?: unknown): ProglogError {
  const metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(place)) {
    if (value !== undefined) metadata[key] = `${value}`;
  }
  return new ProglogError("STORE_CORRUPT", message, { metadata, cause });
}

/** @param recordNumber place in its batch, from 0 */
export function recordTooLarge(recordNumber: number, recordBytes: number): ProglogError {
  return new ProglogError(
    "RECORD_TOO_LARGE",
    `Cannot append record ${recordNumber} of a batch: it takes ${recordBytes} bytes, ` +
      `at most ${RECORD_BYTES_MAX} are allowed`,
    {
      metadata: {
        recordNumber: `${recordNumber}`,
        recordBytes: `${recordBytes}`,
        recordBytesMax: `${RECORD_BYTES_MAX}`,
      },
    },
  );
}

export function offsetOutOfRange(
  offset: number,
  range: { readonly firstOffset: Offset; readonly nextOffset: Offset },
): ProglogError {
  const { firstOffset, nextOffset } = range;
  const state =
    firstOffset === nextOffset
      ? `the log is empty and the next offset is ${nextOffset}`
      : `the log holds ${firstOffset} to ${nextOffset - 1}`;
  return new ProglogError("OFFSET_OUT_OF_RANGE", `Cannot read at offset ${offset}: ${state}`, {
    metadata: {
      offset: `${offset}`,
      firstOffset: `${firstOffset}`,
      nextOffset: `${nextOffset}`,
    },
  });
}

/** A write or sync failed for another reason than lack of space. */
export function diskFailed(what: string, cause: unknown): ProglogError {
  const code = platformCode(cause) ?? "an error";
  return new ProglogError("DISK_FAILED", `Cannot ${what}: the disk reports ${code}`, { cause });
}

export function diskFull(what: string, cause?: unknown): ProglogError {
  return new ProglogError("DISK_FULL", `Cannot ${what}: the disk is full`, { cause });
}

/** True for "no space left" and "quota exceeded": they may pass, so the write is tried again. */
export function isNoSpace(error: unknown): boolean {
  const code = platformCode(error);
  return code === "ENOSPC" || code === "EDQUOT";
}

/**
 * Runs `work`; the platform's errors become DISK_FULL or DISK_FAILED.
 * @param what as in "Cannot <what>: ..."
 */
export async function namingPlatformErrors<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (platformCode(cause) === undefined) throw cause;
    throw isNoSpace(cause) ? diskFull(what, cause) : diskFailed(what, cause);
  }
}
