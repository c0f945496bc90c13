import { hasReason, platformCode } from "../base/errors.ts";
import { toOffset, toPosition } from "../base/units.ts";
import type { FileSystem } from "../platform/file-system.ts";
import { checkFrame, type DecodedRecord, decodeRecord, encodeRemoved } from "../storage/frame.ts";
import { joinPath, storeName } from "../storage/layout.ts";
import { HEADER_BYTES } from "../storage/scan.ts";
import { Segment } from "../storage/segment.ts";
import type { Fix } from "./verify-log.ts";

type FrameFix = Extract<Fix, { kind: "frame" }>;

/**
 * Copies a damaged frame to a file of its own beside the store, then puts a removed
 * record in its place. Readers skip it; nobody's offset changes.
 *
 * @returns what was done; undefined when a removed record does not fit there
 */
export async function putAside(
  fs: FileSystem,
  dir: string,
  fix: FrameFix,
): Promise<string | undefined> {
  const segment = new Segment({ fs, dir, base: fix.base });
  const { store } = segment;
  try {
    const damaged = await store.readRange(fix.start, fix.end);
    const before = await neighbour(segment, fix.record - 1);
    const after = await neighbour(segment, fix.record + 1);
    const known = before ?? after ?? { raftIndex: 0, appendTimeUs: 0 };
    const removed = encodeRemoved(
      {
        offset: toOffset(fix.base + fix.record),
        raftIndex: known.raftIndex,
        appendTimeUs: known.appendTimeUs,
        // Whether it ended its batch is as good as known: the next record is of another one.
        lastOfEntry: after?.raftIndex !== known.raftIndex,
      },
      damaged.length,
    );
    if (removed === undefined) return undefined;
    const name = `${storeName(fix.base)}.damaged-${fix.start}`;
    await saveDamaged(fs, dir, name, damaged);
    await store.write((file) => file.write([removed], toPosition(fix.start)));
    await store.write((file) => file.sync());
    return `the record is gone, its bytes are in ${joinPath(dir, name)}`;
  } finally {
    await segment.close();
  }
}

/** A copy that is there already came from a repair that was cut short: it is kept. */
async function saveDamaged(
  fs: FileSystem,
  dir: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  try {
    const file = await fs.open(joinPath(dir, name), { mode: "create-new" });
    try {
      await file.write([bytes], toPosition(0));
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (platformCode(error) !== "EEXIST") throw error;
  }
  await fs.syncDir(dir);
}

/** The record beside the damaged one, as far as the index leads there and it is sound itself. */
async function neighbour(segment: Segment, record: number): Promise<DecodedRecord | undefined> {
  const { store, index, base } = segment;
  const start = record < 0 ? undefined : await index.position(record);
  if (start === undefined) return undefined;
  const size = await store.size();
  const frameBytes = await store.frameBytes(start, size);
  if (frameBytes === undefined) return undefined;
  try {
    const data = await store.readRange(start + HEADER_BYTES, start + frameBytes);
    const offset = toOffset(base + record);
    return checkFrame(data, offset) === "valid" ? decodeRecord(data, offset) : undefined;
  } catch (error) {
    if (hasReason(error, "STORE_CORRUPT")) return undefined;
    throw error;
  }
}
