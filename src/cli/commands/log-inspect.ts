import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type DataFolder, holderOf, openFolder } from "../data-folder.ts";
import { CommandError, UsageError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { warnOfHolder } from "../findings.ts";
import { OUTPUT_FLAG } from "../shared-flags.ts";
import {
  type LogSurvey,
  type NodeSurvey,
  surveyLog,
  surveyNode,
  surveyTopics,
  type TopicSurvey,
} from "../survey-folder.ts";
import { pairs, table } from "../table.ts";
import { printTime } from "../time.ts";

export const logInspectCommand: Command = {
  words: ["log", "inspect"],
  summary: "Show what is in a data folder: topics, segments, checkpoints, the journal.",
  examples: [
    { line: "proglog log inspect ./data", says: "The journal and all topics." },
    { line: "proglog log inspect ./data 1", says: "The segments of the topic with id 1." },
  ],
  arguments: [
    {
      name: "DIR",
      help: "A server's data folder, or a folder with one log in the seed's format.",
    },
    { name: "TOPIC-ID", help: "Show the segments of this topic.", isOptional: true },
  ],
  flags: [OUTPUT_FLAG],
  details: [
    "Changes nothing and needs no server; a server may use the folder meanwhile. Names of topics " +
      "are those of the last checkpoint.",
  ],
  run: inspect,
};

async function inspect(input: CommandInput, context: CommandContext): Promise<number> {
  const folder = await openFolder(input.argument("DIR"));
  const text = input.optionalArgument("TOPIC-ID");
  const topicId = text === undefined ? undefined : parseTopicId(text);
  warnOfHolder(context, await holderOf(folder));
  const isJson = input.value("output") === "json";
  const { stdout } = context;
  if (folder.kind === "raw") {
    if (topicId !== undefined) {
      throw new UsageError(`Cannot show topic ${topicId}: ${folder.name} holds one log, no topics`);
    }
    const survey = await surveyLog(folder.fs, "");
    if (isJson) stdout.appendLine(JSON.stringify(survey));
    else stdout.appendText(describeLog(survey));
  } else if (topicId !== undefined) {
    const survey = await findTopic(folder, topicId);
    if (isJson) stdout.appendLine(JSON.stringify(toJson(survey)));
    else stdout.appendText(describeTopic(survey));
  } else {
    const node = await surveyNode(folder);
    const topics: TopicSurvey[] = [];
    for await (const topic of surveyTopics(folder)) topics.push(topic);
    if (isJson) stdout.appendLine(JSON.stringify({ ...node, topics: topics.map(toJson) }));
    else stdout.appendText(describeNode(node) + describeTopics(topics));
  }
  return EXIT.fine;
}

function parseTopicId(text: string): number {
  const id = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(id)) return id;
  throw new UsageError(`Cannot read TOPIC-ID: "${text}" is not a number`);
}

async function findTopic(folder: DataFolder, id: number): Promise<TopicSurvey> {
  for await (const topic of surveyTopics(folder, id)) return topic;
  throw new CommandError(`Cannot show topic ${id}: it is not in ${folder.name}`, {
    exitCode: EXIT.notFound,
  });
}

/** Without the opaque parts of the checkpoint, which are only sizes to a reader. */
function toJson(topic: TopicSurvey): unknown {
  const { checkpoint, ...rest } = topic;
  if (checkpoint === undefined || checkpoint === "damaged") return { ...rest, checkpoint };
  const { state, confState, ...known } = checkpoint;
  return { ...rest, checkpoint: { ...known, stateBytes: state.length } };
}

function describeNode({ node, journal, faults }: NodeSurvey): string {
  const rows: [string, string][] = [
    ["node", node?.nodeId ?? "-"],
    ["cluster", node?.clusterId ?? "-"],
    ["created", node === undefined ? "-" : printTime(node.createTimeUs)],
  ];
  if (journal !== undefined) {
    const { fileCount, flushCount, entryCount, flushBytes } = journal;
    rows.push(
      ["journal", `${fileCount} files, ${flushCount} flushes, ${flushBytes} bytes`],
      ["entries", `${entryCount} in its files`],
      ["last stop", journal.isCleanStop ? "clean" : "not clean, or still in use"],
      ["journal end", `${journal.endFile} at byte ${journal.endPosition}`],
    );
  }
  for (const fault of faults) rows.push(["fault", fault]);
  return `${pairs(rows)}\n`;
}

function describeTopics(topics: readonly TopicSurvey[]): string {
  const rows = topics.map((topic) => [
    String(topic.id),
    topic.name ?? "-",
    String(topic.firstOffset),
    String(topic.nextOffset),
    String(topic.segments.length),
    String(topic.diskBytes),
    describeCheckpoint(topic),
  ]);
  const head = ["ID", "NAME", "FIRST", "NEXT", "SEGMENTS", "BYTES", "CHECKPOINT"];
  return table(head, rows) + topics.map(describeRecovery).join("");
}

function describeTopic(topic: TopicSurvey): string {
  return `${pairs([
    ["topic", `${topic.name ?? "-"}, id ${topic.id}`],
    ["checkpoint", describeCheckpoint(topic)],
  ])}${describeLog(topic)}`;
}

function describeLog(survey: LogSurvey): string {
  const rows = survey.segments.map(({ base, nextOffset, storeBytes, indexBytes, isOpen }) => [
    String(base),
    String(nextOffset),
    String(nextOffset - base),
    String(storeBytes),
    String(indexBytes),
    isOpen ? "open" : "closed",
  ]);
  const head = ["BASE", "NEXT", "RECORDS", "STORE BYTES", "INDEX BYTES", "STATE"];
  return `${pairs([
    ["first offset", String(survey.firstOffset)],
    ["next offset", String(survey.nextOffset)],
    ["disk bytes", String(survey.diskBytes)],
  ])}\n${table(head, rows)}${describeRecovery(survey)}`;
}

function describeCheckpoint({ checkpoint }: TopicSurvey): string {
  if (checkpoint === undefined) return "none";
  if (checkpoint === "damaged") return "damaged";
  return `next offset ${checkpoint.nextOffset}, applied ${checkpoint.appliedIndex}`;
}

/** What the next start would do about the log, and what it could not. */
function describeRecovery(survey: LogSurvey & { readonly id?: number }): string {
  const { cutBytes, stopped, rebuiltIndexes, damaged, unvouchedFrom } = survey.recovery;
  const lines: string[] = [];
  if (cutBytes > 0) lines.push(`${cutBytes} bytes after the last whole record (${stopped})`);
  if (rebuiltIndexes > 0) lines.push(`${rebuiltIndexes} indexes do not fit their stores`);
  if (unvouchedFrom !== undefined) {
    lines.push(
      `empty records from offset ${unvouchedFrom.offset} on are most likely zeros that a store was extended with`,
    );
  }
  for (const error of damaged) lines.push(error.message);
  const prefix = survey.id === undefined ? "" : `topic ${survey.id}: `;
  return lines.map((line) => `${prefix}${line}\n`).join("");
}
