import { BatchEncoder } from "../../client/batch-encoder.ts";
import { encodeFrame } from "../../client/record-parts.ts";
import { WriteError, Writer } from "../../client/writer.ts";
import { SystemClock } from "../../platform/system-clock.ts";
import { Log } from "../../storage/log.ts";
import { type Command, CommandError, type CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { openFolder } from "../data-folder.ts";
import { EXIT } from "../exit-codes.ts";
import { exitCodeOf, InterruptedError, withFix } from "../failures.ts";
import { ProgressLine } from "../progress.ts";
import { withServer } from "../server-connection.ts";
import { SERVER_FLAGS } from "../shared-flags.ts";

const BATCH_LIMITS = { recordsMax: 10_000, bytesMax: 256 * 1024 };

export const logImportCommand: Command = {
  words: ["log", "import"],
  summary: "Append the records of a log in the seed's format to a topic of a running server.",
  examples: [
    { line: "proglog log import ./proglog-rs-data orders", says: "All records, in order." },
    { line: "proglog log import ./old default --server other:8400", says: "To another server." },
  ],
  arguments: [
    { name: "DIR", help: "Folder with the log's segments: NNN.log and NNN.idx." },
    { name: "TOPIC", help: "Topic to append to. It must exist." },
  ],
  flags: SERVER_FLAGS,
  details: [
    "Each record becomes the value of a new one; offsets are given anew. Stops before a run of empty " +
      "records at the end that the index does not vouch for: the seed extends its files with zeros, " +
      "which look like empty records. Damage ends it, after what came before was appended.",
  ],
  run: importLog,
};

async function importLog(input: CommandInput, context: CommandContext): Promise<number> {
  const name = input.argument("DIR");
  const folder = await openFolder(name);
  if (folder.kind === "data") {
    throw new CommandError(
      `Cannot import ${name}: it is a server's data folder; serve it, then copy with consume and produce`,
    );
  }
  const log = await Log.openReadOnly({ fs: folder.fs, dir: "" });
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
        return await copy(log, writer, context, topic);
      } catch (thrown) {
        throw thrown instanceof WriteError ? explain(thrown, log, writer) : thrown;
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
  log: Log,
  writer: Writer,
  context: CommandContext,
  topic: string,
): Promise<number> {
  const frame = encodeFrame({ key: new Uint8Array(0), headers: [] });
  const encoder = new BatchEncoder(BATCH_LIMITS);
  const end = log.recovery.unvouchedFrom?.offset ?? log.nextOffset;
  let damage: unknown;
  try {
    for await (const { offset, data } of log.scan(log.firstOffset)) {
      if (offset >= end || context.interrupted.aborted) break;
      while (!encoder.add(frame, data, 0, data.length)) await writer.send(encoder.take());
    }
  } catch (thrown) {
    if (thrown instanceof WriteError) throw thrown;
    damage = thrown;
  }
  if (encoder.recordCount > 0) await writer.send(encoder.take());
  const { records, firstOffset, lastOffset } = await writer.finish();
  const offsets = firstOffset === undefined ? "" : `, offsets ${firstOffset}-${lastOffset}`;
  context.say(`Imported ${records} records to ${topic}${offsets}`);
  if (damage !== undefined) throw damage;
  if (context.interrupted.aborted) throw new InterruptedError();
  if (end < log.nextOffset) {
    context.say(
      `Left out ${log.nextOffset - end} empty records from offset ${end} on: the index does not ` +
        "vouch for them, so they are most likely zeros that the file was extended with",
    );
  }
  return EXIT.fine;
}

function explain(thrown: WriteError, log: Log, writer: Writer): CommandError {
  const { failure, refused } = thrown;
  const next = log.firstOffset + writer.summary.records;
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
