import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SILENT_LOGGER } from "../../../src/base/log.ts";
import { spansOf } from "../../../src/base/record-spans.ts";
import { toOffset } from "../../../src/base/units.ts";
import { openFolder } from "../../../src/cli/data-folder.ts";
import { type FolderFinding, verifyFolder } from "../../../src/cli/verify-folder.ts";
import { NodeFileSystem } from "../../../src/platform/node-file-system.ts";
import { SystemClock } from "../../../src/platform/system-clock.ts";
import { checkFrame, encodeBatch } from "../../../src/storage/frame.ts";
import { Log } from "../../../src/storage/log.ts";
import type { LogExtent } from "../../../src/storage/log-types.ts";

export const SEGMENT_RECORDS = 10;

/** Records of three segments. */
export const NUMBERED: readonly string[] = Array.from({ length: 25 }, (_, at) => `record ${at}`);

/** A log of one topic within a {@link LogFolder}. */
export interface TopicFolder {
  readonly fs: NodeFileSystem;
  /** What a checkpoint would say of it. */
  readonly extent: LogExtent;
  store(base: number): string;
  index(base: number): string;
  open(): Promise<Log>;
}

/** A folder for the offline tools to look at. */
export class LogFolder {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async make(): Promise<LogFolder> {
    return new LogFolder(await mkdtemp(join(tmpdir(), "proglog-tools-")));
  }

  remove(): Promise<void> {
    return rm(this.dir, { recursive: true, force: true });
  }

  /** The raw log's files. */
  store(base: number): string {
    return segmentPath(this.dir, base, "log");
  }

  index(base: number): string {
    return segmentPath(this.dir, base, "idx");
  }

  /** A log in the seed's format. */
  async writeRaw(values: readonly string[] = NUMBERED): Promise<void> {
    const log = await openLog(new NodeFileSystem(this.dir));
    for (const value of values) log.appendData([Buffer.from(value)]);
    await log.sync();
    await log.close();
  }

  /** The topic with id 1, without a checkpoint, with {@link NUMBERED} in envelopes. */
  async writeTopic(): Promise<TopicFolder> {
    const dir = join(this.dir, "topics", "1");
    await mkdir(dir, { recursive: true });
    const fs = new NodeFileSystem(dir);
    const log = await openLog(fs, checkFrame);
    for (const [place, value] of NUMBERED.entries()) {
      const input = { firstOffset: toOffset(place), raftIndex: 2 + place, appendTimeUs: 5 };
      log.append(encodeBatch({ ...input, records: spansOf([Buffer.from(value)]) }));
    }
    const extent = await log.sync();
    await log.close();
    return {
      fs,
      extent,
      store: (base) => segmentPath(dir, base, "log"),
      index: (base) => segmentPath(dir, base, "idx"),
      open: () => openLog(fs, checkFrame),
    };
  }

  /** What `log verify` finds. */
  async findings(): Promise<FolderFinding[]> {
    const found: FolderFinding[] = [];
    const counts = { segments: 0, records: 0, bytes: 0 };
    for await (const finding of verifyFolder(await openFolder(this.dir), counts)) {
      found.push(finding);
    }
    return found;
  }
}

function segmentPath(dir: string, base: number, ending: "log" | "idx"): string {
  return join(dir, `${String(base).padStart(20, "0")}.${ending}`);
}

function openLog(fs: NodeFileSystem, check?: typeof checkFrame): Promise<Log> {
  return Log.open({
    fs,
    dir: "",
    logger: SILENT_LOGGER,
    clock: new SystemClock(),
    ...(check === undefined ? {} : { check }),
    segmentBytesMax: 1_000_000,
    segmentRecordsMax: SEGMENT_RECORDS,
  });
}

export async function flipByte(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x40;
  await writeFile(path, bytes);
}
