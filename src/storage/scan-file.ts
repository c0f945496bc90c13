import { EMPTY_BYTES, viewOf } from "../base/bytes.ts";
import { type Offset, toOffset } from "../base/units.ts";
import type { FrameCheck } from "./scan.ts";
import { frameBytesAt, type ScanResult, scanFrames } from "./scan.ts";

const WINDOW_BYTES = 1024 * 1024;

export interface FileScanOptions {
  /** Size of the file. */
  readonly size: number;
  /** Offset of the file's first frame. */
  readonly base: Offset;
  /** Frame at which to begin: its number in the file and its position. Default the first. */
  readonly from?: { readonly record: number; readonly position: number } | undefined;
  /** Stop before the frame of this number. Default: no such frame. */
  readonly recordEnd?: number | undefined;
  /** The owner's check; a frame that is not checked need not be read. */
  readonly check?: ((data: Uint8Array, offset: Offset) => FrameCheck) | undefined;
  /** Bytes held at a time, unless a checked frame is larger; default 1 MiB, at least a header. */
  readonly windowBytes?: number | undefined;
}

/** Frames that follow each other. */
export interface FrameRun {
  /** Number of the first one in the file, from 0. */
  readonly record: number;
  readonly starts: readonly number[];
  /** Where the last one ends. */
  readonly end: number;
}

/** Yields the frames in order; returns what `scanFrames` would say of the whole file. */
export type FileScan = AsyncGenerator<FrameRun, ScanResult, void>;

/**
 * Walks a file's frames as {@link scanFrames} does, a window at a time: memory does
 * not grow with the file.
 *
 * @param read fills `target` from `at` on, as `File.read`
 */
export async function* scanFile(
  read: (target: Uint8Array, at: number) => Promise<number>,
  options: FileScanOptions,
): FileScan {
  const { base, check, recordEnd = Number.POSITIVE_INFINITY } = options;
  const { windowBytes = WINDOW_BYTES } = options;
  let size = options.size;
  let record = options.from?.record ?? 0;
  let position = options.from?.position ?? 0;
  let wanted = windowBytes;
  let buffer: Uint8Array = EMPTY_BYTES;
  while (position < size && record < recordEnd) {
    const count = Math.min(wanted, size - position);
    if (buffer.length < count) buffer = new Uint8Array(count);
    const window = buffer.subarray(0, count);
    const got = await read(window, position);
    // Cut since its size was asked for: what is left decides.
    if (got < count) size = position + got;
    const found = scanWindow(window.subarray(0, got), {
      position,
      recordsMax: recordEnd - record,
      base: toOffset(base + record),
      check,
      rest: size - position,
    });
    if (found.starts.length > 0) {
      yield { record, starts: found.starts, end: found.end };
      record += found.starts.length;
      position = found.end;
    }
    if (found.stopped !== undefined) {
      return { validBytes: position, recordCount: record, stopped: found.stopped };
    }
    wanted = Math.max(windowBytes, found.frameBytes);
    if (wanted === windowBytes && buffer.length > windowBytes) buffer = EMPTY_BYTES;
  }
  return { validBytes: position, recordCount: record, stopped: undefined };
}

interface WindowOptions {
  /** The window's place in the file. */
  readonly position: number;
  readonly base: Offset;
  readonly recordsMax: number;
  readonly check: FileScanOptions["check"];
  /** Bytes of the file from the window's start on. */
  readonly rest: number;
}

interface WindowResult {
  readonly starts: readonly number[];
  readonly end: number;
  readonly stopped: ScanResult["stopped"];
  /** When the window is too small for its first frame: the size of that. Else 0. */
  readonly frameBytes: number;
}

function scanWindow(window: Uint8Array, options: WindowOptions): WindowResult {
  const { position, rest, recordsMax, base, check } = options;
  const starts: number[] = [];
  const { validBytes, stopped } = scanFrames(window, { base, recordsMax, check, starts });
  const places = starts.map((start) => position + start);
  const end = position + validBytes;
  const isTorn = stopped === "torn-header" || stopped === "torn-record";
  if (!isTorn || window.length === rest) return { starts: places, end, stopped, frameBytes: 0 };
  // Only the window ended here. A frame that begins in it is read with the next one.
  if (starts.length > 0) return { starts: places, end, stopped: undefined, frameBytes: 0 };
  const frameBytes = frameBytesAt(viewOf(window), 0);
  if (frameBytes > rest) return { starts: [], end: position, stopped: "torn-record", frameBytes };
  if (check !== undefined) return { starts: [], end: position, stopped: undefined, frameBytes };
  return { starts: [position], end: position + frameBytes, stopped: undefined, frameBytes: 0 };
}
