import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type {
  CopyRequest,
  GenesisAnswer,
  GenesisRequest,
  JoinAnswer,
  JoinRequest,
} from "../../cluster/peer-host.ts";
import * as wire from "../../gen/proglog/internal/v1/peer_service_pb.ts";
import { malformed } from "../hot/decode-request.ts";

/*
 * The messages of PeerService's calls, as `cluster/` knows them and as they travel.
 */

export function encodeMessage<D extends DescMessage>(
  desc: D,
  fields: MessageInitShape<D>,
): Uint8Array {
  return toBinary(desc, create(desc, fields));
}

export function toJoinRequest(message: wire.JoinRequest): JoinRequest {
  return {
    nodeId: message.serverId,
    address: message.address,
    zone: message.zone,
    version: message.version,
    featureLevel: message.featureLevel,
    clusterId: message.clusterId,
    folderNonce: toHex(message.folderNonce),
  };
}

export function encodeJoinRequest(request: JoinRequest, processNonce: bigint): Uint8Array {
  const { nodeId, folderNonce, ...same } = request;
  return encodeMessage(wire.JoinRequestSchema, {
    ...same,
    serverId: nodeId,
    folderNonce: fromHex(folderNonce),
    processNonce,
  });
}

export function encodeJoinAnswer(answer: JoinAnswer): Uint8Array {
  return encodeMessage(wire.JoinResponseSchema, {
    clusterId: answer.clusterId,
    clusterReplicaId: BigInt(answer.clusterReplicaId),
    members: answer.members.map(({ nodeId, address, clusterReplicaId }) => ({
      serverId: nodeId,
      address,
      clusterReplicaId: BigInt(clusterReplicaId),
    })),
  });
}

export function toJoinAnswer(message: wire.JoinResponse): JoinAnswer {
  return {
    clusterId: message.clusterId,
    clusterReplicaId: toSafe(message.clusterReplicaId),
    members: message.members.map(({ serverId, address, clusterReplicaId }) => ({
      nodeId: serverId,
      address,
      clusterReplicaId: toSafe(clusterReplicaId),
    })),
  };
}

export function toGenesisRequest(message: wire.PromiseGenesisRequest): GenesisRequest {
  const { clusterId, founderId, seeds } = message;
  return { clusterId, founderId, seeds };
}

export function encodeGenesisRequest(request: GenesisRequest): Uint8Array {
  const { clusterId, founderId, seeds } = request;
  return encodeMessage(wire.PromiseGenesisRequestSchema, {
    clusterId,
    founderId,
    seeds: [...seeds],
  });
}

export function encodeGenesisAnswer(answer: GenesisAnswer): Uint8Array {
  const { clusterId, nodeId: serverId, promisedNodeId: promisedServerId } = answer;
  return encodeMessage(wire.PromiseGenesisResponseSchema, {
    clusterId,
    serverId,
    promisedServerId,
  });
}

export function toGenesisAnswer(message: wire.PromiseGenesisResponse): GenesisAnswer {
  const { clusterId, promisedServerId, serverId } = message;
  return { nodeId: serverId, promisedNodeId: promisedServerId, clusterId };
}

export function toCopyRequest(message: wire.CopyRangeRequest): CopyRequest {
  return {
    topicId: toSafe(message.route?.topicId ?? 0n),
    fromReplica: toSafe(message.route?.sourceReplicaId ?? 0n),
    toReplica: toSafe(message.route?.targetReplicaId ?? 0n),
    firstOffset: toSafe(message.firstOffset),
    endOffset: toSafe(message.endOffset),
  };
}

export function encodeCopyRequest(request: CopyRequest, hello: wire.Hello): Uint8Array {
  return encodeMessage(wire.CopyRangeRequestSchema, {
    hello,
    route: {
      topicId: BigInt(request.topicId),
      sourceReplicaId: BigInt(request.fromReplica),
      targetReplicaId: BigInt(request.toReplica),
    },
    firstOffset: BigInt(request.firstOffset),
    endOffset: BigInt(request.endOffset),
  });
}

/** @throws MESSAGE_INVALID */
function toSafe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed("a number is above 2^53-1");
  return Number(value);
}

function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length >>> 1);
  for (const at of bytes.keys()) bytes[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}
