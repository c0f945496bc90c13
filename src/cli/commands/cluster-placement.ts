import {
  type RebalanceResponse,
  RebalanceResponseSchema,
  TransferLeadershipResponseSchema,
} from "../../gen/proglog/v1/cluster_service_pb.ts";
import { serverIdOf } from "../cluster-lists.ts";
import type { Command, CommandInput } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { protoJson } from "../proto-json.ts";
import { withServer } from "../server-connection.ts";
import { OUTPUT_FLAG, SERVER_FLAGS } from "../shared-flags.ts";
import { table } from "../table.ts";

export const clusterTransferCommand: Command = {
  words: ["cluster", "transfer"],
  summary: "Hand the leadership of a topic to another server.",
  examples: [
    { line: "proglog cluster transfer orders", says: "To the voter that is furthest." },
    { line: "proglog cluster transfer _cluster 7f3a", says: "Of the cluster itself, to this one." },
  ],
  arguments: [
    { name: "TOPIC", help: "Topic, or _cluster." },
    {
      name: "SERVER",
      help: "Its id, the beginning of the id, or its address. Absent: whoever is furthest.",
      isOptional: true,
    },
  ],
  flags: [OUTPUT_FLAG, ...SERVER_FLAGS],
  run: transfer,
};

export const clusterMoveCommand: Command = {
  words: ["cluster", "move"],
  summary: "Move a topic's replica from one server to another.",
  examples: [
    { line: "proglog cluster move orders 7f3a 91c2", says: "From 7f3a to 91c2." },
    {
      line: "proglog cluster move orders 10.0.0.7:8400 10.0.0.8:8400",
      says: "The servers by their addresses.",
    },
  ],
  arguments: [
    { name: "TOPIC", help: "Topic to move." },
    { name: "FROM", help: "Server that holds it." },
    { name: "TO", help: "Server that shall hold it." },
  ],
  flags: SERVER_FLAGS,
  details: [
    "It goes on by itself: the old replica stays until the new one has caught up. `topic describe` " +
      "shows how far it is.",
  ],
  run: move,
};

export const clusterRebalanceCommand: Command = {
  words: ["cluster", "rebalance"],
  summary: "Spread replicas and leaders evenly over the servers.",
  examples: [
    { line: "proglog cluster rebalance --dry-run", says: "Only say what would be moved." },
    { line: "proglog cluster rebalance", says: "Begin; it goes on by itself." },
  ],
  arguments: [],
  flags: [{ name: "dry-run", help: "Only say what would be moved." }, OUTPUT_FLAG, ...SERVER_FLAGS],
  run: rebalance,
};

function transfer(input: CommandInput, context: CommandContext): Promise<number> {
  const topic = input.argument("TOPIC");
  const wanted = input.optionalArgument("SERVER");
  return withServer(input, context, async (server) => {
    const serverId = wanted === undefined ? "" : await serverIdOf(server, wanted);
    const { cluster, callOptions } = server;
    const answer = await cluster.transferLeadership({ topic, serverId }, callOptions);
    context.say(`Server ${answer.leader?.serverId} leads topic ${topic}`);
    if (input.value("output") === "json") {
      context.stdout.appendLine(protoJson(TransferLeadershipResponseSchema, answer));
    }
    return EXIT.fine;
  });
}

function move(input: CommandInput, context: CommandContext): Promise<number> {
  const topic = input.argument("TOPIC");
  return withServer(input, context, async (server) => {
    const sourceServerId = await serverIdOf(server, input.argument("FROM"));
    const targetServerId = await serverIdOf(server, input.argument("TO"));
    const request = { topic, sourceServerId, targetServerId };
    await server.cluster.moveReplica(request, server.callOptions);
    context.say(`Moving topic ${topic} from ${sourceServerId} to ${targetServerId}`);
    return EXIT.fine;
  });
}

function rebalance(input: CommandInput, context: CommandContext): Promise<number> {
  const validateOnly = input.has("dry-run");
  return withServer(input, context, async ({ cluster, callOptions }) => {
    const plan = await cluster.rebalance({ validateOnly }, callOptions);
    if (input.value("output") === "json") {
      context.stdout.appendLine(protoJson(RebalanceResponseSchema, plan));
    } else {
      context.stdout.appendText(planTable(plan));
    }
    const moves = plan.moves.length === 1 ? "1 replica" : `${plan.moves.length} replicas`;
    const leaders = plan.transfers.length === 1 ? "1 leader" : `${plan.transfers.length} leaders`;
    context.say(`${validateOnly ? "Would move" : "Moving"} ${moves} and ${leaders}`);
    return EXIT.fine;
  });
}

function planTable({ moves, transfers }: RebalanceResponse): string {
  const rows = [
    ...moves.map(({ topic, sourceServerId, targetServerId }) => [
      topic,
      "replica",
      sourceServerId,
      targetServerId,
    ]),
    ...transfers.map(({ topic, serverId }) => [topic, "leader", "-", serverId]),
  ];
  return rows.length === 0 ? "" : table(["TOPIC", "WHAT", "FROM", "TO"], rows);
}
