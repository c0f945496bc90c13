import type { FileSystem } from "../platform/file-system.ts";
import { rebuildIndex } from "../storage/closed-segment.ts";
import type { StoreSize } from "../storage/index.ts";
import { topicDir } from "../storage/layout.ts";
import { Log } from "../storage/log.ts";
import { Segment } from "../storage/segment.ts";
import type { DataFolder } from "./data-folder.ts";
import { putAside } from "./put-aside.ts";
import { type FolderFinding, verifyFolder } from "./verify-folder.ts";
import type { Fix, VerifyCounts } from "./verify-log.ts";

/** What a repair did, or could not do. */
export interface RepairStep {
  readonly finding: FolderFinding;
  /** Undefined: it was left as it is. */
  readonly done: string | undefined;
}

export interface RepairOptions {
  /** Also put damaged records aside, so that those after them can be read. They are lost. */
  readonly doesPutAside: boolean;
  readonly counts: VerifyCounts;
}

/**
 * Mends what can be mended without losing a record: makes indexes anew, cuts what
 * a crash left behind the last whole record. The folder must be locked.
 */
export async function* repairFolder(
  folder: DataFolder,
  options: RepairOptions,
): AsyncGenerator<RepairStep> {
  // All findings first: a log is not walked while it is changed.
  const findings: FolderFinding[] = [];
  for await (const finding of verifyFolder(folder, options.counts)) findings.push(finding);
  for (const finding of findings) {
    const { fix, topicId } = finding;
    const dir = topicId === undefined ? "" : topicDir(topicId);
    const isAllowed = fix !== undefined && (fix.kind !== "frame" || options.doesPutAside);
    const done = isAllowed ? await apply(folder, dir, fix) : undefined;
    yield { finding, done };
  }
}

async function apply({ fs, kind }: DataFolder, dir: string, fix: Fix): Promise<string | undefined> {
  if (fix.kind === "frame") return putAside(fs, dir, fix);
  const segment = new Segment({ fs, dir, base: fix.base });
  const { store, index } = segment;
  let vouched = fix.size;
  try {
    if (fix.kind === "tail") {
      await store.write((file) => file.truncate(fix.size.bytes));
      await store.write((file) => file.sync());
    }
    if (kind === "raw") vouched = await vouchedSize(fs, dir, fix);
    await rebuildIndex(segment, vouched);
    await index.ensure();
    await index.cutAfter(vouched.records);
    await index.write((file) => file.sync());
    await fs.syncDir(dir);
  } finally {
    await segment.close();
  }
  const done =
    fix.kind === "tail"
      ? `cut it after ${fix.size.records} whole records`
      : `made the index anew, ${vouched.records} entries`;
  const left = fix.size.records - vouched.records;
  return left === 0 ? done : `${done}; left ${left} empty records at the end out of the index`;
}

/**
 * How much of a raw log's segment an index may speak of. An entry would make records of the
 * zeros that the seed extends its files with.
 */
async function vouchedSize(
  fs: FileSystem,
  dir: string,
  { base, size }: Extract<Fix, { kind: "index" | "tail" }>,
): Promise<StoreSize> {
  const log = await Log.openReadOnly({ fs, dir });
  const { unvouchedFrom } = log.recovery;
  await log.close();
  if (unvouchedFrom === undefined || unvouchedFrom.offset >= base + size.records) return size;
  // It lies in the newest segment; this one is older.
  if (unvouchedFrom.offset < base || log.segments().at(-1)?.base !== base) return size;
  return { records: unvouchedFrom.offset - base, bytes: unvouchedFrom.position };
}
