import { KIB } from "../../base/units.ts";
import { printSize } from "../../server/setting-types.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { UsageError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { InterruptedError } from "../failures.ts";
import { BATCH_BYTES, BATCH_RECORDS, DURATION, flagValue } from "../flag-values.ts";
import { checkInput, openInput } from "../input.ts";
import { Production } from "../production.ts";
import { ProgressLine } from "../progress.ts";
import { withServer } from "../server-connection.ts";
import { SERVER_FLAGS } from "../shared-flags.ts";

const BATCH_RECORDS_MAX = 10_000;
const BATCH_BYTES_MAX = 256 * KIB;
const RETRY_MS = 60_000;

export const produceCommand: Command = {
  words: ["produce"],
  summary: "Append records to a topic: a line is a record.",
  examples: [
    { line: "echo hello | proglog produce default", says: "Append one record." },
    { line: "proglog produce orders orders.txt --key eu", says: "Append the lines of a file." },
    {
      line: "proglog consume a --format json | proglog produce b --input json",
      says: "Copy a topic with keys and headers.",
    },
  ],
  arguments: [
    { name: "TOPIC", help: "Topic to append to. It must exist." },
    { name: "FILE", help: "File to read; standard input when absent or -.", isOptional: true },
  ],
  flags: [
    { name: "key", short: "k", placeholder: "TEXT", help: "Key of every record." },
    {
      name: "header",
      short: "H",
      placeholder: "NAME=VALUE",
      help: "Header of every record.",
      isRepeatable: true,
    },
    {
      name: "input",
      placeholder: "lines|json",
      choices: ["lines", "json"],
      help: "What a line is: a value, or a JSON object.",
      fallback: "lines",
    },
    {
      name: "producer-id",
      placeholder: "ID",
      help: "Append each record once also when the connection is lost, by trying again under this id.",
    },
    {
      name: "retry-for",
      placeholder: "DURATION",
      help: "With --producer-id, or several servers: how long to try again.",
      fallback: "60s",
    },
    {
      name: "batch-records",
      placeholder: "N",
      help: "Most records to send as one batch, all or none.",
      fallback: String(BATCH_RECORDS_MAX),
    },
    {
      name: "batch-bytes",
      placeholder: "SIZE",
      help: "Most bytes to send as one batch; a larger record is a batch of its own.",
      fallback: printSize(BATCH_BYTES_MAX),
    },
    ...SERVER_FLAGS,
  ],
  details: [
    "Lines are bytes: only the line feed is taken off. A carriage return stays, an empty line is an " +
      "empty record, and the last line needs no line feed.",
    "With --input json a line is what `consume --format json` prints: key, value, headers (a list of " +
      "objects with name and value) and clientTimeUnixUs. Bytes that are no UTF-8 stand in keyBase64 " +
      "and valueBase64. offset and time are ignored, every other key is an error.",
    "A --producer-id is for one process at a time: who opens it fences the one before. With several " +
      "servers each run has one of its own, so that what is sent again to the next server is not appended twice.",
  ],
  run: produce,
};

async function produce(input: CommandInput, context: CommandContext): Promise<number> {
  const isJson = input.value("input") === "json";
  if (isJson && (input.has("key") || input.has("header"))) {
    throw new UsageError("Cannot use --key or --header with --input json: write them in the lines");
  }
  const headers = input.values("header").map(parseHeader);
  const options = {
    isJson,
    limits: {
      recordsMax: flagValue(input, "batch-records", BATCH_RECORDS) ?? BATCH_RECORDS_MAX,
      bytesMax: flagValue(input, "batch-bytes", BATCH_BYTES) ?? BATCH_BYTES_MAX,
    },
    retryMs: flagValue(input, "retry-for", DURATION) ?? RETRY_MS,
  };
  const meta = { key: Buffer.from(input.value("key") ?? ""), headers };
  await checkInput(input.optionalArgument("FILE"));
  return withServer(input, context, async (server) => {
    const production = await Production.open(input, context, { ...options, server, meta });
    const lines = openInput(input.optionalArgument("FILE"), context);
    // With a file the terminal is free, whatever standard input is.
    const use = (input.optionalArgument("FILE") ?? "-") === "-" ? "input" : "none";
    const progress = new ProgressLine(context, use, () => production.progress());
    try {
      await production.run(lines);
    } finally {
      progress.end();
      lines.close();
    }
    context.say(production.summary());
    if (context.interrupted.aborted) throw new InterruptedError();
    return EXIT.fine;
  });
}

function parseHeader(text: string): { name: string; value: Uint8Array } {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`Cannot read --header: "${text}" has no name, write NAME=VALUE`);
  return { name: text.slice(0, at), value: Buffer.from(text.slice(at + 1)) };
}
