import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  MemberInfo,
  MemberState,
  RebalancePlan,
  ReplicaInfo,
  ReplicaRoleInfo,
} from "../cluster/cluster-view.ts";
import {
  type RebalanceResponseSchema,
  ReplicaRole,
  type ReplicaSchema,
  ServerHealth,
  type ServerSchema,
  ServerState,
  type UpdateServerRequest,
} from "../gen/proglog/v1/cluster_service_pb.ts";
import { checkEnum, fieldError } from "./fields.ts";

const STATES = {
  active: ServerState.ACTIVE,
  draining: ServerState.DRAINING,
} as const satisfies Record<MemberState, ServerState>;

const ROLES = {
  leader: ReplicaRole.LEADER,
  voter: ReplicaRole.VOTER,
  learner: ReplicaRole.LEARNER,
} as const satisfies Record<ReplicaRoleInfo, ReplicaRole>;

/** As the server's setting has it. */
const ZONE = /^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,63})?$/;

export function toServerMessage(member: MemberInfo): MessageInitShape<typeof ServerSchema> {
  const { nodeId: id, state, isUp, ...rest } = member;
  return { ...rest, id, state: STATES[state], health: healthOf(isUp) };
}

function healthOf(isUp: boolean | undefined): ServerHealth {
  if (isUp === undefined) return ServerHealth.UNSPECIFIED;
  return isUp ? ServerHealth.UP : ServerHealth.DOWN;
}

export function toReplicaMessage(replica: ReplicaInfo): MessageInitShape<typeof ReplicaSchema> {
  const { topic, topicId, nodeId: serverId, role, lagEntries } = replica;
  return {
    topic,
    topicId: BigInt(topicId),
    serverId,
    role: ROLES[role],
    ...(lagEntries !== undefined && { lagEntries: BigInt(lagEntries) }),
  };
}

export function toPlanMessage(
  plan: RebalancePlan,
): MessageInitShape<typeof RebalanceResponseSchema> {
  return {
    moves: plan.moves.map(({ topic, sourceNodeId, targetNodeId }) => ({
      topic,
      sourceServerId: sourceNodeId,
      targetServerId: targetNodeId,
    })),
    transfers: plan.transfers.map(({ topic, targetNodeId }) => ({ topic, serverId: targetNodeId })),
  };
}

/** What is to be changed of a server. */
export interface ServerChange {
  readonly state?: MemberState;
  readonly zone?: string;
}

/** Without a mask: what is not empty. @throws FIELD_INVALID */
export function toServerChange({ server, updateMask }: UpdateServerRequest): ServerChange {
  const { state = ServerState.UNSPECIFIED, zone = "" } = server ?? {};
  checkEnum(state, ServerState, "server.state");
  const given = [...(state === ServerState.UNSPECIFIED ? [] : ["state"]), ...(zone && ["zone"])];
  const paths = updateMask?.paths ?? [];
  const names = paths.length > 0 ? paths : given;
  const unknown = names.find((name) => name !== "state" && name !== "zone");
  if (unknown !== undefined) {
    throw fieldError("update_mask", `"${unknown}" cannot be changed, only "state" and "zone" can`);
  }
  if (names.length === 0) throw fieldError("server", "it names nothing to change");
  return {
    ...(names.includes("state") && { state: toState(state) }),
    ...(names.includes("zone") && { zone: toZone(zone) }),
  };
}

function toState(state: ServerState): MemberState {
  if (state === ServerState.UNSPECIFIED) throw fieldError("server.state", "it is not set");
  return state === ServerState.DRAINING ? "draining" : "active";
}

function toZone(zone: string): string {
  if (ZONE.test(zone)) return zone;
  throw fieldError("server.zone", "write up to 64 of A-Z a-z 0-9 . _ -, a letter or digit first");
}
