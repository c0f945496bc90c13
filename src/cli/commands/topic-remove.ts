import type { Command, CommandInput } from "../command.ts";
import { confirm, declined } from "../confirm.ts";
import type { CommandContext } from "../context.ts";
import { UsageError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { type ServerConnection, withServer } from "../server-connection.ts";
import { SERVER_FLAGS, YES_FLAG } from "../shared-flags.ts";
import { parseStartPlace, type StartPlace } from "../start-place.ts";

export const topicDeleteCommand: Command = {
  words: ["topic", "delete"],
  summary: "Delete a topic with all its records.",
  examples: [
    { line: "proglog topic delete orders", says: "Asks first." },
    { line: "proglog topic delete orders --yes", says: "For scripts." },
  ],
  arguments: [{ name: "NAME", help: "Name of the topic." }],
  flags: [YES_FLAG, ...SERVER_FLAGS],
  run: deleteTopic,
};

export const topicTrimCommand: Command = {
  words: ["topic", "trim"],
  summary: "Remove the oldest records of a topic.",
  examples: [
    { line: "proglog topic trim orders --before 500", says: "Remove those below offset 500." },
    {
      line: "proglog topic trim orders --before @2026-11-01 --yes",
      says: "Remove those appended before November.",
    },
  ],
  arguments: [{ name: "NAME", help: "Name of the topic." }],
  flags: [
    {
      name: "before",
      placeholder: "end|N|-N|@TIME",
      help: "First record to keep: an offset, the last N, or the first appended at or after TIME.",
    },
    YES_FLAG,
    ...SERVER_FLAGS,
  ],
  details: ["Space on disk is freed later, by whole segments."],
  run: trim,
};

function deleteTopic(input: CommandInput, context: CommandContext): Promise<number> {
  const topic = input.argument("NAME");
  return withServer(input, context, async ({ topics, callOptions }) => {
    // The id keeps a retry, or a slow answer to the question, from hitting another topic.
    const found = await topics.getTopic({ topic }, callOptions);
    const { firstOffset = 0n, nextOffset = 0n } = found.status ?? {};
    const what = `Delete topic ${topic} with ${countOf(Number(nextOffset - firstOffset))}`;
    if (!(await confirm(what, input, context))) return declined(context);
    const topicId = found.topic?.id ?? 0n;
    await topics.deleteTopic({ topic, topicId }, callOptions);
    context.say(`Deleted topic ${topic}, id ${topicId}`);
    return EXIT.fine;
  });
}

function trim(input: CommandInput, context: CommandContext): Promise<number> {
  const topic = input.argument("NAME");
  const before = input.value("before");
  if (before === undefined) throw new UsageError("Cannot trim without --before: what is to stay?");
  const place = parseStartPlace(before, "--before");
  if (place.at === "start") throw new UsageError('Cannot trim before "start": nothing is there');
  return withServer(input, context, async (server) => {
    const { topics, callOptions } = server;
    const found = await findOffset(server, topic, place);
    const removed = Math.max(0, found.offset - found.firstOffset);
    const what = `Remove ${countOf(removed)} of topic ${topic}, below offset ${found.offset}`;
    if (!(await confirm(what, input, context))) return declined(context);
    const request = { topic, topicId: found.topicId, beforeOffset: BigInt(found.offset) };
    const answer = await topics.trimTopic(request, callOptions);
    context.say(`Trimmed topic ${topic}: its first offset is ${answer.firstOffset}`);
    return EXIT.fine;
  });
}

async function findOffset(
  server: ServerConnection,
  topic: string,
  place: Exclude<StartPlace, { at: "start" }>,
): Promise<{ offset: number; firstOffset: number; topicId: bigint }> {
  const start =
    place.at === "time"
      ? { case: "appendTimeUnixUs" as const, value: BigInt(place.timeUs) }
      : { case: "lastRecords" as const, value: BigInt(place.at === "last" ? place.count : 0) };
  const found = await server.topics.findOffset({ topic, start }, server.callOptions);
  return {
    offset: place.at === "offset" ? place.offset : Number(found.offset),
    firstOffset: Number(found.firstOffset),
    topicId: found.topicId,
  };
}

function countOf(records: number): string {
  return `${records} ${records === 1 ? "record" : "records"}`;
}
