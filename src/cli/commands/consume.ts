import { ConsumedRecord } from "../../client/consumed-record.ts";
import { type ReadMessage, read } from "../../client/reader.ts";
import { SystemClock } from "../../platform/system-clock.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { UsageError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { InterruptedError } from "../failures.ts";
import { ProgressLine } from "../progress.ts";
import { PATTERN_HELP, parseFormat, type RecordFormat } from "../record-formats.ts";
import { LossReport, type ServerConnection, withServer } from "../server-connection.ts";
import { SERVER_FLAGS } from "../shared-flags.ts";
import { parseStartPlace, START_PLACES, type StartPlace } from "../start-place.ts";

/** Written at once: smaller pieces cost calls, larger ones delay the reader of a pipe. */
const FLUSH_BYTES = 256 * 1024;

/** With several servers: how often in a row one is looked for, before the end is given up. */
const TRIES_MAX = 10;

export const consumeCommand: Command = {
  words: ["consume"],
  summary: "Print the records of a topic.",
  examples: [
    { line: "proglog consume orders", says: "Print all values, a line each, and stop." },
    {
      line: "proglog consume orders --offset -10 --follow",
      says: "Print the last ten, then those still to come.",
    },
    {
      line: "proglog consume orders --offset @2026-11-25T12:00:00Z --format '%o %k %v\\n'",
      says: "Print offset, key and value since a time.",
    },
  ],
  arguments: [{ name: "TOPIC", help: "Topic to read." }],
  flags: [
    {
      name: "offset",
      placeholder: START_PLACES,
      help: "Where to begin; -N is the last N records, @TIME the first appended at or after it.",
      fallback: "start",
    },
    { name: "count", short: "n", placeholder: "COUNT", help: "Stop after so many records." },
    { name: "follow", short: "f", help: "Go on with the records still to come." },
    {
      name: "format",
      placeholder: "text|json|PATTERN",
      help: "text: the value and a line feed. json: an object a line. Else a pattern.",
      fallback: "text",
    },
    ...SERVER_FLAGS,
  ],
  details: [
    `Patterns know ${PATTERN_HELP.join(", ")}, and the escapes \\n \\t \\r \\0 \\\\. They add nothing of their own, no line feed either.`,
    "json prints offset, time (of append, RFC 3339), key, value, headers and clientTimeUnixUs. Bytes " +
      "that are no UTF-8 stand in keyBase64 and valueBase64. `produce --input json` reads it.",
    "TIME is RFC 3339, a date, or seconds since 1970. With --follow, or with several servers, a lost " +
      "connection is made again and reading goes on where it was; standard error says so.",
  ],
  run: (input, context) => {
    const place = parseStartPlace(input.value("offset") ?? "start", "--offset");
    const format = parseFormat(input.value("format") ?? "text", input.argument("TOPIC"));
    const countMax = parseCount(input.value("count"));
    return withServer(input, context, (server) =>
      consume({ input, context, server, place, format, countMax }),
    );
  },
};

interface Consumption {
  readonly input: CommandInput;
  readonly context: CommandContext;
  readonly server: ServerConnection;
  readonly place: StartPlace;
  readonly format: RecordFormat;
  readonly countMax: number;
}

async function consume(job: Consumption): Promise<number> {
  const { input, context, server, countMax } = job;
  const topic = input.argument("TOPIC");
  const isFollowing = input.has("follow");
  const range = await findRange(job, topic);
  if (countMax === 0 || (!isFollowing && range.offset === range.nextOffset)) return EXIT.fine;
  const printer = new Printer(job);
  const report = new LossReport(server, context);
  const progress = new ProgressLine(context, "output", () => `${printer.count} records`);
  try {
    const messages = read({
      transport: server.transport,
      clock: new SystemClock(),
      topic,
      topicId: range.topicId,
      offset: range.offset,
      endOffset: isFollowing ? undefined : range.nextOffset,
      triesMax: server.names.length > 1 ? TRIES_MAX : 0,
      signal: context.interrupted,
      onLost: (failure) => report.lost(failure),
      onResumed: (offset) => report.resumed(`, before ${offset}`),
    });
    for await (const message of messages) {
      await printer.print(message, isFollowing);
      if (printer.count >= countMax) break;
    }
    await context.stdout.flush();
  } catch (thrown) {
    if (context.interrupted.aborted) await context.stdout.flush();
    throw context.interrupted.aborted ? new InterruptedError() : thrown;
  } finally {
    progress.end();
  }
  return EXIT.fine;
}

/** Prints records up to the limit. */
class Printer {
  readonly #job: Consumption;
  readonly #record = new ConsumedRecord();
  count = 0;

  constructor(job: Consumption) {
    this.#job = job;
  }

  async print(message: ReadMessage, isFollowing: boolean): Promise<void> {
    const { format, countMax, context } = this.#job;
    const { stdout } = context;
    let didStop = false;
    message.forEachRecord(this.#record, (record) => {
      format(record, stdout);
      this.count += 1;
      didStop = this.count >= countMax;
      return !didStop;
    });
    if (isFollowing || didStop || stdout.pendingBytes >= FLUSH_BYTES) await stdout.flush();
  }
}

/** Where to begin, where the topic ends now, and which topic it is. */
async function findRange(
  job: Consumption,
  topic: string,
): Promise<{ offset: number; nextOffset: number; topicId: number }> {
  const { topics, callOptions } = job.server;
  const { place } = job;
  const start =
    place.at === "time"
      ? { case: "appendTimeUnixUs" as const, value: BigInt(place.timeUs) }
      : { case: "lastRecords" as const, value: BigInt(place.at === "last" ? place.count : 0) };
  const found = await topics.findOffset({ topic, start }, callOptions);
  const answered = Number(place.at === "start" ? found.firstOffset : found.offset);
  const offset = place.at === "offset" ? place.offset : answered;
  return { offset, nextOffset: Number(found.nextOffset), topicId: Number(found.topicId) };
}

function parseCount(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const count = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(count)) return count;
  throw new UsageError(`Cannot read --count: "${text}" is not a number, write 0 or more`);
}
