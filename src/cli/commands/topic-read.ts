import {
  GetTopicResponseSchema,
  type Topic,
  TopicSchema,
} from "../../gen/proglog/v1/topic_service_pb.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { protoJson } from "../proto-json.ts";
import { type ServerConnection, withServer } from "../server-connection.ts";
import { OUTPUT_FLAG, SERVER_FLAGS } from "../shared-flags.ts";
import { pairs, table } from "../table.ts";
import { created, describeTopic } from "../topic-text.ts";

const PAGE_SIZE = 1_000;

export const topicListCommand: Command = {
  words: ["topic", "list"],
  aliases: ["ls"],
  summary: "List the topics.",
  examples: [
    { line: "proglog topic list", says: "All topics, by name." },
    { line: "proglog topic list --prefix orders. -o json", says: "Some, an object a line." },
  ],
  arguments: [],
  flags: [
    { name: "prefix", placeholder: "TEXT", help: "Only topics whose names begin so." },
    OUTPUT_FLAG,
    ...SERVER_FLAGS,
  ],
  run: list,
};

export const topicGetCommand: Command = {
  words: ["topic", "get"],
  summary: "Show a topic: its extent and its settings.",
  examples: [
    { line: "proglog topic get orders", says: "For people." },
    { line: "proglog topic get orders -o json | jq .status.nextOffset", says: "For programs." },
  ],
  arguments: [{ name: "NAME", help: "Name of the topic." }],
  flags: [OUTPUT_FLAG, ...SERVER_FLAGS],
  run: get,
};

function list(input: CommandInput, context: CommandContext): Promise<number> {
  return withServer(input, context, async (server) => {
    const { stdout } = context;
    const isJson = input.value("output") === "json";
    const rows: string[][] = [];
    for await (const topic of listAll(server, input.value("prefix") ?? "")) {
      if (isJson) stdout.appendLine(protoJson(TopicSchema, topic));
      else rows.push([topic.name, String(topic.id), created(topic)]);
    }
    if (!isJson) stdout.appendText(table(["NAME", "ID", "CREATED"], rows));
    return EXIT.fine;
  });
}

async function* listAll(server: ServerConnection, namePrefix: string): AsyncGenerator<Topic> {
  let pageToken = "";
  do {
    const request = { namePrefix, pageToken, pageSize: PAGE_SIZE };
    const page = await server.topics.listTopics(request, server.callOptions);
    yield* page.topics;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}

function get(input: CommandInput, context: CommandContext): Promise<number> {
  const name = input.argument("NAME");
  return withServer(input, context, async ({ topics, callOptions }) => {
    const answer = await topics.getTopic({ topic: name }, callOptions);
    if (input.value("output") === "json") {
      context.stdout.appendLine(protoJson(GetTopicResponseSchema, answer));
      return EXIT.fine;
    }
    context.stdout.appendText(pairs(describeTopic(answer)));
    return EXIT.fine;
  });
}
