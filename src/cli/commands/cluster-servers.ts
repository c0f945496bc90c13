import { pause } from "../../client/reader.ts";
import {
  type Replica,
  type Server,
  ServerSchema,
  ServerState,
} from "../../gen/proglog/v1/cluster_service_pb.ts";
import { SystemClock } from "../../platform/system-clock.ts";
import { listReplicas, serverIdOf } from "../cluster-lists.ts";
import type { Command, CommandInput, FlagSpec } from "../command.ts";
import { confirm, declined } from "../confirm.ts";
import type { CommandContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { ProgressLine } from "../progress.ts";
import { protoJson } from "../proto-json.ts";
import { type ServerConnection, withServer } from "../server-connection.ts";
import { OUTPUT_FLAG, SERVER_FLAGS, YES_FLAG } from "../shared-flags.ts";

/** The catalogue, of which every member has a replica. */
const CLUSTER_TOPIC = "_cluster";

/** Between two looks at what is left on a server that is drained. */
const LOOK_MS = 500;

const SERVER_ARGUMENT = {
  name: "SERVER",
  help: "Its id, the beginning of the id, or its address.",
} as const;

export const clusterAddCommand: Command = {
  words: ["cluster", "add"],
  summary: "Take a server into the cluster that waits for it.",
  examples: [
    { line: "proglog cluster add 10.0.0.7:8400", says: "It runs with --join and waits." },
    { line: "proglog cluster add node-4.example.com:8400 -o json", says: "For programs." },
  ],
  arguments: [{ name: "ADDRESS", help: "Where it listens, HOST:PORT." }],
  flags: [OUTPUT_FLAG, ...SERVER_FLAGS],
  details: ["Rarely needed: a server that runs with --join and reaches a member asks by itself."],
  run: add,
};

export const clusterRemoveCommand: Command = {
  words: ["cluster", "remove"],
  summary: "Remove a server from the cluster for good.",
  examples: [
    { line: "proglog cluster remove 7f3a", says: "One that holds nothing any more. Asks first." },
    {
      line: "proglog cluster remove 7f3a --force --yes",
      says: "One that is lost; its topics get new replicas elsewhere.",
    },
  ],
  arguments: [SERVER_ARGUMENT],
  flags: [
    { name: "force", help: "Remove it although it holds replicas, because it is lost." },
    YES_FLAG,
    ...SERVER_FLAGS,
  ],
  details: [
    "Its id never comes back. To bring the machine back, let it join with an empty data folder.",
  ],
  run: remove,
};

const WAIT_FLAG: FlagSpec = {
  name: "wait",
  help: "Wait until nothing is left on it.",
};

export const clusterDrainCommand: Command = {
  words: ["cluster", "drain"],
  summary: "Move everything away from a server.",
  examples: [
    { line: "proglog cluster drain 7f3a", says: "Begin; it goes on by itself." },
    {
      line: "proglog cluster drain 7f3a --wait",
      says: "Until it is empty: then `proglog cluster remove 7f3a` decommissions it.",
    },
  ],
  arguments: [SERVER_ARGUMENT],
  flags: [WAIT_FLAG, OUTPUT_FLAG, ...SERVER_FLAGS],
  details: ["It stays a member and serves calls. `cluster undrain` lets it hold replicas again."],
  run: drain,
};

export const clusterUndrainCommand: Command = {
  words: ["cluster", "undrain"],
  summary: "Let a server hold replicas again.",
  examples: [
    { line: "proglog cluster undrain 7f3a", says: "New replicas may go there again." },
    { line: "proglog cluster undrain 10.0.0.7:8400", says: "The server at that address." },
  ],
  arguments: [SERVER_ARGUMENT],
  flags: [OUTPUT_FLAG, ...SERVER_FLAGS],
  details: ["What was moved away does not come back by itself: see `cluster rebalance`."],
  run: undrain,
};

function add(input: CommandInput, context: CommandContext): Promise<number> {
  const address = input.argument("ADDRESS");
  return withServer(input, context, async ({ cluster, callOptions }) => {
    const { server } = await cluster.addServer({ address }, callOptions);
    context.say(`Added server ${server?.id} at ${server?.address}`);
    printServer(server, input, context);
    return EXIT.fine;
  });
}

function remove(input: CommandInput, context: CommandContext): Promise<number> {
  return withServer(input, context, async (server) => {
    const { cluster, callOptions } = server;
    const serverId = await serverIdOf(server, input.argument("SERVER"));
    const held = (await heldBy(server, serverId)).length;
    const what = `Remove server ${serverId}, which holds ${countOf(held)}, for good`;
    if (!(await confirm(what, input, context))) return declined(context);
    await cluster.removeServer({ serverId, force: input.has("force") }, callOptions);
    context.say(`Removed server ${serverId}`);
    return EXIT.fine;
  });
}

function drain(input: CommandInput, context: CommandContext): Promise<number> {
  return withServer(input, context, async (server) => {
    const drained = await setState(server, input, ServerState.DRAINING);
    const id = drained?.id ?? "";
    const held = await heldBy(server, id);
    context.say(`Draining server ${id}: ${countOf(held.length)} to move`);
    if (input.has("wait") && held.length > 0) {
      await untilEmpty(server, id, held.length, context);
      context.say(`Drained server ${id}`);
    }
    printServer(drained, input, context);
    return EXIT.fine;
  });
}

function undrain(input: CommandInput, context: CommandContext): Promise<number> {
  return withServer(input, context, async (server) => {
    const changed = await setState(server, input, ServerState.ACTIVE);
    context.say(`Server ${changed?.id} holds replicas again`);
    printServer(changed, input, context);
    return EXIT.fine;
  });
}

async function setState(
  connection: ServerConnection,
  input: CommandInput,
  state: ServerState,
): Promise<Server | undefined> {
  const id = await serverIdOf(connection, input.argument("SERVER"));
  const { cluster, callOptions } = connection;
  const { server } = await cluster.updateServer({ server: { id, state } }, callOptions);
  return server;
}

async function untilEmpty(
  connection: ServerConnection,
  serverId: string,
  count: number,
  context: CommandContext,
): Promise<void> {
  const clock = new SystemClock();
  let left = count;
  const progress = new ProgressLine(context, "none", () => `${countOf(left)} left`);
  try {
    while (left > 0) {
      await pause(clock, LOOK_MS, context.interrupted);
      left = (await heldBy(connection, serverId)).length;
    }
  } finally {
    progress.end();
  }
}

/** What a server holds of topics; the catalogue every member has. */
async function heldBy(connection: ServerConnection, serverId: string): Promise<readonly Replica[]> {
  const replicas = await listReplicas(connection, { serverId });
  return replicas.filter(({ topic }) => topic !== CLUSTER_TOPIC);
}

function printServer(
  server: Server | undefined,
  input: CommandInput,
  { stdout }: CommandContext,
): void {
  if (input.value("output") !== "json" || server === undefined) return;
  stdout.appendLine(protoJson(ServerSchema, server));
}

function countOf(replicas: number): string {
  return replicas === 1 ? "1 replica" : `${replicas} replicas`;
}
