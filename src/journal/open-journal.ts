import { assert } from "../base/assert.ts";
import { MIB } from "../base/units.ts";
import { JOURNAL_DIR, parentOf } from "../storage/layout.ts";
import { journalPath, walName } from "./file-names.ts";
import { FileSet } from "./file-set.ts";
import { BLOCK_BYTES } from "./flush.ts";
import { synced } from "./journal-errors.ts";
import { JournalFile } from "./journal-file.ts";
import type { JournalOptions, JournalRecovery } from "./journal-types.ts";
import { type Recovered, type RecoveredFile, Recovery } from "./recovery.ts";
import { repair } from "./repair.ts";
import type { ReplicaSet } from "./replica-set.ts";
import { Writer } from "./writer.ts";

const FILE_BYTES = 64 * MIB;
const FILE_BYTES_MIN = 4 * BLOCK_BYTES;
const FLUSH_BYTES_MAX = 8 * MIB;

/** What a journal is made of. */
export interface JournalParts {
  readonly files: FileSet;
  readonly replicas: ReplicaSet;
  readonly writer: Writer;
  readonly recovery: JournalRecovery;
}

/** Recovers what is there, makes it true on the disk, and puts the parts together. */
export async function openParts(options: JournalOptions): Promise<JournalParts> {
  const { fs, clock, random, logger, sync, fileBytes = FILE_BYTES } = options;
  assert(
    fileBytes % BLOCK_BYTES === 0 && fileBytes >= FILE_BYTES_MIN,
    `A journal file cannot have ${fileBytes} bytes`,
  );
  await fs.makeDir(JOURNAL_DIR);
  await synced(fs.syncDir(parentOf(JOURNAL_DIR)));
  const recovery = new Recovery(fs, logger);
  const recovered = await recovery.run();
  try {
    await repair(fs, recovered);
    const files: FileSet = new FileSet(
      {
        fs,
        clock,
        random,
        logger,
        counts: recovered.replicas.counts,
        fileBytes,
        sync,
        onRoom: () => writer.onRoom(),
        onFailure: (error) => writer.fail(error),
      },
      await openFiles(options, recovered.files),
    );
    if (recovered.files.length === 0) await files.begin();
    const writer: Writer = new Writer({
      clock,
      files,
      replicas: recovered.replicas,
      sync,
      flushBytesMax: options.flushBytesMax ?? FLUSH_BYTES_MAX,
      chain: chainOf(recovered),
      onFailure: options.onFailure,
    });
    files.lookAhead();
    return { files, replicas: recovered.replicas, writer, recovery: recovered.info };
  } catch (error) {
    await recovery.closeAll();
    throw error;
  }
}

/** Only the last one is written to. */
async function openFiles(
  { fs, sync }: JournalOptions,
  recovered: readonly RecoveredFile[],
): Promise<JournalFile[]> {
  const files: JournalFile[] = [];
  for (const { sequence, salt, file, sizeBytes, endPosition } of recovered) {
    const isLast = sequence === recovered.at(-1)?.sequence;
    const durable =
      isLast && sync === "always"
        ? await fs.open(journalPath(walName(sequence)), { mode: "write", syncWrites: true })
        : undefined;
    // The last flush is written whole again, its padding too.
    const size = Math.max(sizeBytes, endPosition);
    files.push(
      new JournalFile({ sequence, salt, plain: file, durable, sizeBytes: size, endPosition }),
    );
  }
  return files;
}

function chainOf({ lastNumber, lastHeaderCrc }: Recovered) {
  return { number: lastNumber, headerCrc: lastHeaderCrc, syncedThrough: lastNumber };
}
