import {
  type GetStatusResponse,
  GetStatusResponseSchema,
  type Server,
  ServerSchema,
} from "../../gen/proglog/v1/cluster_service_pb.ts";
import { listServers, printHealth, printState } from "../cluster-lists.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { protoJson } from "../proto-json.ts";
import { withServer } from "../server-connection.ts";
import { OUTPUT_FLAG, SERVER_FLAGS } from "../shared-flags.ts";
import { pairs, table } from "../table.ts";

export const clusterStatusCommand: Command = {
  words: ["cluster", "status"],
  summary: "Say whether the cluster is well.",
  examples: [
    { line: "proglog cluster status", says: "For people, with the servers." },
    {
      line: "proglog cluster status -o json | jq .topicsLeaderless",
      says: "For programs: topics to which nothing can be produced.",
    },
  ],
  arguments: [],
  flags: [OUTPUT_FLAG, ...SERVER_FLAGS],
  details: [
    "It is what the server sees that answers: ask others too when servers seem to be down.",
  ],
  run: status,
};

export const clusterServersCommand: Command = {
  words: ["cluster", "servers"],
  summary: "List the servers of the cluster.",
  examples: [
    { line: "proglog cluster servers", says: "All of them, by id." },
    { line: "proglog cluster servers -o json", says: "An object a line." },
  ],
  arguments: [],
  flags: [OUTPUT_FLAG, ...SERVER_FLAGS],
  run: servers,
};

function status(input: CommandInput, context: CommandContext): Promise<number> {
  return withServer(input, context, async (server) => {
    const answer = await server.cluster.getStatus({}, server.callOptions);
    const { stdout } = context;
    if (input.value("output") === "json") {
      stdout.appendLine(protoJson(GetStatusResponseSchema, answer));
      return EXIT.fine;
    }
    stdout.appendText(pairs(describe(answer)));
    stdout.appendText(`\n${serverTable(await listServers(server), answer.leader?.serverId)}`);
    return EXIT.fine;
  });
}

function describe(answer: GetStatusResponse): (readonly [string, string])[] {
  const { leader, servers: serverCount, serversDown, topics } = answer;
  const faults = [
    ...(answer.topicsLeaderless > 0 ? [`${answer.topicsLeaderless} without a leader`] : []),
    ...(answer.topicsUnderReplicated > 0
      ? [`${answer.topicsUnderReplicated} with too few replicas`]
      : []),
  ];
  return [
    ["cluster", answer.clusterId === "" ? "none yet" : answer.clusterId],
    ["answered by", answer.serverId],
    ["leader", leader === undefined ? "none" : `${leader.serverId} at ${leader.address}`],
    ["servers", serversDown === 0 ? `${serverCount}` : `${serverCount}, ${serversDown} down`],
    ["topics", [`${topics}`, ...faults].join(", ")],
    ["feature level", `${answer.featureLevel}`],
  ];
}

function servers(input: CommandInput, context: CommandContext): Promise<number> {
  return withServer(input, context, async (server) => {
    const found = await listServers(server);
    const { stdout } = context;
    if (input.value("output") === "json") {
      for (const one of found) stdout.appendLine(protoJson(ServerSchema, one));
      return EXIT.fine;
    }
    const { leader } = await server.cluster.getStatus({}, server.callOptions);
    stdout.appendText(serverTable(found, leader?.serverId));
    return EXIT.fine;
  });
}

function serverTable(found: readonly Server[], leaderId: string | undefined): string {
  const rows = found.map(({ id, address, zone, state, health, version }) => [
    id,
    address,
    zone === "" ? "-" : zone,
    id === leaderId ? `${printState(state)}, leads` : printState(state),
    printHealth(health),
    version,
  ]);
  return table(["SERVER", "ADDRESS", "ZONE", "STATE", "HEALTH", "VERSION"], rows);
}
