import type { FileSystem } from "../platform/file-system.ts";
import { rebuildIndex } from "../storage/closed-segment.ts";
import { topicDir } from "../storage/layout.ts";
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
    const done = isAllowed ? await apply(folder.fs, dir, fix) : undefined;
    yield { finding, done };
  }
}

async function apply(fs: FileSystem, dir: string, fix: Fix): Promise<string | undefined> {
  if (fix.kind === "frame") return putAside(fs, dir, fix);
  const segment = new Segment({ fs, dir, base: fix.base });
  const { store, index } = segment;
  try {
    if (fix.kind === "tail") {
      await store.write((file) => file.truncate(fix.size.bytes));
      await store.write((file) => file.sync());
    }
    await rebuildIndex(segment, fix.size);
    await index.ensure();
    await index.cutAfter(fix.size.records);
    await index.write((file) => file.sync());
    await fs.syncDir(dir);
  } finally {
    await segment.close();
  }
  return fix.kind === "tail"
    ? `cut it after ${fix.size.records} whole records`
    : `made the index anew, ${fix.size.records} entries`;
}
