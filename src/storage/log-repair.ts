import { platformCode } from "../base/errors.ts";
import { toOffset } from "../base/units.ts";
import { copiedBatch, type StoredFrames } from "./copied-frames.ts";
import type { Failure } from "./failure.ts";
import type { LogSync } from "./log-sync.ts";
import type { PendingQueue } from "./pending.ts";
import type { Segment } from "./segment.ts";
import type { SegmentList } from "./segment-list.ts";
import { diskFull, isNoSpace, offsetOutOfRange } from "./storage-errors.ts";

export interface LogRepairOptions {
  readonly segments: SegmentList;
  readonly pending: PendingQueue;
  readonly sync: LogSync;
  readonly failure: Failure;
}

/** Writes frames of a peer over damaged ones, segment by segment. See `Log.repair` for the contract. */
export async function repairLog(options: LogRepairOptions, copied: StoredFrames): Promise<void> {
  const { segments, pending, sync } = options;
  const { firstOffset, frames } = copied;
  const writtenEnd = pending.firstOffset ?? segments.nextOffset;
  const end = firstOffset + frames.length;
  if (!(firstOffset >= segments.firstOffset && end <= writtenEnd)) {
    throw offsetOutOfRange(firstOffset, {
      firstOffset: segments.firstOffset,
      nextOffset: writtenEnd,
    });
  }
  const pieces = piecesOf(segments, copied);
  for (const { segment } of pieces) segment.lease();
  try {
    for (const { segment, batch } of pieces) {
      await naming(options, segment, () => segment.repair(batch));
      await sync.segments([segment]);
    }
  } finally {
    for (const { segment } of pieces) segment.release();
  }
}

/** All are checked before the first is written. */
function piecesOf(segments: SegmentList, { firstOffset, frames }: StoredFrames) {
  const pieces = [];
  const end = firstOffset + frames.length;
  for (let next = firstOffset; next < end; ) {
    const segment = segments.find(toOffset(next));
    const until = Math.min(end, segment.nextOffset);
    const part = frames.slice(next - firstOffset, until - firstOffset);
    pieces.push({ segment, batch: copiedBatch({ firstOffset: next, frames: part }) });
    next = until;
  }
  return pieces;
}

async function naming(
  { failure }: LogRepairOptions,
  { store }: Segment,
  repair: () => Promise<void>,
): Promise<void> {
  const what = `repair "${store.path}"`;
  try {
    await repair();
  } catch (error) {
    if (isNoSpace(error)) throw diskFull(what, error);
    throw platformCode(error) === undefined ? error : failure.report(what, error);
  }
}
