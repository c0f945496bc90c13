import { join } from "node:path";
import { toOffset } from "../../base/units.ts";
import { BatchEncoder } from "../../client/batch-encoder.ts";
import { WriteError, Writer } from "../../client/writer.ts";
import { SystemClock } from "../../platform/system-clock.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { DamageLog } from "../damage-log.ts";
import { openFolder } from "../data-folder.ts";
import { CommandError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { exitCodeOf, InterruptedError, withFix } from "../failures.ts";
import { type ImportSource, openImportSource } from "../import-source.ts";
import { ProgressLine } from "../progress.ts";
import { withServer } from "../server-connection.ts";
import { SERVER_FLAGS } from "../shared-flags.ts";

const BATCH_LIMITS = { recordsMax: 10_000, bytesMax: 256 * 1024 };

export const logImportCommand: Command = {
  words: ["log", "import"],
  summary: "Append the records of a log's folder to a topic of a running server.",
  examples: [
    { line: "proglog log import ./proglog-rs-data orders", says: "All records, in order." },
    {
      line: "proglog log import ./old-data/topics/2 orders --server other:8400",
      says: "A topic's folder of another server, which is stopped or lost, with keys and headers.",
    },
  ],
  arguments: [
    { name: "DIR", help: "Folder with the log's segments: NNN.log and NNN.idx." },
    { name: "TOPIC", help: "Topic to append to. It must exist." },
  ],
  flags: [
    { name: "raw", help: "Take frames as values, also when they are a topic's of this program." },
    {
      name: "skip-damaged",
      help: "Go on after damaged records with those that can be read; exit 1 and say which are missing.",
    },
    ...SERVER_FLAGS,
  ],
  details: [
    "Of a topic's folder of this program each record is appended as it was: key, value, headers and " +
      "client time, without those that were removed or trimmed. Which folder was whose topic: " +
      "proglog log inspect DATA-DIR, as long as the catalogue is there.",
    "Of a log in the seed's format each record becomes the value of a new one. Stops before a run of empty " +
      "records at the end that the index does not vouch for: the seed extends its files with zeros, " +
      "which look like empty records. Damage ends it, after what came before was appended, unless " +
      "--skip-damaged is given.",
    "Offsets and append times are given anew.",
  ],
  run: importLog,
};

async function importLog(input: CommandInput, context: CommandContext): Promise<number> {
  const name = input.argument("DIR");
  const folder = await openFolder(name);
  if (folder.kind === "data") {
    throw new CommandError(
      `Cannot import ${name}: it is a server's data folder; name the folder of one topic, such as ${join(name, "topics", "1")}`,
    );
  }
  const source = await openImportSource(folder.fs, { isRaw: input.has("raw") });
  const skipsDamaged = input.has("skip-damaged");
  const { log } = source;
  if (source.kind === "records") {
    context.say(`${name} is a topic of proglog: its records are appended with keys and headers`);
  }
  try {
    return await withServer(input, context, async (server) => {
      const topic = input.argument("TOPIC");
      const found = await server.topics.getTopic({ topic }, server.callOptions);
      const abandoned = new AbortController();
      const writer = new Writer({
        transport: server.transport,
        clock: new SystemClock(),
        topic,
        topicId: Number(found.topic?.id ?? 0n),
        retryMs: 0,
        signal: abandoned.signal,
      });
      const progress = new ProgressLine(
        context,
        "none",
        () => `${writer.summary.records} records appended`,
      );
      try {
        return await copy(source, { writer, context, topic, skipsDamaged });
      } catch (thrown) {
        throw thrown instanceof WriteError ? explain(thrown, source, writer) : thrown;
      } finally {
        progress.end();
        abandoned.abort();
      }
    });
  } finally {
    await log.close();
  }
}

async function copy(
  source: ImportSource,
  options: {
    readonly writer: Writer;
    readonly context: CommandContext;
    readonly topic: string;
    readonly skipsDamaged: boolean;
  },
): Promise<number> {
  const { writer, context, topic, skipsDamaged } = options;
  const encoder = new BatchEncoder(BATCH_LIMITS);
  const damage = new DamageLog(source.log, source.end);
  let next: number | undefined = source.start;
  while (next !== undefined && next < source.end && !context.interrupted.aborted) {
    try {
      next = await copyFrom(next, { source, writer, encoder, context, damage });
    } catch (thrown) {
      if (thrown instanceof WriteError) throw thrown;
      next = await damage.met(thrown, skipsDamaged);
    }
  }
  if (encoder.recordCount > 0) await writer.send(encoder.take());
  const { records, firstOffset, lastOffset } = await writer.finish();
  const offsets = firstOffset === undefined ? "" : `, offsets ${firstOffset}-${lastOffset}`;
  context.say(`Imported ${records} records to ${topic}${offsets}`);
  damage.report(context);
  if (context.interrupted.aborted) throw new InterruptedError();
  sayLeftOut(source, context);
  return EXIT.fine;
}

interface CopyParts {
  readonly source: ImportSource;
  readonly writer: Writer;
  readonly encoder: BatchEncoder;
  readonly context: CommandContext;
  readonly damage: DamageLog;
}

/** Copies up to the end or to damage, which it throws. */
async function copyFrom(start: number, parts: CopyParts): Promise<undefined> {
  const { source, writer, encoder, context, damage } = parts;
  damage.at = start;
  for await (const record of source.log.scan(toOffset(start))) {
    if (record.offset >= source.end || context.interrupted.aborted) break;
    damage.at = record.offset;
    while (source.add(encoder, record) === "full") await writer.send(encoder.take());
    damage.at = record.offset + 1;
  }
  return undefined;
}

/** What of the old log is no record. @throws {CommandError} when records are missing that were there */
function sayLeftOut(source: ImportSource, context: CommandContext): void {
  const { log, start, end, syncedStart, syncedEnd } = source;
  if (start > syncedStart) {
    throw new CommandError(
      `Cannot import the records from offset ${syncedStart} to ${start - 1}: their files are missing`,
    );
  }
  const { cutBytes } = log.recovery;
  if (cutBytes > 0) context.say(`Left out ${cutBytes} bytes after the last whole record`);
  if (end < syncedEnd) {
    throw new CommandError(
      `Cannot import the records from offset ${end} to ${syncedEnd - 1}: they are damaged, see proglog log verify`,
    );
  }
  if (end < log.nextOffset) {
    context.say(
      `Left out ${log.nextOffset - end} empty records from offset ${end} on: the index does not ` +
        "vouch for them, so they are most likely zeros that the file was extended with",
    );
  }
}

function explain(thrown: WriteError, source: ImportSource, writer: Writer): CommandError {
  const { failure, refused } = thrown;
  // As many as were appended, when none was left out in between.
  const next = source.start + writer.summary.records;
  const place = refused === undefined ? "" : ` the records from offset ${next} on`;
  const lines = withFix(`Cannot append${place}: ${failure.message}`, failure.reason);
  const done = `Imported ${writer.summary.records} records, up to offset ${next - 1} of the old log`;
  return new CommandError(
    [...lines, writer.summary.records === 0 ? "Imported nothing" : done].join("\n"),
    {
      exitCode: exitCodeOf(failure),
      cause: thrown,
    },
  );
}
