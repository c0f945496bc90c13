import {
  type Replica,
  ReplicaRole,
  type Server,
  ServerHealth,
  ServerState,
} from "../gen/proglog/v1/cluster_service_pb.ts";
import { UsageError } from "./errors.ts";
import type { ServerConnection } from "./server-connection.ts";

const PAGE_SIZE = 1_000;

/** A shorter beginning of an id could be a slip. */
const PREFIX_LENGTH_MIN = 4;

/** All members, in id order. */
export async function listServers(connection: ServerConnection): Promise<Server[]> {
  const { cluster, callOptions } = connection;
  const servers: Server[] = [];
  let pageToken = "";
  do {
    const page = await cluster.listServers({ pageToken, pageSize: PAGE_SIZE }, callOptions);
    servers.push(...page.servers);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return servers;
}

/** All replicas of a topic, or on a server. */
export async function listReplicas(
  connection: ServerConnection,
  filter: { readonly topic?: string; readonly serverId?: string },
): Promise<Replica[]> {
  const { cluster, callOptions } = connection;
  const replicas: Replica[] = [];
  let pageToken = "";
  do {
    const request = { ...filter, pageToken, pageSize: PAGE_SIZE };
    const page = await cluster.listReplicas(request, callOptions);
    replicas.push(...page.replicas);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return replicas;
}

/**
 * The id of the server that the user means: by its id, the beginning of it, or its address. What fits no
 * member is taken for an id, about which the server has its say.
 *
 * @throws {UsageError} when it fits several
 */
export async function serverIdOf(connection: ServerConnection, text: string): Promise<string> {
  const servers = await listServers(connection);
  const exact = servers.filter(({ id, address }) => id === text || address === text);
  const begun =
    text.length < PREFIX_LENGTH_MIN ? [] : servers.filter(({ id }) => id.startsWith(text));
  const found = exact.length > 0 ? exact : begun;
  const [first, second] = found;
  if (first === undefined) return text;
  if (second === undefined) return first.id;
  const ids = found.map(({ id }) => id).join(", ");
  throw new UsageError(`Cannot tell which server "${text}" is: it fits ${ids}`);
}

export function printState(state: ServerState): string {
  return state === ServerState.DRAINING ? "draining" : "active";
}

export function printHealth(health: ServerHealth): string {
  if (health === ServerHealth.UP) return "up";
  return health === ServerHealth.DOWN ? "down" : "unknown";
}

export function printRole(role: ReplicaRole): string {
  if (role === ReplicaRole.LEADER) return "leader";
  return role === ReplicaRole.VOTER ? "voter" : "learner";
}
