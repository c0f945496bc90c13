import type { MessageInitShape } from "@bufbuild/protobuf";
import { ProglogError } from "../base/errors.ts";
import type { ClusterView } from "../cluster/cluster-view.ts";
import type {
  AddServerRequest,
  AddServerResponseSchema,
  GetStatusResponseSchema,
  ListReplicasRequest,
  ListReplicasResponseSchema,
  ListServersRequest,
  ListServersResponseSchema,
  MoveReplicaRequest,
  RebalanceRequest,
  RebalanceResponseSchema,
  RemoveServerRequest,
  TransferLeadershipRequest,
  TransferLeadershipResponseSchema,
  UpdateServerRequest,
  UpdateServerResponseSchema,
} from "../gen/proglog/v1/cluster_service_pb.ts";
import { checkKnownTopicName } from "../topics/names.ts";
import type { Call } from "./call.ts";
import {
  toPlanMessage,
  toReplicaMessage,
  toServerChange,
  toServerMessage,
} from "./cluster-messages.ts";
import { fieldError, toCount } from "./fields.ts";
import { toLeaderHint } from "./forward/leader-hint.ts";
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from "./limits.ts";
import { readPageToken, writePageToken } from "./page-token.ts";
import type { TopicsSource } from "./topics-source.ts";

/** `host:port` as servers advertise it; an IPv6 address in brackets. */
const ADDRESS = /^(?:\[[0-9a-fA-F:.%]+\]|[^:[\]/\s]+):[1-9]\d{0,4}$/;

/** Texts of requests are shown and looked up; ids of servers are much shorter. */
const TEXT_LENGTH_MAX = 253 + 6;

/** Between the topic and the server in the place where a page ends: neither has it. */
const BETWEEN = "\n";

type ReplicasAnswer = MessageInitShape<typeof ListReplicasResponseSchema>;

/** `proglog.v1.ClusterService`. Changes come to where they can be decided: see services.ts. */
export class ClusterServiceHandlers {
  readonly #topics: TopicsSource;

  constructor(topics: TopicsSource) {
    this.#topics = topics;
  }

  async getStatus(
    _request: unknown,
    call: Call,
  ): Promise<MessageInitShape<typeof GetStatusResponseSchema>> {
    const status = (await this.#view(call)).status();
    const { clusterId, nodeId: serverId, leader, featureLevel, members, membersDown } = status;
    const { topics, topicsLeaderless, topicsUnderReplicated } = status;
    return {
      ...{ clusterId, serverId, featureLevel, servers: members, serversDown: membersDown },
      ...{ topics, topicsLeaderless, topicsUnderReplicated },
      ...(leader !== undefined && { leader: toLeaderHint(leader) }),
    };
  }

  async listServers(
    request: ListServersRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof ListServersResponseSchema>> {
    const members = (await this.#view(call)).members();
    const { items, nextPageToken } = pageOf(members, ({ nodeId }) => nodeId, request, "servers");
    return { servers: items.map(toServerMessage), nextPageToken };
  }

  /** @param askLeader has the topic's leader answer; undefined when that cannot be had */
  async listReplicas(
    request: ListReplicasRequest,
    call: Call,
    askLeader: (topic: string) => Promise<ReplicasAnswer | undefined>,
  ): Promise<ReplicasAnswer> {
    const view = await this.#view(call);
    const { topic, serverId } = request;
    if (topic !== "") {
      checkKnownTopicName(topic);
      const answer = await askLeader(topic);
      if (answer !== undefined) return answer;
    }
    const replicas = view.replicas({
      ...(topic !== "" && { topic }),
      ...(serverId !== "" && { nodeId: serverId }),
    });
    const { items, nextPageToken } = pageOf(
      replicas,
      (replica) => `${replica.topic}${BETWEEN}${replica.nodeId}`,
      request,
      `replicas${BETWEEN}${topic}${BETWEEN}${serverId}`,
    );
    return { replicas: items.map(toReplicaMessage), nextPageToken };
  }

  async addServer(
    { address }: AddServerRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof AddServerResponseSchema>> {
    const view = await this.#view(call);
    if (address.length > TEXT_LENGTH_MAX || !ADDRESS.test(address)) {
      throw fieldError("address", "it is not one, write HOST:PORT");
    }
    return { server: toServerMessage(await view.addServer(address, { caller: call })) };
  }

  async updateServer(
    request: UpdateServerRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof UpdateServerResponseSchema>> {
    const view = await this.#view(call);
    const id = named(request.server?.id ?? "", "server.id");
    const change = toServerChange(request);
    return { server: toServerMessage(await view.updateServer(id, change, { caller: call })) };
  }

  async removeServer(
    { serverId, force }: RemoveServerRequest,
    call: Call,
  ): Promise<Record<string, never>> {
    const view = await this.#view(call);
    await view.removeServer(named(serverId, "server_id"), force, { caller: call });
    return {};
  }

  async transferLeadership(
    { topic, serverId }: TransferLeadershipRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof TransferLeadershipResponseSchema>> {
    const view = await this.#view(call);
    checkKnownTopicName(topic);
    const target = serverId === "" ? "" : named(serverId, "server_id");
    const leader = await view.transferLeadership(topic, target, { caller: call });
    return { leader: toLeaderHint(leader) };
  }

  async moveReplica(
    { topic, sourceServerId, targetServerId }: MoveReplicaRequest,
    call: Call,
  ): Promise<Record<string, never>> {
    const view = await this.#view(call);
    checkKnownTopicName(topic);
    const sourceNodeId = named(sourceServerId, "source_server_id");
    const targetNodeId = named(targetServerId, "target_server_id");
    if (sourceNodeId === targetNodeId) {
      throw fieldError("target_server_id", "it is the source, must be another server");
    }
    await view.moveReplica({ topic, sourceNodeId, targetNodeId }, { caller: call });
    return {};
  }

  async rebalance(
    { validateOnly }: RebalanceRequest,
    call: Call,
  ): Promise<MessageInitShape<typeof RebalanceResponseSchema>> {
    const view = await this.#view(call);
    return toPlanMessage(await view.rebalance(validateOnly, { caller: call }));
  }

  async #view(call: Call): Promise<ClusterView> {
    await this.#topics.get(call);
    const { cluster } = this.#topics;
    if (cluster !== undefined) return cluster;
    throw new ProglogError("UNIMPLEMENTED", "This server is made without a cluster");
  }
}

interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/**
 * One page of a list in the order of its keys.
 * @param list tells it from other lists, and from the same with other filters
 * @throws FIELD_INVALID
 */
function pageOf<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  { pageSize, pageToken }: PageRequest,
  list: string,
): { readonly items: readonly Item[]; readonly nextPageToken: string } {
  const limit = toCount(pageSize, {
    field: "page_size",
    fallback: PAGE_SIZE_DEFAULT,
    max: PAGE_SIZE_MAX,
  });
  const after = pageToken === "" ? undefined : readPageToken(pageToken, list).after;
  const rest = after === undefined ? items : items.filter((item) => keyOf(item) > after);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const nextPageToken =
    rest.length > page.length && last !== undefined
      ? writePageToken({ prefix: list, after: keyOf(last) })
      : "";
  return { items: page, nextPageToken };
}

/** @throws FIELD_INVALID */
function named(id: string, field: string): string {
  if (id === "") throw fieldError(field, "it is not set");
  if (id.length > TEXT_LENGTH_MAX) throw fieldError(field, "it is too long to be a server's id");
  return id;
}
