import { Code } from "@connectrpc/connect";
import { type Failure, failureOf } from "../../client/failure.ts";
import type { Replica } from "../../gen/proglog/v1/cluster_service_pb.ts";
import { ReplicaSchema } from "../../gen/proglog/v1/cluster_service_pb.ts";
import { ReadConsistency } from "../../gen/proglog/v1/record_pb.ts";
import {
  type GetTopicResponse,
  GetTopicResponseSchema,
} from "../../gen/proglog/v1/topic_service_pb.ts";
import { listReplicas, listServers, printHealth, printRole } from "../cluster-lists.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { protoJson } from "../proto-json.ts";
import { type ServerConnection, withServer } from "../server-connection.ts";
import { OUTPUT_FLAG, SERVER_FLAGS } from "../shared-flags.ts";
import { pairs, table } from "../table.ts";
import { describeTopic } from "../topic-text.ts";

/** How long a leader is waited for: there is something to show without one. */
const LEADER_MS = 5_000;

export const topicDescribeCommand: Command = {
  words: ["topic", "describe"],
  summary: "Show a topic and its replicas: who leads, and how far behind the others are.",
  examples: [
    { line: "proglog topic describe orders", says: "For people." },
    {
      line: "proglog topic describe orders -o json | jq .replicas[].lagEntries",
      says: "For programs.",
    },
  ],
  arguments: [{ name: "NAME", help: "Name of the topic." }],
  flags: [OUTPUT_FLAG, ...SERVER_FLAGS],
  details: [
    "LAG counts entries of the topic's replication log that the leader has committed and a replica is " +
      "not known to have; an entry holds one batch or several. It is known while there is a leader.",
  ],
  run: describe,
};

function describe(input: CommandInput, context: CommandContext): Promise<number> {
  const topic = input.argument("NAME");
  return withServer(input, context, async (server) => {
    const answer = await getTopic(server, topic, context);
    const replicas = await listReplicas(server, { topic });
    if (input.value("output") === "json") {
      const json = protoJson(GetTopicResponseSchema, answer);
      const items = replicas.map((replica) => protoJson(ReplicaSchema, replica));
      context.stdout.appendLine(`${json.slice(0, -1)},"replicas":[${items.join(",")}]}`);
      return EXIT.fine;
    }
    const { leader } = answer.status ?? {};
    const named = leader === undefined ? "none" : `${leader.serverId} at ${leader.address}`;
    context.stdout.appendText(pairs([...describeTopic(answer), ["leader", named]]));
    context.stdout.appendText(`\n${await replicaTable(server, replicas)}`);
    return EXIT.fine;
  });
}

/** As the leader knows it; without one, as the server does that is asked. */
async function getTopic(
  { topics, callOptions }: ServerConnection,
  topic: string,
  context: CommandContext,
): Promise<GetTopicResponse> {
  const timeoutMs = Math.min(callOptions.timeoutMs, LEADER_MS);
  try {
    return await topics.getTopic({ topic }, { ...callOptions, timeoutMs });
  } catch (thrown) {
    const why = whyNoLeader(failureOf(thrown));
    if (why === undefined) throw thrown;
    const answer = await topics.getTopic(
      { topic, consistency: ReadConsistency.COMMITTED },
      callOptions,
    );
    context.say(`${why} topic ${topic}: its extent may be outdated`);
    return answer;
  }
}

/** Undefined: it failed for another reason than that no leader could be asked. */
function whyNoLeader({ code, reason }: Failure): string | undefined {
  if (reason === "NO_QUORUM" || reason === "NOT_LEADER") return "Nobody leads";
  return code === Code.DeadlineExceeded ? "No answer in time from who leads" : undefined;
}

async function replicaTable(
  server: ServerConnection,
  replicas: readonly Replica[],
): Promise<string> {
  const servers = new Map((await listServers(server)).map((one) => [one.id, one]));
  const rows = replicas.map(({ serverId, role, lagEntries }) => {
    const holder = servers.get(serverId);
    return [
      serverId,
      holder?.address ?? "-",
      printRole(role),
      lagEntries === undefined ? "-" : `${lagEntries}`,
      holder === undefined ? "-" : printHealth(holder.health),
    ];
  });
  return table(["SERVER", "ADDRESS", "ROLE", "LAG", "HEALTH"], rows);
}
