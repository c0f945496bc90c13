import { TopicSchema } from "../../gen/proglog/v1/topic_service_pb.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { UsageError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { protoJson } from "../proto-json.ts";
import { withServer } from "../server-connection.ts";
import { OUTPUT_FLAG, SERVER_FLAGS } from "../shared-flags.ts";
import {
  readTopicSettings,
  TOPIC_SETTING_FLAGS,
  TOPIC_SETTING_NAMES,
  toFieldNames,
} from "../topic-settings.ts";

const NAME_RULE =
  "A name has 1 to 128 characters of [a-z0-9._-], and begins and ends with a letter or digit.";

export const topicCreateCommand: Command = {
  words: ["topic", "create"],
  summary: "Make a topic.",
  examples: [
    { line: "proglog topic create orders", says: "With the server's defaults." },
    {
      line: "proglog topic create clicks --retention-age 7d --retention-bytes 10GiB",
      says: "Remove records after a week, or when there are more than 10 GiB.",
    },
  ],
  arguments: [{ name: "NAME", help: "Name of the new topic." }],
  flags: [...TOPIC_SETTING_FLAGS, OUTPUT_FLAG, ...SERVER_FLAGS],
  details: [NAME_RULE, "Settings that are not given follow the server's defaults, also later."],
  run: create,
};

export const topicUpdateCommand: Command = {
  words: ["topic", "update"],
  summary: "Change settings of a topic.",
  examples: [
    { line: "proglog topic update orders --retention-age 30d", says: "Keep records for a month." },
    {
      line: "proglog topic update orders --reset retention-age",
      says: "Back to the server's default.",
    },
  ],
  arguments: [{ name: "NAME", help: "Name of the topic." }],
  flags: [
    ...TOPIC_SETTING_FLAGS,
    {
      name: "reset",
      placeholder: "SETTING",
      help: "Back to the server's default.",
      isRepeatable: true,
      choices: TOPIC_SETTING_NAMES,
    },
    OUTPUT_FLAG,
    ...SERVER_FLAGS,
  ],
  run: update,
};

function create(input: CommandInput, context: CommandContext): Promise<number> {
  const topic = input.argument("NAME");
  const settings = readTopicSettings(input);
  return withServer(input, context, async ({ topics, callOptions }) => {
    const answer = await topics.createTopic({ topic, settings }, callOptions);
    context.say(`Created topic ${topic}, id ${answer.topic?.id}`);
    if (input.value("output") === "json" && answer.topic !== undefined) {
      context.stdout.appendLine(protoJson(TopicSchema, answer.topic));
    }
    return EXIT.fine;
  });
}

function update(input: CommandInput, context: CommandContext): Promise<number> {
  const topic = input.argument("NAME");
  const settings = readTopicSettings(input);
  const given = TOPIC_SETTING_NAMES.filter((name) => input.has(name));
  const reset = input.values("reset");
  const both = given.find((name) => reset.includes(name));
  if (both !== undefined) throw new UsageError(`Cannot set and reset ${both} at once`);
  const changed = [...given, ...reset];
  if (changed.length === 0) throw new UsageError("Nothing to change: give a setting, or --reset");
  return withServer(input, context, async ({ topics, callOptions }) => {
    const updateMask = { paths: toFieldNames(changed) };
    const answer = await topics.updateTopic({ topic, settings, updateMask }, callOptions);
    context.say(`Updated topic ${topic}: ${changed.join(", ")}`);
    if (input.value("output") === "json" && answer.topic !== undefined) {
      context.stdout.appendLine(protoJson(TopicSchema, answer.topic));
    }
    return EXIT.fine;
  });
}
